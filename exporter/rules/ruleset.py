"""The rule set: a batch of log events in, judged events out.

This module is the seam for speed: what calls it knows batches and judged events, not how rules are
compiled. ``docs/architecture.md`` describes the fast way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog

from exporter.configuration import RuleConfig
from exporter.exactness import RuleVersion, joined_at
from exporter.model import (
    EventFormat,
    Excluded,
    Feed,
    Increment,
    JudgedEvent,
    Limits,
    LogEvent,
    Partition,
    SeriesKey,
    pickled_by_fields,
)
from exporter.patterns import FilterPattern
from exporter.planning.interest import Interest
from exporter.rules.evaluation import Batch, Known
from exporter.rules.judges import Judges
from exporter.rules.places import Place, by_log_group
from exporter.rules.rule import Rule, definition

_log = structlog.get_logger(__name__)


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome of a batch of log events."""

    events: Sequence[JudgedEvent]
    """Those that at least one rule matched."""
    excluded: Excluded = field(default_factory=dict)
    """The number of those that the limits exclude."""

    @property
    def increments(self) -> list[Increment]:
        """All matches of the batch, in its order."""
        return [increment for event in self.events for increment in event.increments]


class RuleSet:
    """The versions of rules that sources are judged by. Thread-safe; can be pickled."""

    def __init__(
        self,
        versions: Mapping[str, Iterable[RuleVersion]],
        rules: Iterable[RuleConfig] = (),
        *,
        feeds: Mapping[str, Feed] = MappingProxyType({}),
        joined: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """A version whose definition this exporter cannot read is logged and left out.

        Args:
            versions: by source.
            rules: the configured ones, whose patterns are compiled.
            feeds: by source; others are feeds of their own.
            joined: by source, milliseconds: its events from before do not count.
        """
        self._feeds = dict(feeds)
        self._joined = frozenset(joined)
        patterns = {rule.pattern: rule.compiled for rule in rules}
        known: dict[tuple[str, str], Rule | None] = {}
        self._judges: dict[str, Judges] = {}
        self._nobody = Judges(())
        for source, of in versions.items():
            usable: list[tuple[RuleVersion, Rule]] = []
            for version in joined_at(of, joined.get(source)):
                key = version.rule, version.definition
                rule = known[key] = known[key] if key in known else _read(version, patterns)
                if rule is not None:
                    usable.append((version, rule))
            self._judges[source] = Judges(usable)

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

    def feed(self, source: str) -> Feed:
        """The feed of a source."""
        return self._feeds.get(source) or Feed(source, (source,), "")

    def own_starts(self, source: str) -> Mapping[str, int]:
        """Rules that name a start of their own, and when it is on a source (see Source.poll)."""
        return self._judges_of(source).own_starts

    def interest(self, source: str) -> Interest:
        """The patterns that may count events of a source (see Source.poll)."""
        return self._judges_of(source).interest

    def evaluate(
        self,
        events: Sequence[LogEvent],
        partition: Partition,
        event_format: EventFormat,
        *,
        watermark: int | None = None,
        backfill: frozenset[str] = frozenset(),
        known: Known | None = None,
        limits: Limits | None = None,
    ) -> Evaluation:
        """Match a batch of a partition's log events with the rules that may count them.

        If slices are read again (``watermark`` is not None) or several sources bring the events,
        each event is judged by the versions in force at its event time; else by those in force now.
        ``watermark``, ``backfill``: see Reading, as for ``limits``. ``known``: returns the rules
        that have judged each of these events; those are not evaluated again.
        """
        source = partition.source
        feed = self.feed(source)
        judged: list[JudgedEvent] = []
        excluded: dict[tuple[str, str], int] = {}
        for origin, some in by_log_group(events, partition):
            batch = Batch(
                self._judges_of(source).at(origin.account_id, origin.region),
                origin,
                event_format,
                watermark=watermark,
                backfill=backfill,
                limits=limits,
                feed=feed.name,
                by_event_time=watermark is not None or feed.is_shared or source in self._joined,
            )
            judged += batch.judge(some, known)
            excluded |= {key: excluded.get(key, 0) + n for key, n in batch.excluded.items()}
        return Evaluation(judged, excluded)

    def static_series(self, partition: Partition) -> dict[str, SeriesKey]:
        """By rule, the series of a partition that are known before any match.

        These are the series of rules whose labels are all literal.
        """
        feed = self.feed(partition.source).name
        where = partition.account_id, partition.region
        place = Place.of(*where, partition, feed)
        return {
            rule.name: rule.series(place, ())
            for rule in self._judges_of(partition.source).at(*where).in_force
            if not rule.dynamic
        }

    def _judges_of(self, source: str) -> Judges:
        return self._judges.get(source, self._nobody)


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
