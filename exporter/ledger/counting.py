"""What a batch adds, as pure functions of the ledger's rows: no database here.

``Placement`` selects the series of increments, within the rules' limits, and adds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from exporter.ledger.base import LedgerError, RuleChange, later
from exporter.ledger.rows import bounds_of, bounds_text, labels_text
from exporter.ledger.shown import SeriesState
from exporter.ledger.sums import Sum
from exporter.ledger.tables import Member, MemberCount, RuleCount, Series
from exporter.ledger.tally import Group, GroupKey, Tally, event_time
from exporter.model import OVERFLOW, Increment, Partition, SeriesKey
from exporter.sources import SERIES_LABELS

MAX_ACCOUNT_REGIONS: Final = 10_000
"""Series of a rule that ``max_series`` does not limit: one for each account, region and log group.
Anyone who can write a log event can make it look like a record of any account and region, and who
can write a file or an object can name any log group."""
_PLACE: Final = frozenset(SERIES_LABELS) - {"source"}
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule's settings for the series of one metric."""

    max_series: int
    buckets: tuple[float, ...] | None
    """Upper bounds of a histogram, ascending, without +Inf; None for a counter."""


def lane(partition: Partition) -> str:
    """Return a partition's account, region and API, the key of partial totals.

    Each has its own rows, so processes that read different ones never wait for each other.
    """
    return f"{partition.account_id} {partition.region} {partition.kind.label}"


@lru_cache(maxsize=8192)
def series_id(key: SeriesKey) -> bytes:
    """Return the id of a series, a digest of its metric and labels."""
    name = f"{key.metric}\0{labels_text(key.labels)}"
    return hashlib.blake2b(name.encode(), digest_size=_ID_BYTES).digest()


def any_place(key: SeriesKey) -> SeriesKey:
    """Return the overflow series for places beyond MAX_ACCOUNT_REGIONS."""
    labels = ((n, OVERFLOW if n in _PLACE else v) for n, v in key.labels)
    return SeriesKey(key.metric, tuple(labels))


