"""Finds the rules with JSON patterns that a message satisfies, by their access predicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from exporter.patterns import NumberText, Selector
from exporter.patterns.compile import ValueTest, value_test
from exporter.patterns.syntax import Comparison, Condition, JsonPattern
from exporter.rules.codegen import Generator, Run
from exporter.rules.patternset import PatternSet, is_in_set
from exporter.rules.predicates import Entry, are_exclusive, entries, is_equality, is_exists
from exporter.rules.rule import Rule

_MOST_KEPT = 4096
"""Distinct values of a selector whose patterns are kept."""
_LONGEST_KEPT = 256
"""Characters of a value that is kept."""

Scan = Callable[[Iterable[Any], list[tuple[int, Any, list[int] | None]]], None]
"""Appends the index and the fields of each message that satisfies a rule, and the numbers of its
rules; None instead of these if the fields are not exact."""

_LEAST_IN_SET = 12
"""Fewer wildcards and regular expressions are tested one at a time."""


class _Bucket:
    """The rules that depend on one access predicate. Its code is generated when it first holds."""

    __slots__ = ("_generator", "_members", "run")

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._members: list[tuple[int, Condition | None]] = []
        self.run: Run = self._first

    def add(self, number: int, residual: Condition | None) -> None:
        self._members.append((number, residual))

    def _first(self, fields: Any, out: list[int]) -> None:
        self.run = self._generator.run(self._members)
        self.run(fields, out)


class _Patterns:
    """The patterns on one selector. Which of them a value satisfies is kept for each value."""

    __slots__ = ("_set", "_tests", "numbers", "texts")

    def __init__(self, tests: dict[Comparison, _Bucket]) -> None:
        self._tests: list[tuple[ValueTest, _Bucket]] = []
        self._set: PatternSet[_Bucket] | None = None
        members = {test: bucket for test, bucket in tests.items() if is_in_set(test)}
        if len(members) >= _LEAST_IN_SET:
            self._set = PatternSet(members)
        else:
            members = {}
        for test, bucket in tests.items():
            if test not in members:
                self._tests.append((value_test(test), bucket))
        self.texts: dict[str, Sequence[_Bucket]] = {}
        self.numbers: dict[str, Sequence[_Bucket]] = {}

    def find(self, value: str) -> Sequence[_Bucket]:
        """The buckets of a string or number that is not kept yet."""
        found = [bucket for holds, bucket in self._tests if holds(value)]
        if self._set is not None:
            found += self._set.find(value)
        if len(value) <= _LONGEST_KEPT:
            kept = self.numbers if isinstance(value, NumberText) else self.texts
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[value] = found
        return found


class JsonIndex:
    """Rules with JSON patterns, each found by an access predicate of its condition."""

    def __init__(self, rules: Iterable[tuple[int, Rule]], generator: Generator) -> None:
        """``rules``: with the numbers that ``matching`` returns."""
        self._generator = generator
        self._always = _Bucket(generator)
        self._exists: dict[Selector, _Bucket] = {}
        self._equal: dict[Selector, dict[str, _Bucket]] = {}
        self._patterns: dict[Selector, dict[Comparison, _Bucket]] = {}
        self._has_always = False
        self.repeats = False
        """Whether ``matching`` may return a number more than once."""
        for number, rule in rules:
            tree = rule.pattern.tree
            ways = entries(cast(JsonPattern, tree).condition)
            self.repeats = self.repeats or not are_exclusive(ways)
            for entry in ways:
                self._bucket(entry).add(number, entry.residual)
        tests = list(self._tests())
        self.matching: Callable[[Any], list[int]] = generator.function(
            "e", ["out = []", *tests, "return out"]
        )
        """Returns the numbers of the rules that the fields of a message satisfy: not sorted, and
        more than once if an ``||`` holds twice. Raises InexactError."""
        self.scan: Scan = generator.function(
            "messages, matched",
            [
                "out = []",
                "for index, e in enumerate(messages):",
                " try:",
                *(f"  {line}" for line in tests),
                " except InexactError:",
                "  matched.append((index, e, None))",
                "  out = []",
                " else:",
                "  if out:",
                "   matched.append((index, e, out))",
                "   out = []",
            ],
        )
        """The same for the fields of many messages."""

    def _bucket(self, entry: Entry) -> _Bucket:
        test = entry.predicate
        if test is None:
            self._has_always = True
            return self._always
        selector = test.selector
        if is_equality(test):
            equal = self._equal.setdefault(selector, {})
            return equal.setdefault(test.value.text, _Bucket(self._generator))  # type: ignore[union-attr]
        if is_exists(test):
            return self._exists.setdefault(selector, _Bucket(self._generator))
        patterns = self._patterns.setdefault(selector, {})
        return patterns.setdefault(test, _Bucket(self._generator))

    def _tests(self) -> Iterable[str]:
        """The code that adds the numbers of rules that the fields ``e`` satisfy to ``out``."""
        generator = self._generator
        for selector in dict.fromkeys([*self._equal, *self._patterns, *self._exists]):
            yield f"value = {generator.value(selector)}"
            yield "if value.__class__ is str or value.__class__ is NumberText:"
            yield from (f" {line}" for line in self._lines(selector))
        if self._has_always:
            yield f"{generator.name(self._always)}.run(e, out)"
        if not (self._equal or self._patterns or self._exists or self._has_always):
            yield "pass"

    def _lines(self, selector: Selector) -> Iterable[str]:
        name = self._generator.name
        equal = self._equal.get(selector)
        if equal is not None:
            yield f"found = {name(equal.get)}(value)"
            yield "if found is not None:"
            yield " found.run(e, out)"
        tests = self._patterns.get(selector)
        if tests is not None:
            patterns = _Patterns(tests)
            texts = name(patterns.texts)
            numbers = name(patterns.numbers)
            find = name(patterns.find)
            yield f"kept = ({texts} if value.__class__ is str else {numbers}).get(value)"
            yield "if kept is None:"
            yield f" kept = {find}(value)"
            yield "for found in kept: found.run(e, out)"
        exists = self._exists.get(selector)
        if exists is not None:
            yield f"{name(exists)}.run(e, out)"
