"""The syntax tree of a filter pattern: immutable, compared by meaning, not by position."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import ClassVar, Final, Literal, TypeAlias

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Kind = Literal["all", "unstructured", "json", "space"]
TermMode = Literal["required", "optional", "excluded"]
Keyword = Literal["NULL", "TRUE", "FALSE"]

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""AWS: an optional sign, decimals, and an exponent. ASCII digits only."""

_EXPONENT_DIGITS = 15
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def decimal_of(text: str) -> Decimal:
    """The exact value of a text that ``NUMBER`` matches.

    Exponents are limited to 15 digits, because ``Decimal`` raises an error for more.
    """
    mantissa, marker, exponent = text.replace("E", "e").partition("e")
    if not marker:
        return Decimal(mantissa)
    digits = exponent.lstrip("+-").lstrip("0")[: _EXPONENT_DIGITS + 1] or "0"
    if len(digits) > _EXPONENT_DIGITS:
        digits = "9" * _EXPONENT_DIGITS
    sign = "-" if exponent.startswith("-") else ""
    return Decimal(f"{mantissa}e{sign}{digits}")


class Marker(Enum):
    """The type of ``MISSING`` and ``ANY_CHILD``."""

    MISSING = "missing"
    ANY_CHILD = "*"


MISSING: Final = Marker.MISSING
"""The result of a selector if there is no value at its path; null is a value."""
ANY_CHILD: Final = Marker.ANY_CHILD
"""The step ``[*]`` or ``.*``: every direct child of an array or an object."""

Step: TypeAlias = str | int | Literal[Marker.ANY_CHILD]
"""A key of an object, an index of an array, or any child."""


@dataclass(frozen=True, slots=True)
class Selector:
    """A path into a decoded JSON object, such as ``$.items[*].id`` or ``$.['dotted.key']``."""

    steps: tuple[Step, ...]
    text: str = field(default="", compare=False)
    """The selector as it was written."""

    @property
    def has_wildcard(self) -> bool:
        """Whether the selector can return several values."""
        return ANY_CHILD in self.steps

    def select(self, obj: object) -> object:
        """The first value at the path, or MISSING."""
        if self.has_wildcard:
            return next(self.select_all(obj), MISSING)
        return _walk(obj, self.steps)

    def select_all(self, obj: object) -> Iterator[object]:
        """Every value at the path, in the message's order."""
        if not self.has_wildcard:
            value = _walk(obj, self.steps)
            if value is not MISSING:
                yield value
            return
        split = self.steps.index(ANY_CHILD)
        parent = _walk(obj, self.steps[:split])
        if isinstance(parent, dict):
            parent = parent.values()
        elif not isinstance(parent, list):
            return
        for child in parent:
            value = _walk(child, self.steps[split + 1 :])
            if value is not MISSING:
                yield value

    def __str__(self) -> str:
        """The selector in AWS's documented form; parsing it gives an equal selector."""
        first, *others = map(_render_step, self.steps)
        # `$[0]` and `$[*]` are not selectors: the first step needs a dot.
        first = {"[*]": ".*"}.get(first, first if first.startswith(".") else f".{first}")
        return "".join(("$", first, *others))


def _walk(value: object, steps: tuple[Step, ...]) -> object:
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step, MISSING)
            if value is MISSING:
                return MISSING
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return MISSING
    return value


def _render_step(step: Step) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if step is ANY_CHILD:
        return "[*]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f".['{step}']"


@dataclass(frozen=True, slots=True)
class Span:
    """The position of a node in the pattern; ``end`` is exclusive."""

    start: int
    end: int


_NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of a pattern."""

    span: Span = field(default=_NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A text to compare with or to search for; ``*`` is a wildcard in comparisons only."""

    text: str
    quoted: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class Number(Node):
    """An unquoted number."""

    lexeme: str
    """The number as it was written, which strings are compared with."""


@dataclass(frozen=True, slots=True)
class Regex(Node):
    """A regular expression between percent signs."""

    source: str
    """In AWS's syntax, without the percent signs."""
    expression: str = field(compare=False, repr=False)
    """In RE2's syntax, for UTF-8 text."""


Value: TypeAlias = Text | Number | Regex
"""The value in a comparison."""


@dataclass(frozen=True, slots=True)
class Term(Node):
    """One term of an unstructured pattern."""

    mode: TermMode
    value: Text | Regex


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """A JSON selector compared with a value."""

    selector: Selector
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class IsTest(Node):
    """``selector IS NULL``, ``IS TRUE`` or ``IS FALSE``."""

    selector: Selector
    keyword: Keyword


@dataclass(frozen=True, slots=True)
class NotExists(Node):
    """``selector NOT EXISTS``."""

    selector: Selector


@dataclass(frozen=True, slots=True)
class FieldComparison(Node):
    """A field of a space-delimited pattern compared with a value."""

    name: str
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class And(Node):
    """True if all operands are."""

    operands: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    """True if one operand is."""

    operands: tuple[Condition, ...]


JsonTest: TypeAlias = Comparison | IsTest | NotExists
Test: TypeAlias = JsonTest | FieldComparison
Condition: TypeAlias = And | Or | Test
"""The tests are JsonTests in a JSON pattern, FieldComparisons in a space-delimited field."""


@dataclass(frozen=True, slots=True)
class Field(Node):
    """One field of a space-delimited pattern."""

    name: str | None
    """None for an empty entry, which is extracted by its position, as ``$3``."""
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class AnyFields(Node):
    """The ``...`` of a space-delimited pattern: any number of fields, including none."""


@dataclass(frozen=True, slots=True)
class AllPattern:
    """The empty pattern: every log event."""

    kind: ClassVar[Kind] = "all"


@dataclass(frozen=True, slots=True)
class TermsPattern:
    """An unstructured pattern; it has at least one term."""

    kind: ClassVar[Kind] = "unstructured"
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class JsonPattern:
    """A pattern in braces."""

    kind: ClassVar[Kind] = "json"
    condition: Condition


@dataclass(frozen=True, slots=True)
class SpacePattern:
    """A pattern in brackets. Without entries (``[]``), it numbers all fields of a line."""

    kind: ClassVar[Kind] = "space"
    entries: tuple[Field | AnyFields, ...]


Tree: TypeAlias = AllPattern | TermsPattern | JsonPattern | SpacePattern


def tests_of(condition: Condition | None) -> Iterator[Test]:
    """The tests of a condition, from left to right."""
    if isinstance(condition, And | Or):
        for operand in condition.operands:
            yield from tests_of(operand)
    elif condition is not None:
        yield condition


def all_tests(tree: Tree) -> Iterator[Test]:
    """The tests of a JSON or space-delimited pattern, from left to right."""
    if isinstance(tree, JsonPattern):
        yield from tests_of(tree.condition)
    elif isinstance(tree, SpacePattern):
        for entry in tree.entries:
            if isinstance(entry, Field):
                yield from tests_of(entry.condition)
