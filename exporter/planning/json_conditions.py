"""JSON conditions for AWS that are true of every log event that a rule's condition is true of.

A test that AWS may judge otherwise becomes a weaker one, or is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.patterns import PatternError, compile_pattern
from exporter.patterns.syntax import (
    NUMBER,
    And,
    Comparison,
    Condition,
    IsTest,
    NotExists,
    Number,
    Or,
    Test,
    Text,
)

UNSAFE = re.compile(r'["\\%\x00-\x1f\x7f\ud800-\udfff]')
"""Characters that AWS documents no way to quote, or that may have a meaning in quotes."""

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
_LIKE_NUMBERS = re.compile(r"[0-9eE.+*-]*")


class Weaker(NamedTuple):
    """A condition as text."""

    text: str
    is_composite: bool = False
    is_vague: bool = True
    """Whether it is true for most values of a field."""


def weaker(condition: Condition, *, one_each: bool = False) -> Weaker | None:
    """The strongest condition that AWS cannot judge to be false where this one is true here.

    ``one_each``: keep one operand of each ``&&``, which is shorter. None if it may be true of any
    log event.
    """
    if isinstance(condition, And | Or):
        parts = [weaker(operand, one_each=one_each) for operand in condition.operands]
        known = list(dict.fromkeys(part for part in parts if part is not None))
        if isinstance(condition, Or):
            return _joined(" || ", known) if None not in parts else None
        if one_each:
            known = sorted(known, key=lambda part: (part.is_vague, len(part.text)))[:1]
        return _joined(" && ", known)
    return next((one for one in _candidates(condition) if _is_certain(one.text)), None)


def _joined(operator: str, parts: list[Weaker]) -> Weaker | None:
    if len(parts) < 2:
        return parts[0] if parts else None
    text = operator.join(f"({part.text})" if part.is_composite else part.text for part in parts)
    combined = all if operator == " && " else any
    return Weaker(text, True, combined(part.is_vague for part in parts))


def _candidates(test: Test) -> Iterator[Weaker]:
    """The test and what is weaker, the strongest first; AWS may judge some of them otherwise."""
    if isinstance(test, Comparison):
        selector = test.selector.text or str(test.selector)
        value = _value(test)
        if value is not None:
            yield Weaker(f"{selector} {value}", is_vague=test.operator == "!=")
        # AWS's CDK: this tests that a field exists. Both = and != need a string or a number.
        yield Weaker(f'{selector} = "*"')
    elif isinstance(test, NotExists):
        yield Weaker(f"{test.selector.text or test.selector} NOT EXISTS")
    elif isinstance(test, IsTest) and test.keyword != "NULL":
        # IS NULL is true here for an array with null, as it was on AWS by accident.
        selector = test.selector.text or str(test.selector)
        yield Weaker(f"{selector} IS {test.keyword}", is_vague=False)


def _value(test: Comparison) -> str | None:
    """The operator and the value; None if AWS may compare otherwise.

    AWS may round numbers of more than 15 digits. Rounding keeps order, so ``>=`` holds if ``>``
    is exactly true.
    """
    if isinstance(test.value, Number):
        lexeme = test.value.lexeme
        if test.operator == "=":
            return f"= {lexeme}" if _INTEGER.fullmatch(lexeme) else None
        if test.operator == "!=" or not _DECIMAL.fullmatch(lexeme):
            return None
        return f"{test.operator[0]}= {lexeme}"
    if not isinstance(test.value, Text):
        return None  # AWS does not publish its engine, nor whether numbers are searched.
    text = test.value.text
    if test.operator == "=" and "*" in text:
        text = _simple(text)
    # How AWS writes a number of the message is certain for integers only.
    is_like_number = NUMBER.fullmatch(text) if "*" not in text else _LIKE_NUMBERS.fullmatch(text)
    if is_like_number and not _INTEGER.fullmatch(text):
        return None
    if not text or text != text.strip() or "**" in text or UNSAFE.search(text):
        return None
    return f'{test.operator} "{text}"'


def _simple(text: str) -> str:
    """A weaker value with ``*`` at the end, or at both ends only.

    AWS was seen to find less elsewhere: it takes the first place of the text after a ``*``.
    """
    first, *others = text.split("*")
    return f"{first}*" if first else f"*{max(others, key=len)}*"


def _is_certain(text: str) -> bool:
    """Whether a test is documented, or was seen on AWS to mean the same."""
    try:
        warnings = compile_pattern(f"{{{text}}}", aws_limits=False).warnings
    except PatternError:
        return False
    return not any(warning.code == "uncertain" for warning in warnings)
