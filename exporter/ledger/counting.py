"""What a batch counts, as pure functions of what the ledger knows: no database here.

``judge`` finds what is new in the batch, ``Placement`` where that goes and what it adds.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from exporter.ledger.base import LedgerError
from exporter.ledger.rows import (
    bounds_of,
    bounds_text,
    buckets_of,
    buckets_text,
    labels_text,
)
from exporter.ledger.shown import SeriesState
from exporter.ledger.tables import Member, MemberCount, RuleCount, Series, Total
from exporter.model import OVERFLOW, Identity, Increment, JudgedEvent, Partition, SeriesKey

MAX_PLACES: Final = 10_000
"""Accounts and regions in which a rule has series beyond its ``max_series``: a log event that looks
like a CloudTrail record names them, and whoever can write a log event can name any."""
TIME_PERIOD: Final = 1 << 24
"""Milliseconds: memory keeps the time of an event modulo this, 4.7 hours."""
_LARGEST: Final = 2**63 - 1
"""Databases keep integers of 64 bits; a hostile event time may have more."""
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of an event."""

    judged: frozenset[str]
    time: int
    """Modulo TIME_PERIOD: tells an event from another one that copies its id."""
    segment: int | None = None
    """Where it is kept; None: nowhere yet."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What ``judge`` found."""

    new: Sequence[JudgedEvent]
    """The events with the increments that were not counted before."""
    remember: Mapping[Identity, Remembered]
    """What is to be remembered from now on, where it differs from what is."""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What decides where a rule's increments to a metric go."""

    max_series: int
    buckets: tuple[float, ...] | None
    """Histogram upper bounds, ascending, without +Inf. None: a counter."""


RuleSpecs: TypeAlias = Mapping[tuple[str, str], RuleSpec]
"""By rule and metric."""


def lane(partition: Partition) -> str:
    """The account, region and API of a partition: what one process reads at a time.

    Totals are kept per lane, so that processes that read different lanes never wait for each other.
    """
    return f"{partition.account_id} {partition.region} {partition.kind.label}"


def series_id(key: SeriesKey) -> bytes:
    """The id of a series, made of its name: the same everywhere, without a sequence."""
    name = f"{key.metric}\0{labels_text(key.labels)}"
    return hashlib.blake2b(name.encode(), digest_size=_ID_BYTES).digest()


