"""The rules that judge the events of a source, by when these happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property

from exporter.exactness import RuleVersion, Timeline
from exporter.patterns.syntax import JsonPattern
from exporter.planning.interest import Interest, Wanted
from exporter.rules.decoder import Decoder
from exporter.rules.program import Program
from exporter.rules.rule import Rule

_MOST_RULES = 200_000
"""Rules in all parts of programs that are kept for a source."""
_MOST_PLACES = 4096
"""Accounts and regions for which rules are kept, if some are not for all of them."""
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
        self.latest_from = _text(self._timeline.last_bound)
        """The latest versions judge records of this ``eventTime`` and later ones."""
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
        self._is_for_all = all(rule.criteria is None for rule in self._rules.values())
        self._at: dict[tuple[str, str], Judges] = {}
        self._programs: dict[object, Program] = {}
        self._parts: dict[tuple[RuleVersion, ...], Program] = {}
        self._most_parts = _MOST_RULES // (len(self._rules) + 1) + 2
        self._in_force = self._judging(self._timeline.latest, None)
        self.in_force = [self._rules[version] for version in self._in_force]
        names = {rule.name for rule in self.in_force}
        self.own_starts = {
            version.rule: version.since
            for version in self._rules
            if version.own_start and version.since is not None and version.rule in names
        }

    @cached_property
    def interest(self) -> Interest:
        """The patterns of all versions."""
        return Interest(
            Wanted(rule.pattern, version.until) for version, rule in self._rules.items()
        )

    def at(self, account_id: str, region: str) -> Judges:
        """The rules that judge the events of an account and region."""
        if self._is_for_all:
            return self
        found = self._at.get((account_id, region))
        if found is None:
            if len(self._at) >= _MOST_PLACES:
                self._at = {}
            found = self._at[account_id, region] = self._selected(account_id, region)
        return found

    def _selected(self, account_id: str, region: str) -> Judges:
        rules = {
            version: rule
            for version, rule in self._rules.items()
            if rule.criteria is None or rule.criteria.select(account_id, region)
        }
        for other in list(self._at.values()):  # Most places select the same rules.
            if other._rules.keys() == rules.keys():
                return other
        selected = Judges(rules.items())
        selected._is_for_all = True
        return selected

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
            found = self._program(self._judging(stretch, only))
            if len(self._programs) >= _MOST_PROGRAMS:
                self._programs = {}
            self._programs[key] = found
        return found

    def common_program(self, first: int, last: int) -> Program | None:
        """The rules that judge all events from one time to another; None if these differ.

        Equal rules at both ends are not enough: one may have been added and removed in between.
        """
        from_part, to_part = self._timeline.stretch(first, last)
        return self.program((first, last), None) if from_part == to_part else None

    def _program(self, versions: tuple[RuleVersion, ...]) -> Program:
        found = self._parts.get(versions)
        if found is None:
            if len(self._parts) >= self._most_parts:
                self._programs, self._parts = {}, {}
            rules = [self._rules[version] for version in versions]
            found = self._latest if versions == self._in_force else self._all.part(rules)
            self._parts[versions] = found
        return found

    @cached_property
    def _latest(self) -> Program:
        return Program(self.in_force, self.decoder)

    @cached_property
    def _all(self) -> Program:
        """The rules of all times: other programs are parts of it, so they are not compiled."""
        # Versions with the same definition share a rule.
        rules = list({id(rule): rule for rule in self._rules.values()}.values())
        return Program(rules, self.decoder) if len(rules) > len(self.in_force) else self._latest

    def _judging(
        self, stretch: tuple[int, int], only: frozenset[str] | None
    ) -> tuple[RuleVersion, ...]:
        versions = self._timeline.judges(stretch)
        return tuple(version for version in versions if only is None or version.rule in only)

    def __reduce__(self) -> tuple[object, tuple[list[tuple[RuleVersion, Rule]]]]:
        return Judges, (list(self._rules.items()),)


def _text(bound: int | None) -> str:
    """A time as CloudTrail writes it, in whole seconds."""
    if bound is None:
        return ""
    begin = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=-(-bound // 1000))
    return begin.strftime("%Y-%m-%dT%H:%M:%SZ")