@dataclass(slots=True)
class Placement:
    """Adds increments to series, within the rules' limits.

    The caller fills ``series``, ``members``, ``counts`` and ``rules`` from the ledger, and writes
    ``created``, ``joined`` and ``changed_…`` back to it.
    """

    specs: Mapping[tuple[str, str], RuleSpec]
    """By rule and metric."""
    now: int
    series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    members: set[tuple[str, str, bytes]] = field(default_factory=set)
    counts: dict[tuple[str, str], MemberCount] = field(default_factory=dict)
    rules: dict[tuple[str, str], RuleCount] = field(default_factory=dict)
    """By rule and ``lane``."""
    created: list[Series] = field(default_factory=list)
    joined: list[Member] = field(default_factory=list)
    changed_series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    changed_totals: set[tuple[SeriesKey, str]] = field(default_factory=set)
    """By series and ``lane``."""
    changed_counts: set[tuple[str, str]] = field(default_factory=set)
    changed_rules: set[tuple[str, str]] = field(default_factory=set)
    saturated: set[str] = field(default_factory=set)
    """Rules with a total that is too large to add a value of this batch (a value error)."""
    _chosen: dict[GroupKey, tuple[SeriesState, bool]] = field(default_factory=dict)

    def add(self, source: str, in_lane: str, tally: Tally) -> list[RuleChange]:
        """Add the increments of events; return what they add to the counts of rules.

        Raises:
            LedgerError: a rule was not loaded, or its buckets differ from those of its series.
        """
        changes: dict[str, RuleChange] = {}
        for rule, time in tally.errors:
            change = changes.setdefault(rule, RuleChange(source, rule))
            change.matches += 1
            change.value_errors += 1
            change.last_event_time = later(change.last_event_time, time)
        placed: dict[GroupKey, tuple[Sum, RuleChange, bool]] = {}
        parts: dict[SeriesKey, list[Group]] = {}
        sums: dict[SeriesKey, Sum] = {}
        for key, group in tally.groups.items():
            rule = key[0]
            change = changes.get(rule) or changes.setdefault(rule, RuleChange(source, rule))
            count = len(group.values)
            change.matches += count
            last = change.last_event_time
            if group.latest is not None and (last is None or group.latest > last):
                change.last_event_time = group.latest
            state, overflow = self._chosen.get(key) or self._choose(group.increment)
            change.overflowed += count * overflow
            one = sums.get(state.key)
            if one is None:
                one = sums[state.key] = Sum(state, in_lane)
                parts[state.key] = [group]
            else:
                parts[state.key].append(group)
            placed[key] = (one, change, overflow)
        in_order = {
            one
            for series, one in sums.items()
            if not (tally.is_timed and one.add_together(parts[series]))
        }
        if in_order:
            self._add_in_order(tally, {key: to for key, to in placed.items() if to[0] in in_order})
        for series, one in sums.items():
            if one.changed:
                one.finish()
                self.changed_series[series] = one.state
                self.changed_totals.add((series, in_lane))
        for change in changes.values():
            self._count_rule(in_lane, change)
        return list(changes.values())

    def _add_in_order(
        self, tally: Tally, placed: Mapping[GroupKey, tuple[Sum, RuleChange, bool]]
    ) -> None:
        """Add increments one at a time; those that a total cannot represent are value errors."""
        for key, value, event in tally.in_order():
            to = placed.get(key)
            if to is None:
                continue
            one, change, overflow = to
            if not one.add(value, event.event_id, event_time(event)):
                self.saturated.add(key[0])
                change.value_errors += 1
                change.overflowed -= overflow

    def _count_rule(self, in_lane: str, change: RuleChange) -> None:
        key = (change.rule, in_lane)
        before = self.rules.get(key) or RuleCount(change.source, *key, 0, 0, 0, None)
        self.rules[key] = before._replace(
            matches=before.matches + change.matches,
            value_errors=before.value_errors + change.value_errors,
            overflowed=before.overflowed + change.overflowed,
            last_event_time=later(before.last_event_time, change.last_event_time),
        )
        self.changed_rules.add(key)

    def declare(self, rule: str, key: SeriesKey) -> SeriesState:
        """Return a rule's series, created if necessary, regardless of limits. See ``add``."""
        spec = self._spec(rule, key.metric)
        state = self.series.get(key) or self._create(key, spec)
        self._join(rule, state)
        check_buckets(rule, spec, state.row)
        return state

    def _choose(self, increment: Increment) -> tuple[SeriesState, bool]:
        """Return the series for an increment, and whether it is an overflow series."""
        rule = increment.rule
        spec = self._spec(rule, increment.series.metric)
        state, overflow = self.series.get(increment.series), False
        if state is None or not self._is_member(rule, state):
            if self.left(increment) > 0:
                state = state or self._create(increment.series, spec)
                self._join(rule, state)
            else:
                key = increment.overflow
                if key == increment.series:
                    key = any_place(key)
                state, overflow = self._overflow(rule, key, spec), True
        check_buckets(rule, spec, state.row)
        self._chosen[rule, increment.series] = state, overflow
        return state, overflow

    def left(self, increment: Increment) -> int:
        """Return how many more series the increment's rule may have."""
        rule, metric = increment.rule, increment.series.metric
        # A rule without dynamic labels has one series for each account and region.
        is_fixed = increment.series == increment.overflow
        limit = MAX_ACCOUNT_REGIONS if is_fixed else self._spec(rule, metric).max_series
        return limit - self._count(rule, metric).series

    def _overflow(self, rule: str, key: SeriesKey, spec: RuleSpec) -> SeriesState:
        """Return a rule's overflow series of an account and region, or the one of all others."""
        state = self.series.get(key)
        if state is None and self._count(rule, key.metric).overflow >= MAX_ACCOUNT_REGIONS:
            key = any_place(key)
            state = self.series.get(key)
        if state is None:
            state = self._create(key, spec)
            self._join(rule, state, overflow=True)
        return state

    def _create(self, key: SeriesKey, spec: RuleSpec) -> SeriesState:
        bounds = bounds_text(spec.buckets)
        labels = labels_text(key.labels)
        row = Series(series_id(key), key.metric, labels, bounds, self.now, 0)
        self.created.append(row)
        state = self.series[key] = SeriesState(row, key, {})
        return state

    def _is_member(self, rule: str, state: SeriesState) -> bool:
        return (rule, state.row.metric, state.row.id) in self.members

    def _join(self, rule: str, state: SeriesState, *, overflow: bool = False) -> None:
        metric = state.row.metric
        if self._is_member(rule, state):
            return
        self.members.add((rule, metric, state.row.id))
        self.joined.append(Member(rule, metric, state.row.id, int(overflow)))
        count = self._count(rule, metric)
        self.counts[rule, metric] = count._replace(
            series=count.series + (not overflow), overflow=count.overflow + overflow
        )
        self.changed_counts.add((rule, metric))

    def _count(self, rule: str, metric: str) -> MemberCount:
        return self.counts.get((rule, metric)) or MemberCount(rule, metric, 0, 0)

    def _spec(self, rule: str, metric: str) -> RuleSpec:
        spec = self.specs.get((rule, metric))
        if spec is None:
            raise LedgerError(
                f"The ledger has not loaded a rule {rule} with metric {metric}. Its matches were "
                "not counted and will be read again."
            )
        return spec


def check_buckets(rule: str, spec: RuleSpec, row: Series) -> None:
    """Raise LedgerError if the buckets of a rule and of its series differ."""
    if row.bounds == bounds_text(spec.buckets):
        return

    def words(bounds: tuple[float, ...] | None) -> str:
        if bounds is None:
            return "as a counter"
        return "as a histogram with the buckets " + ", ".join(f"{bound:g}" for bound in bounds)

    raise LedgerError(
        f"Rule {rule}: the ledger has {row.metric} {words(bounds_of(row.bounds))}, the rule now "
        f"has it {words(spec.buckets)}. The counts cannot be converted. Keep the buckets as they "
        "were, or rename the rule's metric."
    )
