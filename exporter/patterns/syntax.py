"""The syntax tree of a filter pattern: immutable, compared by meaning and not by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from exporter.patterns.selector import Selector

Operator = Literal["=", "!=", "<", "<=", ">", ">="]
Kind = Literal["all", "unstructured", "json", "space"]
TermMode = Literal["required", "optional", "excluded"]
Keyword = Literal["NULL", "TRUE", "FALSE"]


@dataclass(frozen=True, slots=True)
class Span:
    """Where a node stands in the pattern: from ``start`` up to, not including, ``end``."""

    start: int
    end: int


NOWHERE = Span(0, 0)
"""Of nodes that were made, not parsed."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text to compare with or to search for; ``*`` is a wildcard in comparisons only."""

    text: str
    quoted: bool = field(default=True, compare=False)
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Number:
    """An unquoted number."""

    lexeme: str
    """As it is written: strings are compared with this text."""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression between percent signs."""

    source: str
    """In AWS's subset, without the percent signs."""
    expression: str = field(compare=False, repr=False)
    """The same in RE2's syntax, to be searched for in UTF-8."""
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Term:
    """One term of an unstructured pattern."""

    mode: TermMode
    value: Text | Regex
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A JSON selector compared with a value."""

    selector: Selector
    operator: Operator
    value: Text | Number | Regex
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IsTest:
    """``selector IS NULL``, ``IS TRUE`` or ``IS FALSE``."""

    selector: Selector
    keyword: Keyword
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NotExists:
    """``selector NOT EXISTS``."""

    selector: Selector
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FieldComparison:
    """A field of a space-delimited pattern compared with a value."""

    name: str
    operator: Operator
    value: Text | Number | Regex
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    """True if all operands are."""

    operands: tuple[Condition, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Or:
    """True if one operand is."""

    operands: tuple[Condition, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


JsonTest: TypeAlias = Comparison | IsTest | NotExists
Test: TypeAlias = Comparison | IsTest | NotExists | FieldComparison
Condition: TypeAlias = And | Or | Comparison | IsTest | NotExists | FieldComparison
"""In a JSON pattern without FieldComparison; in a field with nothing but FieldComparison."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a space-delimited pattern."""

    name: str | None
    """None: an empty entry; the field is extracted under its position, ``$3``."""
    condition: Condition | None = None
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AnyFields:
    """The ``...`` of a space-delimited pattern: any number of fields, none included."""

    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AllPattern:
    """The empty pattern: every log event."""


@dataclass(frozen=True, slots=True)
class TermsPattern:
    """An unstructured pattern; never without terms."""

    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class JsonPattern:
    """A pattern in braces."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class SpacePattern:
    """A pattern in brackets. Without entries (``[]``) it numbers all fields of a line."""

    entries: tuple[Field | AnyFields, ...]


Tree: TypeAlias = AllPattern | TermsPattern | JsonPattern | SpacePattern


def tests_of(condition: Condition) -> Iterator[Test]:
    """Give the tests that a condition is made of, from left to right."""
    if isinstance(condition, And | Or):
        for operand in condition.operands:
            yield from tests_of(operand)
    else:
        yield condition
