"""The rules that judge an event, compiled together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from copy import copy
from functools import partial
from typing import Any

from exporter.configuration import Reference
from exporter.model import Increment
from exporter.patterns import MISSING
from exporter.patterns.syntax import JsonPattern
from exporter.rules.codegen import Generator, Read
from exporter.rules.decoder import Decoder
from exporter.rules.increments import Increments
from exporter.rules.index import JsonIndex
from exporter.rules.labels import amount, label_text, scalar_text
from exporter.rules.lines import LineProgram
from exporter.rules.places import Place
from exporter.rules.rule import Rule

_MOST_PLACES = 256
"""Places whose increments are kept; a CloudTrail record can name any."""
_MOST_TOGETHER = 20_000
"""Sets of rules whose increments are kept."""

Make = Callable[[Any, Place], Increment]
"""Makes the increment of a match from the fields of the message."""
OfLine = Callable[[str, Place], list[Increment]]
"""Returns what a message adds at a place."""


class Program:
    """Rules compiled together: what a message adds for all of them.

    It gives the increments that ``FilterPattern.match_document`` and ``Rule.increment`` give, rule
    by rule. Thread-safe.
    """

    def __init__(self, rules: Sequence[Rule], decoder: Decoder) -> None:
        self.names = frozenset(rule.name for rule in rules)
        self._rules = rules
        self._order = {rule.name: number for number, rule in enumerate(rules)}
        self._generator = Generator(decoder)
        of_json = [
            (number, rule)
            for number, rule in enumerate(rules)
            if isinstance(rule.pattern.tree, JsonPattern)
        ]
        index = JsonIndex(of_json, self._generator) if of_json else None
        self.matching = index.matching if index else None
        self.scan = index.scan if index else None
        """See JsonIndex; None if no rule has a JSON pattern."""
        self._repeats = index is not None and index.repeats
        numbers = {number for number, _ in of_json}
        of_lines = [rule for number, rule in enumerate(rules) if number not in numbers]
        self._lines = LineProgram(of_lines) if of_lines else None
        self.of_line: OfLine | None = self._lines.increments if self._lines else None
        """Returns what the rules with other patterns add; None if all have JSON patterns."""
        self._makes: dict[int, Make] = {}
        self._constant: dict[Place, dict[int, Increment]] = {}
        """The increments of rules whose matches all add the same at a place."""
        self._together: dict[Place, dict[tuple[int, ...], tuple[Increment, ...]]] = {}
        """Those of such rules that matched together, by ``matching``."""
        self._kept = 0

    def part(self, rules: Collection[Rule]) -> Program:
        """Some of its rules: nothing is compiled again, and what others match is left out."""
        wanted = set(map(id, rules))
        numbers = frozenset(n for n, rule in enumerate(self._rules) if id(rule) in wanted)
        part = copy(self)
        part.names = frozenset(rule.name for rule in rules)
        if (all_matching := self.matching) is not None:
            part.matching = lambda fields: [n for n in all_matching(fields) if n in numbers]
        if self._lines is not None:
            bits = self._lines.bits(wanted)
            part.of_line = partial(self._lines.increments, asked=bits) if bits else None
        return part

    def made(self, matching: list[int], fields: Any, place: Place) -> tuple[Increment, ...]:
        """The increments of matching rules with JSON patterns, in the order of the rules.

        ``matching``: as JsonIndex returns it. Raises InexactError.
        """
        together = self._together.get(place)
        key = tuple(matching)
        if together is not None:
            increments = together.get(key)
            if increments is not None:
                return increments
        if len(matching) > 1:
            matching = sorted(set(matching)) if self._repeats else sorted(matching)
        constant = self._constant.get(place)
        if constant is None:
            if len(self._constant) >= _MOST_PLACES:
                self._constant = {}
            constant = self._constant[place] = {}
        made = tuple(
            [
                constant.get(number) or self._made(number, fields, place, constant)
                for number in matching
            ]
        )
        if constant.keys() >= set(matching):
            self._keep(place, key, made)
        return made

    def _keep(self, place: Place, key: tuple[int, ...], made: tuple[Increment, ...]) -> None:
        if self._kept >= _MOST_TOGETHER:
            self._together, self._kept = {}, 0
        self._together.setdefault(place, {})[key] = made
        self._kept += 1

    def _made(
        self, number: int, fields: Any, place: Place, constant: dict[int, Increment]
    ) -> Increment:
        make = self._makes.get(number)
        if make is None:
            make = self._makes[number] = _making(self._rules[number], self._generator)
        increment = make(fields, place)
        rule = self._rules[number]
        if not rule.dynamic and rule.value.reference is None:
            constant[number] = increment
        return increment

    def in_order(self, increments: Iterable[Increment]) -> list[Increment]:
        """Sort increments by their rules."""
        return sorted(increments, key=lambda increment: self._order[increment.rule])


def _making(rule: Rule, generator: Generator) -> Make:
    make = Increments(rule).make
    labels = [_label(references, generator) for references in rule.dynamic.values()]
    spec = rule.value
    if spec.reference is None:
        constant = spec.number
        if not labels:
            return lambda _fields, place: make(place, (), constant)
        if len(labels) == 1:
            (label,) = labels
            return lambda fields, place: make(place, (label(fields),), constant)
        return lambda fields, place: make(
            place, tuple([label(fields) for label in labels]), constant
        )
    read = _reader(spec.reference, generator)
    return lambda fields, place: make(
        place, tuple([label(fields) for label in labels]), amount(spec, read(fields))
    )


def _reader(reference: Reference, generator: Generator) -> Read:
    if reference.selector is None:
        # A field of a line, which a JSON pattern does not extract.
        return lambda _fields: MISSING
    return generator.reader(reference.selector)


def _label(references: Sequence[Reference], generator: Generator) -> Callable[[Any], str]:
    reads = [(_reader(reference, generator), reference.part) for reference in references]

    def label(fields: Any) -> str:
        for read, part in reads:
            value = read(fields)
            if value is not MISSING and value is not None:
                text = scalar_text(value)
                return label_text(text if part is None else part.of(text))
        return ""

    return label
