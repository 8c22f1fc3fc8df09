"""What a batch adds, as pure functions of the ledger's rows: no database here.

``judge`` finds the increments that are new; ``Placement`` selects their series and adds them.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from exporter.ledger.base import LedgerError
from exporter.ledger.rows import bounds_of, bounds_text, buckets_of, buckets_text, labels_text
from exporter.ledger.shown import SeriesState
from exporter.ledger.tables import LARGEST, Member, MemberCount, RuleCount, Series, Total
from exporter.model import OVERFLOW, Identity, Increment, JudgedEvent, Partition, SeriesKey

MAX_ACCOUNT_REGIONS: Final = 10_000
"""Series of a rule that ``max_series`` does not limit: one for each account and region. Anyone who
can write a log event can make it look like a record of any account and region."""
TIME_PERIOD: Final = 1 << 24
"""Memory has the time of an event modulo this, milliseconds (4.7 hours)."""
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Remembered:
    """An entry of memory."""

    judged: frozenset[str]
    """Rules that have judged the event."""
    time: int
    """Modulo TIME_PERIOD, to recognise another event that copies the id."""
    segment: int | None = None
    """The segment with the entry; None if it is new."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of ``judge``."""

    new: Sequence[JudgedEvent]
    """Events with the increments that were not counted before."""
    remember: Mapping[Identity, Remembered]
    """New and changed entries of memory."""


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


def series_id(key: SeriesKey) -> bytes:
    """Return the id of a series, a digest of its metric and labels."""
    name = f"{key.metric}\0{labels_text(key.labels)}"
    return hashlib.blake2b(name.encode(), digest_size=_ID_BYTES).digest()


def judge(
    events: Iterable[JudgedEvent],
    known: Mapping[Identity, Remembered],
    earlier: Mapping[Identity, frozenset[str]] | None = None,
) -> Judgement:
    """Drop increments of rules that have judged their event before.

    Args:
        events: of one feed.
        known: entries of memory for the events' identities and aliases.
        earlier: rules that counted an event according to memory of schema 1, by its identity.
    """
    new: list[JudgedEvent] = []
    remember: dict[Identity, Remembered] = {}
    for event in events:
        if event.event_id is None:
            new.append(event)
            continue
        own = (event.scope, event.event_id)
        time = event.time % TIME_PERIOD
        before = remember.get(own) or known.get(own)
        judged = before.judged if before is not None else frozenset()
        for alias in event.aliases:
            found = known.get(alias)
            if found is not None and (found.time == time or alias[1] == event.event_id):
                judged |= found.judged
        counted = judged | earlier.get(own, frozenset()) if earlier else judged
        increments = tuple(one for one in event.increments if one.rule not in counted)
        if increments:
            is_whole = len(increments) == len(event.increments)
            new.append(event if is_whole else replace(event, increments=increments))
        union = judged | event.judged
        if before is None and union == judged:
            continue  # an alias is remembered, which is enough
        if before is None or union != before.judged:
            segment = None if before is None else before.segment
            remember[own] = Remembered(union, time if before is None else before.time, segment)
    return Judgement(new, remember)


def series_of(increments: Iterable[Increment]) -> set[SeriesKey]:
    """Return the series that these increments may go to."""
    keys: set[SeriesKey] = set()
    for one in increments:
        keys |= {one.series, one.overflow, any_account_region(one.overflow)}
    return keys


def any_account_region(key: SeriesKey) -> SeriesKey:
    """Return the overflow series for accounts and regions beyond MAX_ACCOUNT_REGIONS."""
    labels = ((n, OVERFLOW if n in ("account_id", "region") else v) for n, v in key.labels)
    return SeriesKey(key.metric, tuple(labels))


