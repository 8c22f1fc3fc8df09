"""The rules that judge an event, compiled together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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

Make = Callable[[Any, Place], Increment]
"""Makes the increment of a match from the fields of the message."""


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
        """See JsonIndex; None if no rule has a JSON pattern."""
        self._repeats = index is not None and index.repeats
        numbers = {number for number, _ in of_json}
        of_lines = [rule for number, rule in enumerate(rules) if number not in numbers]
        self.lines = LineProgram(of_lines) if of_lines else None
        """None if all rules have JSON patterns."""
        self._makes: dict[int, Make] = {}
        self._constant: dict[Place, dict[int, Increment]] = {}
        """The increments of rules whose matches all add the same at a place."""

    def made(self, matching: list[int], fields: Any, place: Place) -> list[Increment]:
        """The increments of matching rules with JSON patterns, in the order of the rules.

        ``matching``: as JsonIndex returns it. Raises InexactError.
        """
        if len(matching) > 1:
            matching = sorted(set(matching)) if self._repeats else sorted(matching)
        constant = self._constant.get(place)
        if constant is None:
            if len(self._constant) >= _MOST_PLACES:
                self._constant = {}
            constant = self._constant[place] = {}
        try:
            return [constant[number] for number in matching]
        except KeyError:
            return [
                constant.get(number) or self._made(number, fields, place, constant)
                for number in matching
            ]

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
    reads = [_reader(reference, generator) for reference in references]

    def label(fields: Any) -> str:
        for read in reads:
            value = read(fields)
            if value is not MISSING and value is not None:
                return label_text(scalar_text(value))
        return ""

    return label
