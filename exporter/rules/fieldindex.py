"""The rules with space-delimited patterns: which of them a line matches."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

from exporter.patterns import regex
from exporter.patterns.compile import Aligner
from exporter.patterns.splitting import rest_of, split_texts
from exporter.patterns.syntax import (
    And,
    Condition,
    Field,
    FieldComparison,
    Regex,
    SpacePattern,
    Text,
)
from exporter.rules.columns import Column

_MOST_PLANS = 256
"""Numbers of fields whose plans are kept."""

_MOST_LITERALS = 8
"""Texts that a message is searched for before it is split."""

_Place = tuple[int, bool]
"""The index of a field, and whether it is a last entry, which takes the rest of the line."""


class FieldIndex:
    """The space-delimited patterns of many rules. Rules are the bits of an int."""

    def __init__(self, patterns: Mapping[int, SpacePattern], references: Sequence[str]) -> None:
        """``references``: all that labels and values refer to (see ``extracted``)."""
        self.aligners = {bit: Aligner(tree) for bit, tree in patterns.items()}
        conditions: dict[_Place, list[tuple[int, Condition]]] = {}
        for bit, aligner in self.aligners.items():
            for index, entry in aligner.entries:
                if entry.condition is not None:
                    last = aligner.takes_rest and index == aligner.minimum - 1
                    conditions.setdefault((index, last), []).append((bit, entry.condition))
        self._columns = {place: Column(tests) for place, tests in conditions.items()}
        self.most = _most(self.aligners.values(), references)
        """Fields of a line that are needed."""
        self._literals = _literals(patterns.values())
        self._plans: dict[int, _Plan] = {}
        self._lines = 0

    def may_match(self, message: str) -> bool:
        """Whether the message has a text without which no pattern matches it."""
        literals = self._literals
        if not literals:
            return True
        for literal in literals:  # noqa: SIM110 (a generator takes longer)
            if literal in message:
                return True
        return False

    def texts(self, message: str) -> list[str]:
        """The fields of a line, or at least those that are needed."""
        return split_texts(message, self.most)

    def count(self, texts: Sequence[str]) -> int:
        """The number of fields, or of those that are needed."""
        return min(len(texts), self.most)

    def matching(self, message: str, texts: Sequence[str], count: int) -> int:
        """The rules whose pattern a line matches."""
        self._lines += 1
        plan = self._plans.get(count)
        if plan is None:
            plan = self._plan(count)
        rules = plan.rules
        for index, column, before in plan.columns:
            if rules & column.rules:
                text = texts[index] if before is None else rest_of(message, before)
                passing = column.kept.get(text)
                if passing is None:
                    varied = column.varied
                    passing = column.judge(text, rules, self._lines)
                    if column.varied != varied:
                        self._plans = {}
                rules &= passing
        return rules

    def extracted(self, bit: int, count: int) -> dict[str, tuple[int, int | None]]:
        """The references that a rule's match extracts from a line with this number of fields.

        Each with the index of its text, and, if that is the rest of the line, the number of
        fields before it.
        """
        aligner = self.aligners[bit]
        fields = aligner.minimum if aligner.takes_rest else count
        rest = aligner.minimum - 1 if aligner.takes_rest and count > aligner.minimum else None
        aligned = aligner.align([str(index) for index in range(fields)])
        return {
            one.reference: (int(one.text), rest if int(one.text) == rest else None)
            for one in aligned
        }

    def _plan(self, count: int) -> _Plan:
        if len(self._plans) >= _MOST_PLANS:
            self._plans = {}
        plan = self._plans[count] = _Plan(self.aligners, self._columns, count)
        return plan


class _Plan:
    """How lines with a number of fields are judged."""

    __slots__ = ("columns", "rules")

    def __init__(
        self, aligners: Mapping[int, Aligner], columns: Mapping[_Place, Column], count: int
    ) -> None:
        self.rules = 0
        """Those that such a line has enough fields for."""
        for bit, aligner in aligners.items():
            if aligner.minimum <= count:
                self.rules |= bit
        asked = [(place, column) for place, column in columns.items() if column.rules & self.rules]
        # What is kept costs least, and decides most if many rules name it.
        asked.sort(key=lambda one: (one[0][1], one[1].varied, -one[1].rules.bit_count()))
        self.columns: list[tuple[int, Column, int | None]] = [
            (index, column, index if last and count > index + 1 else None)
            for (index, last), column in asked
        ]


def _literals(patterns: Iterable[SpacePattern]) -> Sequence[str]:
    """A text for each pattern that every line it matches has; empty if one has none or for many."""
    found: set[str] = set()
    for pattern in patterns:
        conditions = [entry.condition for entry in pattern.entries if isinstance(entry, Field)]
        literal = max((_literal(one) for one in conditions if one is not None), key=len, default="")
        if not literal:
            return ()
        found.add(literal)
    return sorted(found) if len(found) <= _MOST_LITERALS else ()


def _literal(condition: Condition) -> str:
    """A text that every field has that satisfies a condition; empty if unknown."""
    if isinstance(condition, And):
        return max(map(_literal, condition.operands), key=len)
    if not isinstance(condition, FieldComparison) or condition.operator != "=":
        return ""
    if isinstance(condition.value, Text):
        return max(condition.value.text.split("*"), key=len)
    if isinstance(condition.value, Regex):
        literal = regex.literal_of(condition.value.expression)
        return "" if literal is None else literal.text
    return ""


def _most(aligners: Collection[Aligner], references: Sequence[str]) -> int:
    if not all(aligner.from_start for aligner in aligners):
        return sys.maxsize
    # One more shows whether a last entry takes several fields.
    most = max(aligner.minimum + aligner.takes_rest for aligner in aligners)
    numbers = [int(name[1:]) for name in references if name[1:].isdecimal() and len(name) < 10]
    return max([most, *numbers])
