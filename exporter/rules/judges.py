"""The rules that judge the events of a source, by when these happened."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.exactness import RuleVersion, Timeline
from exporter.patterns.syntax import JsonPattern
from exporter.rules.decoder import Decoder
from exporter.rules.program import Program
from exporter.rules.rule import Rule

_MOST_RULES = 20_000
"""Rules in all programs that are kept for a source."""
_MOST_PROGRAMS = 256
"""Ranges of time whose rules are kept for a source; forged event times can request any."""


class Judges:
    """The versions of rules of a source, and the programs that they are compiled to when needed.

    Thread-safe; can be pickled.
    """

    def __init__(self, rules: Iterable[tuple[RuleVersion, Rule]]) -> None:
        self._rules = dict(rules)
        self._timeline = Timeline(self._rules)
        self.is_timeless = self._timeline.latest == (0, 0)
        """Whether the same versions judge all events, whenever they happened."""
        self.reads_lines = any(
            not isinstance(rule.pattern.tree, JsonPattern) for rule in self._rules.values()
        )
        """Whether a rule looks at the text of messages."""
        self.reads_json = any(
            isinstance(rule.pattern.tree, JsonPattern) for rule in self._rules.values()
        )
        """Whether a rule looks at the fields of JSON messages."""
        self.decoder = Decoder(
            rule for rule in self._rules.values() if isinstance(rule.pattern.tree, JsonPattern)
        )
        """Decodes messages for all programs."""
        self._programs: dict[object, Program] = {}
        self._compiled: dict[tuple[RuleVersion, ...], Program] = {}
        self._most_compiled = _MOST_RULES // (len(self._rules) + 1) + 2
        latest = self._judging(self._timeline.latest, None)
        self.in_force = [self._rules[version] for version in latest]
        names = {rule.name for rule in self.in_force}
        self.own_starts = {
            version.rule: version.since
            for version in self._rules
            if version.own_start and version.since is not None and version.rule in names
        }

    def program(self, happened: tuple[int, int] | None, only: frozenset[str] | None) -> Program:
        """The rules that judge an event: the same object for most events.

        ``happened``: its earliest and latest time; None to use the latest versions. ``only``: the
        rules that may count it; None for all.
        """
        timeline = self._timeline
        stretch = timeline.latest if happened is None else timeline.stretch(*happened)
        key = (stretch, only)
        found = self._programs.get(key)
        if found is None:
            found = self._compile(self._judging(stretch, only))
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs = {}
            self._programs[key] = found
        return found

    def _compile(self, versions: tuple[RuleVersion, ...]) -> Program:
        found = self._compiled.get(versions)
        if found is None:
            if len(self._compiled) >= self._most_compiled:
                self._programs, self._compiled = {}, {}
            found = Program([self._rules[version] for version in versions], self.decoder)
            self._compiled[versions] = found
        return found

    def _judging(
        self, stretch: tuple[int, int], only: frozenset[str] | None
    ) -> tuple[RuleVersion, ...]:
        versions = self._timeline.judges(stretch)
        return tuple(version for version in versions if only is None or version.rule in only)

    def __reduce__(self) -> tuple[object, tuple[list[tuple[RuleVersion, Rule]]]]:
        return Judges, (list(self._rules.items()),)