@dataclass(slots=True)
class Placement:
    """Adds increments to series, within the rules' limits.

    The caller fills ``series`` (with those of ``series_of``), ``members``, ``counts`` and ``rules``
    from the ledger, and writes ``created``, ``joined`` and ``changed_…`` back to it.
    """

    specs: Mapping[tuple[str, str], RuleSpec]
    """By rule and metric."""
    lane: str
    now: int
    series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    members: set[tuple[str, str, bytes]] = field(default_factory=set)
    counts: dict[tuple[str, str], MemberCount] = field(default_factory=dict)
    rules: dict[str, RuleCount] = field(default_factory=dict)
    """By rule, for this ``lane``."""
    created: list[Series] = field(default_factory=list)
    joined: list[Member] = field(default_factory=list)
    changed_series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    changed_counts: set[tuple[str, str]] = field(default_factory=set)
    changed_rules: set[str] = field(default_factory=set)
    counted: list[Increment] = field(default_factory=list)
    overflowed: set[str] = field(default_factory=set)
    saturated: set[str] = field(default_factory=set)
    _chosen: dict[tuple[str, SeriesKey], tuple[SeriesState, bool]] = field(default_factory=dict)

    def add(self, source: str, event: JudgedEvent) -> None:
        """Add an event's increments.

        Raises:
            LedgerError: a rule was not loaded, or its buckets differ from those of its series.
        """
        time = event.event_time
        if time is not None and not -LARGEST <= time <= LARGEST:
            time = None
        for increment in event.increments:
            self._add(source, increment, event.event_id, time)

    def declare(self, rule: str, key: SeriesKey) -> SeriesState:
        """Return a rule's series, created if necessary, regardless of limits. See ``add``."""
        spec = self._spec(rule, key.metric)
        state = self.series.get(key) or self._create(key, spec)
        self._join(rule, state)
        check_buckets(rule, spec, state.row)
        return state

    def _add(
        self, source: str, increment: Increment, event_id: str | None, time: int | None
    ) -> None:
        rule = increment.rule
        count = self.rules.get(rule) or RuleCount(source, rule, self.lane, 0, 0, 0, None)
        last = count.last_event_time
        if time is not None and (last is None or time > last):
            last = time
        value, overflow = _countable(increment.value), False
        if value is not None:
            chosen = self._chosen.get((rule, increment.series))
            state, overflow = chosen or self._choose(increment)
            if self._observe(state, value, event_id, time):
                self.changed_series[state.key] = state
            else:
                self.saturated.add(rule)
                value, overflow = None, False
        if overflow:
            self.overflowed.add(rule)
        self.rules[rule] = count._replace(
            matches=count.matches + 1,
            value_errors=count.value_errors + (value is None),
            overflowed=count.overflowed + overflow,
            last_event_time=last,
        )
        self.changed_rules.add(rule)
        is_error = value is None and increment.value is not None
        self.counted.append(replace(increment, value=None) if is_error else increment)

    def _choose(self, increment: Increment) -> tuple[SeriesState, bool]:
        """Return the series for an increment, and whether it is an overflow series."""
        rule = increment.rule
        spec = self._spec(rule, increment.series.metric)
        state, overflow = self.series.get(increment.series), False
        if state is None or not self._is_member(rule, state):
            # A rule without dynamic labels has one series for each account and region.
            fixed = increment.series == increment.overflow
            count = self._count(rule, increment.series.metric)
            if count.series < (MAX_ACCOUNT_REGIONS if fixed else spec.max_series):
                state = state or self._create(increment.series, spec)
                self._join(rule, state)
            else:
                key = any_account_region(increment.overflow) if fixed else increment.overflow
                state, overflow = self._overflow(rule, key, spec), True
        check_buckets(rule, spec, state.row)
        self._chosen[rule, increment.series] = state, overflow
        return state, overflow

    def _overflow(self, rule: str, key: SeriesKey, spec: RuleSpec) -> SeriesState:
        """Return a rule's overflow series of an account and region, or the one of all others."""
        state = self.series.get(key)
        if state is None and self._count(rule, key.metric).overflow >= MAX_ACCOUNT_REGIONS:
            key = any_account_region(key)
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

    def _observe(
        self, state: SeriesState, value: float, event_id: str | None, time: int | None
    ) -> bool:
        """Add a value; return False if the total cannot represent it."""
        before = state.totals.get(self.lane)
        if before is None:
            bounds = bounds_of(state.row.bounds)
            empty = None if bounds is None else buckets_text([0] * (len(bounds) + 1))
            before = Total(state.row.id, self.lane, 0.0, empty, None, 0.0, None)
        total = sum_exactly(before.total, value)
        if total is None:
            return False
        if len(state.totals) > 1 or self.lane not in state.totals:
            others = [one.total for name, one in state.totals.items() if name != self.lane]
            if sum_exactly(math.fsum([*others, before.total]), value) is None:
                return False
        after = before._replace(total=total)
        bounds = bounds_of(state.row.bounds)
        if bounds is not None:
            buckets = list(buckets_of(after.buckets, bounds))
            buckets[bisect_left(bounds, value)] += 1
            after = after._replace(buckets=buckets_text(buckets))
        # The last match by event time: event history comes newest first.
        if time is None or after.event_time is None or time >= after.event_time:
            if event_id is not None:
                event_id = event_id.encode("utf-8", "replace").decode()
            after = after._replace(event_id=event_id, event_value=value, event_time=time)
        state.totals[self.lane] = after
        return True


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


def sum_exactly(total: float, value: float) -> float | None:
    """Return the total with a value added; None if a float cannot represent the sum.

    Whole numbers are added exactly or not at all. Other values must change the total.
    """
    after = total + value
    if not math.isfinite(after) or (value > 0 and after == total):
        return None
    if total.is_integer() and value.is_integer() and int(after) != int(total) + int(value):
        return None
    return after


def _countable(value: float | None) -> float | None:
    """Return the value as a float; None if it is negative, not finite or not exact."""
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number >= 0 and math.isfinite(number) and number == value else None
