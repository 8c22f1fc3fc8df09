"""The conditions of many space-delimited patterns on the same field of a line."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from exporter.patterns.compile import field_decimal
from exporter.patterns.fused import fused_test
from exporter.patterns.syntax import (
    And,
    Condition,
    FieldComparison,
    Number,
    Or,
    Regex,
    decimal_of,
)
from exporter.rules.memo import Memo

_MOST_KEPT = 4096
"""Distinct texts of a column whose rules are kept."""
_LONGEST_KEPT = 256
"""Characters of a text that is kept."""


class Column:
    """Tests a field of a line for all rules that have a condition on it.

    Rules are the bits of an int. What a text decides is kept, as long as texts repeat; in a column
    of many distinct texts only what the remaining rules ask is tested.
    """

    __slots__ = ("_numbers", "_of_equality", "_tests", "_texts", "kept", "rules")

    def __init__(self, conditions: Iterable[tuple[int, Condition]]) -> None:
        """``conditions``: each with the bit of its rule; a rule has one at most."""
        by_condition: dict[Condition, int] = {}
        for bit, condition in conditions:
            unnamed = _unnamed(condition)
            by_condition[unnamed] = by_condition.get(unnamed, 0) | bit
        self.rules = 0
        """All rules with a condition."""
        self.kept: Memo[str, int] = Memo(_MOST_KEPT)
        """By text: the rules whose condition it satisfies, and all without one."""
        self._texts: dict[str, int] = {}
        self._numbers: dict[Decimal, int] = {}
        self._of_equality = 0
        self._tests: list[tuple[int, Callable[[str], bool]]] = []
        for condition, rules in by_condition.items():
            self.rules |= rules
            alternatives = _equalities(condition)
            if alternatives is None:
                self._tests.append((rules, fused_test(condition)))
                continue
            self._of_equality |= rules
            for value in alternatives:
                if isinstance(value, Decimal):
                    self._numbers[value] = self._numbers.get(value, 0) | rules
                else:
                    self._texts[value] = self._texts.get(value, 0) | rules

    @property
    def varied(self) -> bool:
        """Whether its texts repeat too seldom to be kept."""
        return not self.kept.keeps

    def judge(self, text: str, asked: int, lines: int) -> int:
        """The rules whose condition a text satisfies, and all rules without one.

        Correct for the rules ``asked``. ``lines``: how many have been judged until now.
        """
        # Another thread may change ``keeps`` in between; what is kept must be right for all rules.
        if self.varied:
            self.kept.skip(lines)
            return ~self._failing(text, asked)
        passing = ~self._failing(text, self.rules)
        if len(text) <= _LONGEST_KEPT:
            self.kept.keep(text, passing, lines)
        return passing

    def _failing(self, text: str, asked: int) -> int:
        failing = 0
        unequal = self._of_equality & asked
        if unequal:
            unequal &= ~self._texts.get(text, 0)
            if unequal and self._numbers:
                number = field_decimal(text)
                if number is not None:
                    unequal &= ~self._numbers.get(number, 0)
            failing = unequal
        for rules, holds in self._tests:
            if rules & asked and not holds(text):
                failing |= rules
        return failing


def _unnamed(condition: Condition) -> Condition:
    """The condition without the field's name, which differs between rules."""
    if isinstance(condition, And | Or):
        return replace(condition, operands=tuple(map(_unnamed, condition.operands)))
    return replace(condition, name="") if isinstance(condition, FieldComparison) else condition


def _equalities(condition: Condition) -> list[str | Decimal] | None:
    """The texts and numbers that satisfy the condition, if it lists nothing else; else None."""
    alternatives = condition.operands if isinstance(condition, Or) else (condition,)
    values: list[str | Decimal] = []
    for test in alternatives:
        if not isinstance(test, FieldComparison) or test.operator != "=":
            return None
        if isinstance(test.value, Number):
            values.append(decimal_of(test.value.lexeme))
        elif isinstance(test.value, Regex) or "*" in test.value.text:
            return None
        else:
            values.append(test.value.text)
    return values
