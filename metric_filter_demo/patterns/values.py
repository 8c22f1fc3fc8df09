"""Conditions on the values of fields: comparison operators, wildcards, numbers."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

from metric_filter_demo.patterns.text import Doubts, InvalidPattern, PatternText

Test = Callable[[str, bool], bool]
"""Whether a value satisfies a condition: its text, and whether it is a number."""

NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_OPERATOR: Final = re.compile(r"!=|<=|>=|=|<|>")
_ORDERED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BARE: Final = re.compile(r"[A-Za-z0-9_\-.*+?]+")
_DOCUMENTED_BARE: Final = re.compile(r"[A-Za-z0-9_.*]+")
_DIGITS_OF_DOUBLES: Final = 15
_DOCUMENTED_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def read_test(text: PatternText, *, of_field: bool) -> Test:
    """Read an operator and a value. ``of_field``: of a space-delimited pattern."""
    text.skip_blanks()
    found = text.match(_OPERATOR)
    if found is None:
        raise InvalidPattern("an operator is missing")
    sign = found[0]
    text.skip_blanks()
    if sign in _ORDERED:
        return _ordered(text, _ORDERED[sign])
    if text.sees("%"):
        test = _searched(text, sign, of_field=of_field)
    elif text.sees('"'):
        phrase = text.phrase()
        stars = not (of_field and text.doubts.patterns)  # documented without quotes
        test = _equal(phrase, text.doubts, stars=stars)
    else:
        test = _bare(text, of_field=of_field)
    return test if sign == "=" else lambda value, number: not test(value, number)


def _ordered(text: PatternText, compare: Callable[[Any, Any], bool]) -> Test:
    limit = _Limit(_number(text, _read_bare(text)), text.doubts)
    return lambda value, number: number and compare(limit.exact(value), limit.value)


def _searched(text: PatternText, sign: str, *, of_field: bool) -> Test:
    if sign != "=":
        text.doubtful("a regular expression after !=")
    search = text.regex()
    strings_only = text.doubts.messages and not of_field
    return lambda value, number: not (number and strings_only) and search(value)


def _bare(text: PatternText, *, of_field: bool) -> Test:
    bare = _read_bare(text)
    if NUMBER.fullmatch(bare) is None:
        if _DOCUMENTED_BARE.fullmatch(bare) is None:
            text.doubtful("this character without quotes")
        if bare[:2] in ("0x", "0X"):
            text.doubtful("a hexadecimal number")
        if bare == "null":
            raise InvalidPattern("null is tested with IS NULL")
        return _equal(bare, text.doubts, stars=True)
    limit = _Limit(_number(text, bare), text.doubts)
    written = bare.removeprefix("+") if text.doubts.patterns else bare
    by_text = of_field and text.doubts.messages

    def test(value: str, is_number: bool) -> bool:
        if is_number and not by_text:
            return limit.exact(value) == limit.value
        return value == written

    return test


def _read_bare(text: PatternText) -> str:
    found = text.match(_BARE)
    if found is None:
        raise InvalidPattern("a value is missing")
    return found[0]


def _number(text: PatternText, bare: str) -> str:
    if NUMBER.fullmatch(bare) is None:
        raise InvalidPattern(f"{bare} is no number")
    if _DOCUMENTED_NUMBER.fullmatch(bare) is None:
        text.doubtful("a number without digits on both sides of the point")
    return bare


class _Limit:
    """The number of a pattern. Precision beyond doubles is not documented."""

    def __init__(self, text: str, doubts: Doubts) -> None:
        digits = re.sub(r"[eE].*|[^0-9]", "", text).strip("0")
        long = len(digits) > _DIGITS_OF_DOUBLES
        self._doubles = doubts.messages or (doubts.patterns and long)
        self.value = self.exact(text)

    def exact(self, text: str) -> Decimal:
        """A number, to be compared with this one."""
        if not self._doubles:
            with suppress(ArithmeticError):  # an exponent beyond all bounds
                return Decimal(text)
        return Decimal(float(text))


def _equal(wanted: str, doubts: Doubts, *, stars: bool) -> Test:
    """Equality of texts. A ``*`` is documented at the ends only."""
    if not stars or "*" not in wanted:
        return lambda value, _number: value == wanted
    middle = wanted.removeprefix("*").removesuffix("*")
    if not doubts.patterns:
        parts = map(re.escape, wanted.split("*"))
        expression = re.compile(".*".join(parts), re.DOTALL)
        return lambda value, _number: expression.fullmatch(value) is not None
    return lambda value, _number: _found_at_ends(value, wanted, middle)


def _found_at_ends(value: str, wanted: str, middle: str) -> bool:
    """With any other ``*`` as itself.

    A text before its end is searched for once, as AWS was seen to do in 2018, if it can overlap
    itself.
    """
    starts, ends = wanted.startswith("*"), wanted.endswith("*")
    if starts and ends:
        return middle in value
    if ends:
        return value.startswith(middle)
    if not starts:
        return value == middle
    overlaps = any(middle.startswith(middle[at:]) for at in range(1, len(middle)))
    return value.endswith(middle) and (
        not overlaps or value.find(middle) + len(middle) == len(value)
    )
