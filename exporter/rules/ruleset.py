"""The rule set: a batch of log events in, judged events out.

Each message is decoded once, for all rules. This module is the seam for speed: what calls it knows
batches and judged events, not how many rules looked at an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from exporter.configuration import RuleConfig
from exporter.exactness import RuleVersion, Timeline, may_count
from exporter.model import (
    EventFormat,
    EventKey,
    Increment,
    JudgedEvent,
    LogEvent,
    Partition,
    SeriesKey,
)
from exporter.patterns import Document, FilterPattern, may_be_object
from exporter.rules.lines import LineProgram
from exporter.rules.places import Place, Places
from exporter.rules.records import Facts, aliases, facts
from exporter.rules.rule import Rule, definition

_log = structlog.get_logger(__name__)

Known = Callable[[Sequence[EventKey]], Sequence[frozenset[str] | None]]
"""Returns for each event the rules that have judged it; None if it is not remembered."""

_MOST_JUDGES = 256
"""Ranges of time whose rules are kept for a source; forged event times can request any."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of a batch of log events."""

    events: Sequence[JudgedEvent]
    """Those that at least one rule matched."""

    @property
    def increments(self) -> list[Increment]:
        """All matches of the batch, in its order."""
        return [increment for event in self.events for increment in event.increments]


class RuleSet:
    """The versions of rules that sources are judged by. Thread-safe; can be pickled."""

    def __init__(
        self, versions: Mapping[str, Iterable[RuleVersion]], rules: Iterable[RuleConfig] = ()
    ) -> None:
        """``versions``: by source. ``rules``: the configured ones, whose patterns are compiled.

        A version whose definition this exporter cannot read is logged and left out.
        """
        patterns = {rule.pattern: rule.compiled for rule in rules}
        known: dict[tuple[str, str], Rule | None] = {}
        self._judges: dict[str, _Judges] = {}
        for source, of in versions.items():
            usable: list[tuple[RuleVersion, Rule]] = []
            for version in of:
                key = version.rule, version.definition
                rule = known[key] = known[key] if key in known else _read(version, patterns)
                if rule is not None:
                    usable.append((version, rule))
            self._judges[source] = _Judges(usable)

    @classmethod
    def of(cls, rules: Iterable[RuleConfig]) -> RuleSet:
        """A rule set in which each rule judges all events, whenever they happened."""
        rules = tuple(rules)
        versions: dict[str, list[RuleVersion]] = {}
        for rule in rules:
            version = RuleVersion(rule.name, None, None, definition(rule))
            for source in rule.sources:
                versions.setdefault(source, []).append(version)
        return cls(versions, rules)

    def listening(self, source: str) -> list[str]:
        """The rules that are in force on a source."""
        return [rule.name for rule in self._judges_of(source).in_force]

    def own_starts(self, source: str) -> Mapping[str, int]:
        """Rules that name a start of their own, and when it is on a source (see Source.poll)."""
        return self._judges_of(source).own_starts

    def evaluate(
        self,
        events: Sequence[LogEvent],
        partition: Partition,
        event_format: EventFormat,
        *,
        watermark: int | None = None,
        backfill: frozenset[str] = frozenset(),
        known: Known | None = None,
    ) -> Evaluation:
        """Match a batch of a partition's log events with the rules that may count them.

        If slices are read again (``watermark`` is not None), each event is judged by the versions
        in force at its event time; else by those in force now. ``watermark``, ``backfill``: see
        Reading. ``known``: returns the rules that have judged each of these events; those are not
        evaluated again.
        """
        judges = self._judges_of(partition.source)
        places = Places(partition)
        judged: list[JudgedEvent] = []
        for event in events:
            document = Document(event.message) if may_be_object(event.message) else None
            fact = facts(event, document, partition, event_format)
            happened = None if watermark is None else fact.happened
            panel = judges.judge(happened, may_count(event.time, watermark, backfill))
            if known is not None and fact.event_id is not None:
                counted = known([(fact.scope, fact.event_id, fact.event_time)])[0]
                if counted is not None and panel.names <= counted:
                    continue
            increments = panel.increments(event.message, document, fact, places)
            if increments:
                judged.append(
                    JudgedEvent(
                        event_id=fact.event_id,
                        scope=fact.scope,
                        time=event.time,
                        event_time=fact.event_time,
                        judged=panel.names,
                        increments=tuple(increments),
                        aliases=aliases(event, document, partition, fact),
                    )
                )
        return Evaluation(judged)

    def static_series(self, partition: Partition) -> dict[str, SeriesKey]:
        """By rule, the series of a partition that are known before any match.

        These are the series of rules whose labels are all literal.
        """
        place = Place.of(partition.account_id, partition.region, partition)
        return {
            rule.name: rule.series(place, ())
            for rule in self._judges_of(partition.source).in_force
            if not rule.dynamic
        }

    def _judges_of(self, source: str) -> _Judges:
        return self._judges.get(source) or _Judges(())


class _Judges:
    """The rules that judge the events of a source, by when these happened."""

    def __init__(self, rules: Iterable[tuple[RuleVersion, Rule]]) -> None:
        self._rules = dict(rules)
        self._timeline = Timeline(self._rules)
        self._known: dict[object, _Panel] = {}
        latest = self.judge(None, None)
        self.in_force, names = latest.rules, latest.names
        self.own_starts = {
            version.rule: version.since
            for version in self._rules
            if version.own_start and version.since is not None and version.rule in names
        }

    def judge(self, happened: tuple[int, int] | None, only: frozenset[str] | None) -> _Panel:
        """The rules that judge an event: the same object for most events.

        ``happened``: its earliest and latest time; None to use the latest versions. ``only``: the
        rules that may count it; None for all.
        """
        timeline = self._timeline
        stretch = timeline.latest if happened is None else timeline.stretch(*happened)
        key = (stretch, only)
        found = self._known.get(key)
        if found is None:
            versions = timeline.judges(stretch)
            found = _Panel([self._rules[v] for v in versions if only is None or v.rule in only])
            if len(self._known) >= _MOST_JUDGES:
                self._known = {}
            self._known[key] = found
        return found


class _Panel:
    """Rules that judge events together."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.names = frozenset(rule.name for rule in rules)
        self._order = {rule.name: number for number, rule in enumerate(rules)}
        self._objects = [rule for rule in rules if rule.pattern.kind == "json"]
        self._lines = LineProgram(rule for rule in rules if rule.pattern.kind != "json")

    def increments(
        self, message: str, document: Document | None, fact: Facts, places: Places
    ) -> list[Increment]:
        """What a message adds, in the order of the rules.

        ``document``: None if the message is no JSON object.
        """
        place = places.of(fact.account_id, fact.region)
        increments = self._lines.increments(message, place)
        if document is None or not self._objects:
            return increments
        for rule in self._objects:
            match = rule.pattern.match_document(document)
            if match is not None:
                increments.append(rule.increment(document, match, place))
        increments.sort(key=lambda increment: self._order[increment.rule])
        return increments


def _read(version: RuleVersion, patterns: Mapping[str, FilterPattern]) -> Rule | None:
    try:
        return Rule.of(version.rule, version.definition, patterns)
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        _log.warning(
            "a stored version of a rule cannot be read by this version of the exporter: late events"
            " from when it was in force do not count for the rule",
            rule=version.rule,
            error=str(error),
        )
        return None
