"""Filter patterns and log messages: ``<pattern> RS <message>`` (RS: U+001E)``."""

from __future__ import annotations

from exporter.patterns import FilterPattern, PatternError, compile_pattern
from fuzz.rendering import render


def check(data: bytes) -> None:
    """Only PatternError escapes; explanations agree with matches; a rendered tree is the same."""
    # What is not UTF-8 becomes lone surrogates, which JSON's escapes can make as well.
    text, _, message = data.decode("utf-8", "surrogateescape").partition("\x1e")
    strict = _compile(text, aws_limits=True)
    pattern = _compile(text, aws_limits=False)
    assert strict is None or pattern == strict
    if pattern is None:
        return
    assert all(0 <= warning.position <= len(text) for warning in pattern.warnings)
    for one in (message, text, ""):
        _check_match(pattern, one)
    again = compile_pattern(render(pattern.tree), aws_limits=False)
    assert again.tree == pattern.tree
    assert again.match(message) == pattern.match(message)


def _compile(text: str, *, aws_limits: bool) -> FilterPattern | None:
    try:
        return compile_pattern(text, aws_limits=aws_limits)
    except PatternError as error:
        _check_error(error, text)
        return None


def _check_error(error: PatternError, text: str) -> None:
    assert 0 <= error.position <= len(text)
    assert error.caret().splitlines()[-1].strip() == "^"


def _check_match(pattern: FilterPattern, message: str) -> None:
    match = pattern.match(message)
    explanation = pattern.explain(message)
    assert explanation.matched == (match is not None)
    explanation.render()
    if match is not None:
        assert all(pattern.can_extract(reference) for reference in match.fields)
