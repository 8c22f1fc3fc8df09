"""The program of the rules that look at a message as a line: its terms or its fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.configuration import ValueSpec
from exporter.model import Increment, SeriesKey
from exporter.patterns import Document
from exporter.patterns.syntax import AllPattern, JsonPattern, SpacePattern, TermsPattern
from exporter.rules.fieldindex import FieldIndex
from exporter.rules.increments import Increments
from exporter.rules.places import Place
from exporter.rules.rule import Rule
from exporter.rules.taking import Amounts, Decode, Take, decoding, taking
from exporter.rules.termindex import TermIndex

_MOST_KEPT = 4096
"""Sets of rules that match together whose increments are prepared."""

_PENDING = Increment("", SeriesKey("", ()), SeriesKey("", ()), None)
"""In the place of an increment that depends on the line."""


class LineProgram:
    """Rules with unstructured, space-delimited and empty patterns, compiled together.

    It gives the increments that ``FilterPattern.match_document`` and ``Rule.increment`` give, rule
    by rule. Thread-safe; can be pickled.

    A set of rules is an int with a bit for each. What a message is searched for and split into is
    the same for all rules, and which increments a set of rules makes is prepared once.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Raises TypeError for a JSON pattern."""
        self.rules = tuple(rules)
        self._always = 0
        terms: dict[int, TermsPattern] = {}
        spaces: dict[int, SpacePattern] = {}
        for number, rule in enumerate(self.rules):
            tree, bit = rule.pattern.tree, 1 << number
            if isinstance(tree, TermsPattern):
                terms[bit] = tree
            elif isinstance(tree, SpacePattern):
                spaces[bit] = tree
            elif isinstance(tree, AllPattern):
                self._always |= bit
            elif isinstance(tree, JsonPattern):
                raise TypeError(f"rule {rule.name} has a JSON pattern")
        self._terms = TermIndex(terms) if terms else None
        self._fields = FieldIndex(spaces, _references(self.rules)) if spaces else None
        self._spaced = sum(spaces)
        amounts: dict[ValueSpec, Amounts] = {}
        self._parts = [
            (Increments(rule), amounts.setdefault(rule.value, Amounts(rule.value)))
            for rule in self.rules
        ]
        self._outcomes: dict[tuple[int, int, Place], _Outcome] = {}

    def increments(self, message: str, place: Place) -> list[Increment]:
        """What a message adds at a place, in the order of the rules."""
        rules = self._always
        if self._terms is not None:
            rules |= self._terms.matching(message)
        texts: Sequence[str] = ()
        count = 0
        fields = self._fields
        if fields is not None:
            texts = fields.texts(message)
            count = fields.count(texts)
            matching = fields.matching(message, texts, count)
            rules |= matching
            if not matching:
                count = 0
        if not rules:
            return []
        outcome = self._outcomes.get((rules, count, place))
        if outcome is None:
            outcome = self._outcome(rules, count, place)
        made = outcome.prepared.copy()
        for index, take in outcome.taken:
            made[index] = take(texts, message)
        if outcome.decoded:
            document = Document(message)
            for index, decode in outcome.decoded:
                made[index] = decode(document)
        return made

    def _outcome(self, rules: int, count: int, place: Place) -> _Outcome:
        if len(self._outcomes) >= _MOST_KEPT:
            self._outcomes = {}
        outcome = _Outcome()
        left = rules
        while left:
            bit = left & -left
            left ^= bit
            extracted = {}
            if self._fields is not None and bit & self._spaced:
                extracted = self._fields.extracted(bit, count)
            increments, amounts = self._parts[bit.bit_length() - 1]
            index = len(outcome.prepared)
            decode = decoding(increments, place)
            if decode is not None:
                outcome.decoded.append((index, decode))
                outcome.prepared.append(_PENDING)
                continue
            made = taking(increments, amounts, extracted, place)
            if not isinstance(made, Increment):
                outcome.taken.append((index, made))
                made = _PENDING
            outcome.prepared.append(made)
        self._outcomes[rules, count, place] = outcome
        return outcome

    def __reduce__(self) -> tuple[object, tuple[tuple[Rule, ...]]]:
        return LineProgram, (self.rules,)


class _Outcome:
    """The increments of a set of rules that match together, as far as they are known before."""

    __slots__ = ("decoded", "prepared", "taken")

    def __init__(self) -> None:
        self.prepared: list[Increment] = []
        self.taken: list[tuple[int, Take]] = []
        """By their index in ``prepared``, those that depend on the line."""
        self.decoded: list[tuple[int, Decode]] = []
        """By their index, those that depend on the message as JSON."""


def _references(rules: Iterable[Rule]) -> list[str]:
    given = [reference for rule in rules for each in rule.dynamic.values() for reference in each]
    given += [rule.value.reference for rule in rules if rule.value.reference is not None]
    return [reference.field for reference in given if reference.field is not None]