def judge(
    events: Iterable[JudgedEvent],
    known: Mapping[Identity, Remembered],
    earlier: Mapping[Identity, frozenset[str]] | None = None,
) -> Judgement:
    """Drop what rules have judged before, and say what to remember.

    Args:
        events: of one feed.
        known: what is remembered by the events' own identities and, as far as they can matter,
            their aliases.
        earlier: rules that counted an event before memory was kept per event, by its identity.
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
            continue  # its memory from before the change of format is enough
        if before is None or union != before.judged:
            segment = None if before is None else before.segment
            remember[own] = Remembered(union, time if before is None else before.time, segment)
    return Judgement(new, remember)


def series_of(increments: Iterable[Increment]) -> set[SeriesKey]:
    """The series that these increments may go to."""
    keys: set[SeriesKey] = set()
    for one in increments:
        keys |= {one.series, one.overflow, nowhere(one.overflow)}
    return keys


def nowhere(key: SeriesKey) -> SeriesKey:
    """The overflow series for accounts and regions past MAX_PLACES."""
    labels = ((n, OVERFLOW if n in ("account_id", "region") else v) for n, v in key.labels)
    return SeriesKey(key.metric, tuple(labels))


@dataclass(slots=True)
class Placement:
    """Series and limits as the ledger has them, while increments are added to them.

    The caller fills in what ``series_of`` names and what the rules' counts are; what changes is in
    the ``changed_…`` fields.
    """

    specs: RuleSpecs
    lane: str
    now: int
    series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    members: set[tuple[str, str, bytes]] = field(default_factory=set)
    counts: dict[tuple[str, str], MemberCount] = field(default_factory=dict)
    rules: dict[str, RuleCount] = field(default_factory=dict)
    """This lane's, by rule."""
    created: list[Series] = field(default_factory=list)
    joined: list[Member] = field(default_factory=list)
    changed_series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    changed_counts: set[tuple[str, str]] = field(default_factory=set)
    changed_rules: set[str] = field(default_factory=set)
    counted: list[Increment] = field(default_factory=list)
    overflowed: set[str] = field(default_factory=set)
    saturated: set[str] = field(default_factory=set)
    _places: dict[tuple[str, SeriesKey], tuple[SeriesState, bool]] = field(default_factory=dict)

    def add(self, source: str, event: JudgedEvent) -> None:
        """Add an event's increments.

        Raises:
            LedgerError: a rule is unknown, or its buckets are not those of its series.
        """
        time = event.event_time
        if time is not None and not -_LARGEST <= time <= _LARGEST:
            time = None
        for increment in event.increments:
            self._add(source, increment, event.event_id, time)

    def place(self, rule: str, key: SeriesKey) -> SeriesState:
        """Make a series of a rule exist, whatever its limit. Raises LedgerError."""
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
            place = self._places.get((rule, increment.series))
            state, overflow = place or self._place(increment)
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

    def _place(self, increment: Increment) -> tuple[SeriesState, bool]:
        """The series that the increment goes to, and whether that is the overflow series."""
        rule = increment.rule
        spec = self._spec(rule, increment.series.metric)
        state, overflow = self.series.get(increment.series), False
        if state is None or not self._is_member(rule, state):
            # A rule without dynamic labels has one series a place.
            fixed = increment.series == increment.overflow
            count = self._count(rule, increment.series.metric)
            if count.series < (MAX_PLACES if fixed else spec.max_series):
                state = state or self._create(increment.series, spec)
                self._join(rule, state)
            else:
                key = nowhere(increment.overflow) if fixed else increment.overflow
                state, overflow = self._overflow(rule, key, spec), True
        check_buckets(rule, spec, state.row)
        self._places[rule, increment.series] = state, overflow
        return state, overflow

    def _overflow(self, rule: str, key: SeriesKey, spec: RuleSpec) -> SeriesState:
        """A rule's overflow series in a place; past MAX_PLACES the one for all other places."""
        state = self.series.get(key)
        if state is None and self._count(rule, key.metric).overflow >= MAX_PLACES:
            key = nowhere(key)
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
                f"The ledger has not loaded a rule {rule} that feeds {metric}; its matches were "
                "not counted and will be read again."
            )
        return spec

    def _observe(
        self, state: SeriesState, value: float, event_id: str | None, time: int | None
    ) -> bool:
        """Add a value; False: the total cannot take it."""
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
        # The last match is the one that happened last; history comes newest first.
        if time is None or after.event_time is None or time >= after.event_time:
            if event_id is not None:
                event_id = event_id.encode("utf-8", "replace").decode()
            after = after._replace(event_id=event_id, event_value=value, event_time=time)
        state.totals[self.lane] = after
        return True


def check_buckets(rule: str, spec: RuleSpec, row: Series) -> None:
    """Refuse to add to a series whose buckets are not the rule's.

    Raises:
        LedgerError: the stored counts cannot be carried over to the rule's buckets.
    """
    if row.bounds == bounds_text(spec.buckets):
        return

    def words(bounds: tuple[float, ...] | None) -> str:
        if bounds is None:
            return "as a counter"
        return "as a histogram with the buckets " + ", ".join(f"{bound:g}" for bound in bounds)

    raise LedgerError(
        f"Rule {rule}: the ledger keeps {row.metric} {words(bounds_of(row.bounds))}, the rule now "
        f"has it {words(spec.buckets)}; what is counted cannot be carried over. Keep the buckets "
        "as they were, or give the rule's metric another name."
    )


def sum_exactly(total: float, value: float) -> float | None:
    """The total with a value added; None: a float cannot hold it, and it would be lost.

    Whole numbers are added exactly or not at all; of other values, none that leaves no trace.
    """
    after = total + value
    if not math.isfinite(after) or (value > 0 and after == total):
        return None
    if total.is_integer() and value.is_integer() and int(after) != int(total) + int(value):
        return None
    return after


def _countable(value: float | None) -> float | None:
    """The value as a total can take it; None: it cannot, or not exactly."""
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number >= 0 and math.isfinite(number) and number == value else None
