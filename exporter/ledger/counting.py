"""What a batch adds, as pure functions of the ledger's rows: no database here.

``Placement`` selects the series of increments, within the rules' limits, and adds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, TypeAlias

from exporter.ledger.base import LedgerError, RuleChange, later
from exporter.ledger.overflow import Account, account_of, any_place, bounded
from exporter.ledger.rows import bounds_of, bounds_text, labels_text
from exporter.ledger.shown import SeriesState
from exporter.ledger.sums import Sum
from exporter.ledger.tables import Member, MemberCount, RuleCount, Series
from exporter.ledger.tally import Group, GroupKey, Tally, event_time
from exporter.model import EXCLUDED_METRIC, OVERFLOW, Increment, Partition, SeriesKey

MAX_ACCOUNT_REGIONS: Final = 10_000
"""Series of a rule that ``max_series`` does not limit: one for each account, region and log group.
Anyone who can write a log event can make it look like a record of any account and region, and who
can write a file or an object can name any log group."""
_MOST_OVERFLOW: Final = 1000
"""Overflow series of a rule in an account in which bounded labels keep their values."""
_ACCOUNTS: Final = 30
"""A rule has at most so many times ``max_series`` over all accounts, which anyone can invent."""
_ID_BYTES: Final = 16

AccountKey: TypeAlias = tuple[str, str, str]
"""A rule, a metric and an account."""


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule's settings for the series of one metric."""

    max_series: int
    buckets: tuple[float, ...] | None
    """Upper bounds of a histogram, ascending, without +Inf; None for a counter."""
    unbounded: frozenset[str] = frozenset()
    """Labels that lose their values past ``max_series``; empty if the rule marks none."""


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


