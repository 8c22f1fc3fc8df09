"""AWS's limits are errors, or warnings where the pattern does not have to run on AWS."""

from __future__ import annotations

import pytest

from exporter.patterns import PatternError, compile_pattern
from exporter.patterns.conditions import MAX_DEPTH

OVER = [
    ("a" * 1025, 1024),
    ("%a% ?%b% -%c%", 10),
    ("{ $.a = %a% && $.b = %b% || $.c = %c% }", 34),
    ("[a=%a%, b=%b% || b=%c%, ...]", 19),
    ("{ $.a[*] = 1 || $.b[*] = 1 || $.c.* = 1 || $.d[*] NOT EXISTS }", 43),
]


@pytest.mark.parametrize(("text", "position"), OVER)
def test_a_limit_is_an_error(text: str, position: int) -> None:
    with pytest.raises(PatternError) as caught:
        compile_pattern(text)
    assert caught.value.position == position
    assert "AWS allows" in caught.value.message


@pytest.mark.parametrize(("text", "position"), OVER)
def test_a_limit_is_a_warning_where_aws_does_not_matter(text: str, position: int) -> None:
    limits = [w for w in compile_pattern(text, aws_limits=False).warnings if w.code == "aws-limit"]
    assert [warning.position for warning in limits] == [position]


@pytest.mark.parametrize(
    "text", ["a" * 1024, "  " + "a" * 1024 + "\n", "%a%", "{ $.a=%a% && $.b=%b% }"]
)
def test_up_to_the_limit_there_is_no_error(text: str) -> None:
    compile_pattern(text)


def test_one_wildcard_a_selector_is_grammar() -> None:
    with pytest.raises(PatternError):
        compile_pattern("{ $.a[*].b[*] = 1 }", aws_limits=False)


def test_redundant_parentheses_cost_no_depth() -> None:
    depth = 100_000
    pattern = compile_pattern("{" + "(" * depth + "$.a=1" + ")" * depth + "}", aws_limits=False)
    assert pattern.match('{"a": 1}')


def test_deep_nesting_is_an_error_and_no_recursion() -> None:
    with pytest.raises(PatternError, match="too deeply"):
        compile_pattern(nested(MAX_DEPTH), aws_limits=False)


def test_what_fits_aws_limits_is_never_nested_too_deeply() -> None:
    text = nested(56)
    assert len(text) <= 1024
    assert compile_pattern(text).match('{"a": 2}') is None


def nested(depth: int) -> str:
    return "{" + "($.a=1||$.a=1&&" * depth + "$.a=3" + ")" * depth + "}"
