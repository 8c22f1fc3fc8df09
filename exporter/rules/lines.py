"""The program of the rules that look at a message as a line: its terms or its fields."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from exporter.configuration import ValueSpec
from exporter.model import Increment, SeriesKey
from exporter.patterns import Document
from exporter.patterns.syntax import AllPattern, JsonPattern, SpacePattern, TermsPattern
from exporter.rules.fieldindex import FieldIndex
from exporter.rules.increments import Increments
from exporter.rules.memo import Memo
from exporter.rules.places import Place
from exporter.rules.rule import Rule
from exporter.rules.taking import Amounts, Decode, Extracted, Take, decoding, taking
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
        self._prepared: dict[tuple[int, int, Place], _Prepared] = {}
        """By a rule, the number of fields, and the place."""
        self._outcomes: Memo[tuple[int, int, Place], _Outcome] = Memo(_MOST_KEPT)
        """By a set of rules, the number of fields, and the place."""
        self._messages = 0

    def bits(self, rules: Container[int]) -> int:
        """The set of the rules with these ids."""
        return sum(1 << number for number, rule in enumerate(self.rules) if id(rule) in rules)

    def increments(self, message: str, place: Place, asked: int = -1) -> list[Increment]:
        """What a message adds at a place, in the order of the rules.

        ``asked``: the set of rules that may match; all by default.
        """
        self._messages += 1
        rules = self._always
        if self._terms is not None:
            rules |= self._terms.matching(message)
        texts: Sequence[str] = ()
        count = 0
        fields = self._fields
        if fields is not None and fields.may_match(message):
            texts = fields.texts(message)
            count = fields.count(texts)
            matching = fields.matching(message, texts, count) & asked
            rules |= matching
            if not matching:
                count = 0
        rules &= asked
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
        outcome = _Outcome()
        prepared = self._prepared
        left = rules
        while left:
            bit = left & -left
            left ^= bit
            key = (bit, count if bit & self._spaced else 0, place)
            outcome.add(prepared.get(key) or self._prepare(key))
        self._outcomes.keep((rules, count, place), outcome, self._messages)
        return outcome

    def _prepare(self, key: tuple[int, int, Place]) -> _Prepared:
        bit, count, place = key
        increments, amounts = self._parts[bit.bit_length() - 1]
        extracted: Extracted = {}
        if self._fields is not None and bit & self._spaced:
            extracted = self._fields.extracted(bit, count)
        decode = decoding(increments, place)
        made = _Prepared(decode=decode)
        if decode is None:
            one = taking(increments, amounts, extracted, place)
            made = _Prepared(one) if isinstance(one, Increment) else _Prepared(take=one)
        if len(self._prepared) >= _MOST_KEPT + len(self.rules):
            self._prepared = {}
        self._prepared[key] = made
        return made

    def __reduce__(self) -> tuple[object, tuple[tuple[Rule, ...]]]:
        return LineProgram, (self.rules,)


class _Prepared(NamedTuple):
    """A rule's increment, as far as it is known before the line."""

    increment: Increment = _PENDING
    take: Take | None = None
    decode: Decode | None = None


class _Outcome:
    """The increments of a set of rules that match together, as far as they are known before."""

    __slots__ = ("decoded", "prepared", "taken")

    def __init__(self) -> None:
        self.prepared: list[Increment] = []
        self.taken: list[tuple[int, Take]] = []
        """By their index in ``prepared``, those that depend on the line."""
        self.decoded: list[tuple[int, Decode]] = []
        """By their index, those that depend on the message as JSON."""

    def add(self, one: _Prepared) -> None:
        """Add the next rule's."""
        increment, take, decode = one
        if take is not None:
            self.taken.append((len(self.prepared), take))
        elif decode is not None:
            self.decoded.append((len(self.prepared), decode))
        self.prepared.append(increment)


def _references(rules: Iterable[Rule]) -> list[str]:
    given = [reference for rule in rules for each in rule.dynamic.values() for reference in each]
    given += [rule.value.reference for rule in rules if rule.value.reference is not None]
    return [reference.field for reference in given if reference.field is not None]