@dataclass(slots=True)
class Placement:
    """Adds increments to series, within the rules' limits.

    The caller fills ``members``, ``counts``, ``accounts`` and ``rules`` from the ledger, then
    ``series`` with those that ``place`` names, and writes ``created``, ``joined`` and ``changed_…``
    back to it.
    """

    specs: Mapping[tuple[str, str], RuleSpec]
    """By rule and metric."""
    now: int
    series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    members: set[tuple[str, str, bytes]] = field(default_factory=set)
    counts: dict[tuple[str, str], MemberCount] = field(default_factory=dict)
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    rules: dict[tuple[str, str], RuleCount] = field(default_factory=dict)
    """By rule and ``lane``."""
    created: list[Series] = field(default_factory=list)
    joined: list[Member] = field(default_factory=list)
    changed_series: dict[SeriesKey, SeriesState] = field(default_factory=dict)
    changed_totals: set[tuple[SeriesKey, str]] = field(default_factory=set)
    """By series and ``lane``."""
    changed_counts: set[tuple[str, str]] = field(default_factory=set)
    changed_accounts: set[AccountKey] = field(default_factory=set)
    changed_rules: set[tuple[str, str]] = field(default_factory=set)
    saturated: set[str] = field(default_factory=set)
    """Rules with a total that is too large to add a value of this batch (a value error)."""
    _placed: dict[GroupKey, tuple[SeriesKey, ...]] = field(default_factory=dict)
    """The first of these that exists, or may be created, is chosen."""
    _overflow: dict[GroupKey, tuple[SeriesKey, ...]] = field(default_factory=dict)
    """The same, by the first of them."""
    _chosen: dict[GroupKey, tuple[SeriesState, bool]] = field(default_factory=dict)

    def add(self, source: str, in_lane: str, tally: Tally) -> list[RuleChange]:
        """Add the increments of events; return what they add to the counts of rules.

        Raises:
            LedgerError: a rule was not loaded, or its buckets differ from those of its series.
        """
        self.place(group.increment for group in tally.groups.values())
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
            if key[1].metric != EXCLUDED_METRIC:
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

    def place(self, increments: Iterable[Increment]) -> set[SeriesKey]:
        """Decide where increments go, in this order; return the series that ``add`` needs."""
        needed: set[SeriesKey] = set()
        for increment in increments:
            key = increment.rule, increment.series
            placed = self._placed.get(key)
            if placed is None:
                placed = self._placed[key] = self._place(increment)
            needed.update(placed)
        return needed

    def fullest(self) -> Iterator[tuple[str, int]]:
        """Yield rules with the series of an account that have become more."""
        for rule, metric, account_id in self.changed_accounts:
            yield rule, self.accounts[rule, metric, account_id].series

    def declare(self, rule: str, key: SeriesKey) -> SeriesState:
        """Return a rule's series, created if necessary, regardless of limits. See ``add``."""
        spec = self._spec(rule, key.metric)
        state = self.series.get(key) or self._create(key, spec)
        self._join(rule, key, account_of(key))
        check_buckets(rule, spec, state.row)
        return state

    def _place(self, increment: Increment) -> tuple[SeriesKey, ...]:
        rule, own = increment.rule, increment.series
        spec = self._spec(rule, own.metric)
        if self._is_member(rule, own):
            return (own,)
        # A rule without dynamic labels has one series for each account, region and log group.
        is_fixed = own == increment.overflow
        most = MAX_ACCOUNT_REGIONS
        if not is_fixed:
            most = max(most, _ACCOUNTS * spec.max_series)
        has_room = self._count(rule, own.metric).series < most
        name = account_of(own) if has_room else self._account_name(rule, own)
        account = self.accounts.setdefault((rule, own.metric, name), Account())
        if account.see(bounded(increment, spec.unbounded)):
            self.changed_accounts.add((rule, own.metric, name))
        if has_room and (is_fixed or account.series < spec.max_series):
            self._join(rule, own, name)
            return (own,)
        if is_fixed:
            return (any_place(own),)
        kept = account.overflowed(increment, spec.unbounded, spec.max_series)
        placed = self._overflow.get((rule, kept))
        if placed is None:
            over = increment.overflow
            placed = self._overflow[rule, kept] = (kept, over, any_place(kept), any_place(over))
        return placed

    def _account_name(self, rule: str, key: SeriesKey) -> str:
        """Return the account of a series; those that are new to a full rule count as one."""
        account_id = account_of(key)
        return account_id if (rule, key.metric, account_id) in self.accounts else OVERFLOW

    def _choose(self, increment: Increment) -> tuple[SeriesState, bool]:
        """Return the series for an increment, and whether labels have lost their values."""
        rule, own = increment.rule, increment.series
        spec = self._spec(rule, own.metric)
        key, state = own, self.series.get(own)
        placed = self._placed[rule, own]
        if placed != (own,):
            key = placed[0]
            if key not in self.series:
                key = self._first_possible(rule, own, placed)
            state = self.series.get(key)
            if state is None:
                self._join(rule, key, self._account_name(rule, own), overflow=True)
        state = state or self._create(key, spec)
        check_buckets(rule, spec, state.row)
        self._chosen[rule, own] = state, key != own
        return state, key != own

    def _first_possible(self, rule: str, own: SeriesKey, placed: Sequence[SeriesKey]) -> SeriesKey:
        """Return the first overflow series that exists or may be created."""
        account = self.accounts[rule, own.metric, self._account_name(rule, own)]
        is_full = account.overflow >= _MOST_OVERFLOW
        count = self._count(rule, own.metric).overflow
        # The last limit leaves room for the bounded labels of places that anyone has invented.
        limits = (
            0 if is_full else MAX_ACCOUNT_REGIONS,
            MAX_ACCOUNT_REGIONS,
            MAX_ACCOUNT_REGIONS + _MOST_OVERFLOW,
        )
        *first, last = placed
        return next(
            (
                one
                for one, limit in zip(first, limits, strict=False)
                if one in self.series or count < limit
            ),
            last,
        )

    def _create(self, key: SeriesKey, spec: RuleSpec) -> SeriesState:
        bounds = bounds_text(spec.buckets)
        labels = labels_text(key.labels)
        row = Series(series_id(key), key.metric, labels, bounds, self.now, 0)
        self.created.append(row)
        state = self.series[key] = SeriesState(row, key, {})
        return state

    def _is_member(self, rule: str, key: SeriesKey) -> bool:
        return (rule, key.metric, series_id(key)) in self.members

    def _join(self, rule: str, key: SeriesKey, account_id: str, *, overflow: bool = False) -> None:
        if self._is_member(rule, key):
            return
        member = Member(rule, key.metric, series_id(key), int(overflow))
        self.members.add(member[:3])
        self.joined.append(member)
        count = self._count(rule, key.metric)
        self.counts[member[:2]] = count._replace(
            series=count.series + (not overflow), overflow=count.overflow + overflow
        )
        self.changed_counts.add(member[:2])
        name = (rule, key.metric, account_id)
        account = self.accounts.setdefault(name, Account())
        account.series += not overflow
        account.overflow += overflow
        self.changed_accounts.add(name)

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
