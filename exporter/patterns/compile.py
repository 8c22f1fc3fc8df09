"""Compiles syntax trees to predicates. Only this module defines the meaning of conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from exporter.patterns import regex
from exporter.patterns.document import Document, NumberText
from exporter.patterns.syntax import (
    MISSING,
    NUMBER,
    And,
    AnyFields,
    Condition,
    Field,
    FieldComparison,
    IsTest,
    JsonPattern,
    JsonTest,
    NotExists,
    Number,
    Or,
    Regex,
    SpacePattern,
    Term,
    TermsPattern,
    Text,
    Tree,
    decimal_of,
)

ValueTest: TypeAlias = Callable[[Any], bool]
"""A predicate on one value of a decoded message, or on MISSING."""
FieldTest: TypeAlias = Callable[[str], bool]
"""A predicate on one field of a line."""
DocumentTest: TypeAlias = Callable[[Document], bool]

_SHORT = 40
"""Characters of a number; the time to read a longer one as a float could grow faster."""
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Match:
    """A message satisfies a pattern."""

    fields: dict[str, str] = field(default_factory=dict)
    """Fields that a space-delimited pattern extracted, by ``$name``, or ``$3`` without a name."""


def matcher(tree: Tree) -> Callable[[Document], Match | None]:
    """Compile a pattern."""
    if isinstance(tree, SpacePattern):
        return _space_matcher(Aligner(tree))
    if isinstance(tree, TermsPattern):
        holds = terms_test(tree)
    elif isinstance(tree, JsonPattern):
        satisfies = condition_test(tree.condition, _selected_test)

        def holds(document: Document) -> bool:
            obj = document.json
            return obj is not None and satisfies(obj)
    else:
        return lambda _document: Match()
    return lambda document: Match() if holds(document) else None


def condition_test(
    condition: Condition, leaf: Callable[[Any], Callable[[Any], bool]]
) -> Callable[[Any], bool]:
    """Compile ``&&`` and ``||``; ``leaf`` compiles single tests."""
    if isinstance(condition, And):
        return _all([condition_test(operand, leaf) for operand in condition.operands])
    if isinstance(condition, Or):
        return _any([condition_test(operand, leaf) for operand in condition.operands])
    return leaf(condition)


def _all(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        for one in tests:  # noqa: SIM110 (twice as fast as all() of a generator)
            if not one(value):
                return False
        return True

    return test


def _any(tests: list[Callable[[Any], bool]]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        for one in tests:  # noqa: SIM110 (twice as fast as any() of a generator)
            if one(value):
                return True
        return False

    return test


def _selected_test(test: JsonTest) -> Callable[[dict[str, Any]], bool]:
    """Compile one test of a JSON pattern.

    AWS: with a wildcard, one matching value is enough. NOT EXISTS with a wildcard is not
    documented; here it is true if there is no value.
    """
    holds = value_test(test)
    select, select_all = test.selector.select, test.selector.select_all
    if not test.selector.has_wildcard or isinstance(test, NotExists):
        return lambda obj: holds(select(obj))
    return lambda obj: any(map(holds, select_all(obj)))


def value_test(test: JsonTest) -> ValueTest:
    """Compile the test of the value at a selector.

    AWS: comparisons apply to strings and numbers only. ``!=`` is not the negation of ``=``: both
    are false for a missing value, null, booleans, arrays and objects.
    """
    if isinstance(test, NotExists):
        return lambda value: value is MISSING
    if isinstance(test, IsTest):
        if test.keyword == "NULL":
            # Observed on AWS: an array that contains null passes.
            return lambda value: value is None or (isinstance(value, list) and None in value)
        wanted = test.keyword == "TRUE"
        return lambda value: value is wanted
    if isinstance(test.value, Number):
        return _number_test(test.operator, test.value.lexeme)
    holds = _text_test(test.value)
    if test.operator == "=":
        return lambda value: isinstance(value, str) and holds(value)
    return lambda value: isinstance(value, str) and not holds(value)


def _number_test(sign: str, lexeme: str) -> ValueTest:
    """Compare numbers by value, and strings by text, with ``=`` and ``!=`` only."""
    number = decimal_of(lexeme)
    if sign == "=":
        return lambda value: (
            value.decimal == number if isinstance(value, NumberText) else value == lexeme
        )
    if sign == "!=":
        return lambda value: (
            value.decimal != number
            if isinstance(value, NumberText)
            else isinstance(value, str) and value != lexeme
        )
    compare = _ORDERED[sign]
    return lambda value: isinstance(value, NumberText) and compare(value.decimal, number)


def field_test(test: FieldComparison) -> FieldTest:
    """Compile a comparison of a space-delimited field.

    AWS: ``<``, ``<=``, ``>`` and ``>=`` are false if the field is not a number. ``=`` and ``!=``
    compare an unquoted number by value if the field is a number, else by text.
    """
    if not isinstance(test.value, Number):
        holds = _text_test(test.value)
        return holds if test.operator == "=" else lambda text: not holds(text)
    lexeme = test.value.lexeme
    number = decimal_of(lexeme)
    if test.operator in _ORDERED:
        return _ordered_test(_ORDERED[test.operator], number)
    if test.operator == "=":
        return lambda text: text == lexeme or field_decimal(text) == number
    return lambda text: text != lexeme and field_decimal(text) != number


def _ordered_test(compare: Callable[[Any, Any], bool], number: Decimal) -> FieldTest:
    """Compare a field with a number, by floats if these differ (rounding keeps order)."""
    nearest = float(number)

    def test(text: str) -> bool:
        if len(text) <= _SHORT and NUMBER.fullmatch(text):
            value = float(text)
            if value != nearest:
                return compare(value, nearest)
        exact = field_decimal(text)
        return exact is not None and compare(exact, number)

    return test


def field_decimal(text: str) -> Decimal | None:
    """The value of a space-delimited field, or None if its text is not a number."""
    return decimal_of(text) if NUMBER.fullmatch(text) else None


def _text_test(value: Text | Regex) -> Callable[[str], bool]:
    if isinstance(value, Regex):
        literal = regex.literal_of(value.expression)
        if literal is not None:
            plain = literal.text
            if literal.at_start:
                return lambda text: text.startswith(plain)
            return lambda text: plain in text
        search = regex.search(value.expression)
        return lambda text: search(regex.encode(text))
    return wildcard_test(value.text)


def wildcard_test(text: str) -> Callable[[str], bool]:
    """Compile a compared value, in which ``*`` is a wildcard.

    AWS documents ``x*``, ``*x`` and ``*x*``: begins with, ends with, contains. Elsewhere, ``*``
    matches any text too: ``*111.111.111`` matches ``111.111.111.111``.

    The first occurrence of each piece leaves the most room for the next pieces, so the text is
    searched only once, without backtracking.
    """
    first, *others = text.split("*")
    if not others:
        return text.__eq__
    last = others.pop()
    middle = [piece for piece in others if piece]
    if not first and not last and len(middle) <= 1:
        needle = middle[0] if middle else ""
        return lambda value: needle in value
    if not middle and not last:
        return lambda value: value.startswith(first)
    if not middle and not first:
        return lambda value: value.endswith(last)

    def test(value: str) -> bool:
        position, end = len(first), len(value) - len(last)
        if position > end or not value.startswith(first) or not value.endswith(last):
            return False
        for piece in middle:
            found = value.find(piece, position, end)
            if found < 0:
                return False
            position = found + len(piece)
        return True

    return test


def term_test(term: Term) -> DocumentTest:
    """Compile one term to a test that ignores its sign.

    AWS: a term is a case-sensitive substring, independent of word boundaries.
    """
    if isinstance(term.value, Regex):
        search = regex.search(term.value.expression)
        return lambda document: search(document.encoded)
    text = term.value.text
    return lambda document: text in document.message


def terms_test(pattern: TermsPattern) -> DocumentTest:
    """Compile an unstructured pattern.

    AWS: it requires all terms without a sign, and none with ``-``. Of terms with ``?`` it requires
    one if there are no other terms, and ignores them otherwise.
    """
    optional = [term_test(term) for term in pattern.terms if term.mode == "optional"]
    if len(optional) == len(pattern.terms):
        return _any(optional)
    required = _all([term_test(term) for term in pattern.terms if term.mode == "required"])
    excluded = _any([term_test(term) for term in pattern.terms if term.mode == "excluded"])
    return lambda document: required(document) and not excluded(document)


class Aligned(NamedTuple):
    """A field of a line, and its entry in the pattern."""

    entry: Field | None
    """None if the field belongs to ``...`` or ``[]``."""
    position: int
    """In the line, counted from 1."""
    text: str

    @property
    def reference(self) -> str:
        """The reference in labels and values of rules: ``$name``, or ``$3``."""
        return f"${(self.entry and self.entry.name) or self.position}"


class Aligner:
    """Assigns the fields of a line to the entries of a space-delimited pattern.

    AWS: fields before ``...`` count from the start of the line, those after it from the end.
    Without ``...`` the last entry takes the rest of the line unchanged, with quotes and spacing.
    """

    __slots__ = ("_any_fields", "_head", "_tail", "minimum")

    def __init__(self, pattern: SpacePattern) -> None:
        self._head: list[Field] = []
        self._tail: list[Field] = []
        self._any_fields = not pattern.entries
        for entry in pattern.entries:
            if isinstance(entry, AnyFields):
                self._any_fields = True
            else:
                (self._tail if self._any_fields else self._head).append(entry)
        self.minimum = len(self._head) + len(self._tail) + (not pattern.entries)
        """Number of fields that a line needs; ``[]`` needs one, ``[...]`` none."""

    @property
    def takes_rest(self) -> bool:
        """Whether the last entry takes the rest of a line that has more fields than ``minimum``."""
        return not self._any_fields

    @property
    def from_start(self) -> bool:
        """Whether all entries count from the start of the line."""
        return not self._tail

    @property
    def entries(self) -> list[tuple[int, Field]]:
        """The entries except ``...``, each with the index of its text in ``texts``."""
        return [*enumerate(self._head), *enumerate(self._tail, -len(self._tail))]

    def texts(self, document: Document) -> Sequence[str] | None:
        """The fields of a line for this pattern, or None if it has too few."""
        fields = document.fields
        head = len(self._head)
        if len(fields) < self.minimum:
            return None
        if self._any_fields or len(fields) == head:
            return document.texts
        rest = document.message[fields[head - 1].start : fields[-1].end]
        return [*document.texts[: head - 1], rest]

    def align(self, texts: Sequence[str]) -> list[Aligned]:
        """Assign the result of ``texts`` to the entries."""
        between: list[Field | None] = [None] * (len(texts) - len(self._head) - len(self._tail))
        entries: list[Field | None] = [*self._head, *between, *self._tail]
        return [
            Aligned(entry, position, text)
            for position, (entry, text) in enumerate(zip(entries, texts, strict=True), 1)
        ]

    def can_extract(self, reference: str) -> bool:
        """Whether ``$name`` or ``$3`` can refer to a field."""
        name = reference.removeprefix("$")
        if any(entry.name == name for entry in (*self._head, *self._tail)):
            return True
        if not (name.isascii() and name.isdecimal()) or name.startswith("0"):
            return False
        position = int(name) if len(name) < 10 else 10**9
        if position <= len(self._head):
            return self._head[position - 1].name is None
        return self._any_fields


def _space_matcher(aligner: Aligner) -> Callable[[Document], Match | None]:
    tests = [
        (index, condition_test(entry.condition, field_test))
        for index, entry in aligner.entries
        if entry.condition is not None
    ]

    def match(document: Document) -> Match | None:
        texts = aligner.texts(document)
        if texts is None:
            return None
        for index, holds in tests:
            if not holds(texts[index]):
                return None
        return Match({one.reference: one.text for one in aligner.align(texts)})

    return match
