"""Turns syntax trees into predicates. What a condition means is said here and nowhere else."""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

from exporter.patterns import regex
from exporter.patterns.document import Document
from exporter.patterns.numeric import NumberText, decimal_of, field_decimal
from exporter.patterns.selector import MISSING
from exporter.patterns.syntax import (
    And,
    Condition,
    FieldComparison,
    IsTest,
    JsonTest,
    NotExists,
    Number,
    Or,
    Regex,
    Term,
    TermsPattern,
    Test,
    Text,
)
from exporter.patterns.wildcard import wildcard_test

ValueTest: TypeAlias = Callable[[Any], bool]
"""A predicate on one value of a decoded message, or on MISSING."""
FieldTest: TypeAlias = Callable[[str], bool]
"""A predicate on one field of a line."""
ObjectTest: TypeAlias = Callable[[dict[str, Any]], bool]
"""A predicate on a decoded message."""
DocumentTest: TypeAlias = Callable[[Document], bool]

_ORDERED: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def condition_test(condition: Condition, leaf: Callable[[Test], Callable[[Any], bool]]) -> Any:
    """Compile ``&&`` and ``||`` over the predicates that ``leaf`` makes of single tests."""
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


def object_test(condition: Condition) -> ObjectTest:
    """Compile the condition of a JSON pattern."""
    test: ObjectTest = condition_test(condition, _selected_test)
    return test


def _selected_test(test: Test) -> ObjectTest:
    """Compile one test of a JSON pattern.

    AWS: with a wildcard, one value that fits is enough. NOT EXISTS with a wildcard is not
    documented; it is taken to say that there is no value at all.
    """
    if isinstance(test, FieldComparison):
        raise TypeError("a JSON pattern compares no fields")
    holds = value_test(test)
    select, select_all = test.selector.select, test.selector.select_all
    if not test.selector.has_wildcard or isinstance(test, NotExists):
        return lambda obj: holds(select(obj))
    return lambda obj: any(map(holds, select_all(obj)))


def value_test(test: JsonTest) -> ValueTest:
    """Compile what a test asks of the value at its selector.

    AWS: comparisons see strings and numbers only. ``!=`` is not the negation of ``=``: both are
    false for a missing value, null, booleans, arrays and objects.
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
    """Numbers are compared by value, strings with ``=`` and ``!=`` only, by text."""
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

    AWS: ``<`` and its like are false where the field is not a number. An unquoted number after
    ``=`` or ``!=`` is compared by value with a field that is a number, else by text.
    """
    if not isinstance(test.value, Number):
        holds = _text_test(test.value)
        return holds if test.operator == "=" else lambda text: not holds(text)
    lexeme = test.value.lexeme
    number = decimal_of(lexeme)
    if test.operator in _ORDERED:
        compare = _ORDERED[test.operator]
        return lambda text: (value := field_decimal(text)) is not None and compare(value, number)
    if test.operator == "=":
        return lambda text: text == lexeme or field_decimal(text) == number
    return lambda text: text != lexeme and field_decimal(text) != number


def _text_test(value: Text | Regex | Number) -> Callable[[str], bool]:
    if isinstance(value, Regex):
        search = regex.search(value.expression)
        return lambda text: search(regex.encode(text))
    if isinstance(value, Number):
        raise TypeError("numbers are compared by value")
    return wildcard_test(value.text)


def field_condition_test(condition: Condition) -> FieldTest:
    """Compile the condition of one space-delimited field."""

    def leaf(test: Test) -> FieldTest:
        if not isinstance(test, FieldComparison):
            raise TypeError("a field has comparisons only")
        return field_test(test)

    compiled: FieldTest = condition_test(condition, leaf)
    return compiled


def term_test(term: Term) -> DocumentTest:
    """Compile one term: whether the message has it, whatever the term's sign.

    AWS: a term is a substring, case-sensitive, without regard to word boundaries.
    """
    if isinstance(term.value, Regex):
        search = regex.search(term.value.expression)
        return lambda document: search(document.encoded)
    text = term.value.text
    return lambda document: text in document.message


def terms_test(pattern: TermsPattern) -> DocumentTest:
    """Compile an unstructured pattern.

    AWS: all required terms, no excluded one. Terms with ``?``: one of them, but only where the
    pattern has nothing else; else they are ignored.
    """
    optional = [term_test(term) for term in pattern.terms if term.mode == "optional"]
    if len(optional) == len(pattern.terms):
        return _any(optional)
    required = _all([term_test(term) for term in pattern.terms if term.mode == "required"])
    excluded = _any([term_test(term) for term in pattern.terms if term.mode == "excluded"])
    return lambda document: required(document) and not excluded(document)
