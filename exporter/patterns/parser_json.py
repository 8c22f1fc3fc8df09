"""Parses JSON patterns: ``{ ($.eventName = ConsoleLogin) && ($.errorMessage = "*") }``."""

from __future__ import annotations

from exporter.patterns.boolean import parse_condition, unexpected
from exporter.patterns.lexer import Scanner
from exporter.patterns.parser_selector import scan_selector
from exporter.patterns.selector import Selector
from exporter.patterns.syntax import (
    Comparison,
    IsTest,
    JsonPattern,
    Keyword,
    NotExists,
    Number,
    Span,
    Test,
    Text,
)

_KEYWORDS: dict[str, Keyword] = {"NULL": "NULL", "TRUE": "TRUE", "FALSE": "FALSE"}


def parse_json(scanner: Scanner) -> JsonPattern:
    """Parse what stands between the braces.

    Raises:
        PatternError: it is not a condition.
    """
    scanner.skip_blanks()
    if scanner.at_end:
        raise scanner.error("The braces are empty; the empty pattern matches every log event.")
    condition = parse_condition(scanner, _parse_test)
    if not scanner.at_end:
        raise scanner.error(unexpected(scanner))
    return JsonPattern(condition)


def _parse_test(scanner: Scanner) -> Test:
    start = scanner.position
    if scanner.peek() == "!":
        raise scanner.error("There is no negation of a condition; use != or NOT EXISTS.")
    if scanner.peek() == '"':
        raise scanner.error("A test starts with a selector such as $.field, without quotes.")
    selector = scan_selector(scanner)
    scanner.skip_blanks()
    operator = scanner.operator()
    if operator is None:
        return _parse_keywords(scanner, selector, start)
    scanner.skip_blanks()
    value_at = scanner.position
    value = scanner.value()
    if operator not in ("=", "!=") and not isinstance(value, Number):
        raise scanner.error(f"{operator} needs a number after it, without quotes.", value_at)
    if isinstance(value, Text) and value.text == "null" and not value.quoted:
        raise scanner.error('null is tested with IS NULL; the text is written "null".', value_at)
    return Comparison(selector, operator, value, Span(start, scanner.position))


def _parse_keywords(scanner: Scanner, selector: Selector, start: int) -> Test:
    position = scanner.position
    first = scanner.name()
    scanner.skip_blanks()
    second_position = scanner.position
    second = scanner.name() if first.upper() in ("IS", "NOT") else ""
    span = Span(start, scanner.position)
    if first.upper() == "IS" and second.upper() in _KEYWORDS:
        _warn_case(scanner, first + second, position)
        return IsTest(selector, _KEYWORDS[second.upper()], span)
    if first.upper() == "NOT" and second.upper() == "EXISTS":
        _warn_case(scanner, first + second, position)
        return NotExists(selector, span)
    if first.upper() == "EXISTS":
        raise scanner.error(
            'There is no EXISTS; that a text or number is there is = "*".', position
        )
    if first.upper() == "IS":
        raise scanner.error("After IS stands NULL, TRUE or FALSE.", second_position)
    if first.upper() == "NOT":
        raise scanner.error("After NOT stands EXISTS.", second_position)
    raise scanner.error(
        "After the selector stands an operator (= != < <= > >=), IS NULL, IS TRUE, IS FALSE or "
        "NOT EXISTS.",
        position,
    )


def _warn_case(scanner: Scanner, words: str, position: int) -> None:
    if not words.isupper():
        scanner.warn("AWS documents keywords in upper case only; write them so.", position)
