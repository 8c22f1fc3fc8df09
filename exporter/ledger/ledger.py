"""The ledger on any store: each method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

import structlog

from exporter import __version__
from exporter.exactness import RuleVersion
from exporter.ledger.base import (
    Batch,
    Committed,
    FencedError,
    LoadedRules,
    RuleTotal,
    RuleUse,
    SeriesTotal,
)
from exporter.ledger.counting import Placement, RuleSpec, judge, lane, series_id, series_of
from exporter.ledger.memory import Memory
from exporter.ledger.retention import Expiry, partition_key
from exporter.ledger.rules import load_scopes, load_versions, specs, version_of
from exporter.ledger.shown import SeriesState, rule_totals, state_of
from exporter.ledger.store import Store, Transaction
from exporter.ledger.tables import (
    CHECKPOINTS,
    FACTS,
    LARGEST,
    MEMBER_COUNTS,
    MEMBERS,
    RULE_COUNTS,
    SERIES,
    TOTALS,
    Checkpoint,
    Fact,
)
from exporter.model import EventKey, Identity, JudgedEvent, Partition, SeriesKey

_log = structlog.get_logger(__name__)

VERSION: Final = "exporter version"
"""Name of the fact: the exporter version that opened the ledger last."""
SECRET: Final = "secret"  # noqa: S105
CREATED: Final = "created"
READING_TIME: Final = "reading time"


class EarlierMemory(Protocol):
    """Memory of schema 1, until it expires."""

    def judged(
        self, transaction: Transaction, feed: str, events: Sequence[JudgedEvent]
    ) -> Mapping[Identity, frozenset[str]]:
        """Return the rules that have counted these events, by their identities."""

    def expire(
        self, transaction: Transaction, source: str, before: Callable[[Checkpoint], int | None]
    ) -> int:
        """Delete a part of the memory older than its partition's ``before``; return how much."""


class StoredLedger:
    """The part of the ``Ledger`` protocol that is the same for every store.

    It keeps no totals in the process, so a commit that fails has no effect.
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        steady: Callable[[], float],
        *,
        holder: str,
        earlier: EarlierMemory | None = None,
    ) -> None:
        """Read the ledger's facts, or write those of a new ledger.

        Args:
            store: the rows.
            clock: seconds since the epoch.
            steady: monotonic seconds.
            holder: names this process among those that share the ledger.
            earlier: memory of schema 1, if any is left.
        """
        self._store = store
        self._clock = clock
        self._steady = steady
        self._holder = holder
        self._earlier = earlier
        self._specs: dict[tuple[str, str], RuleSpec] = {}
        self._saturated: frozenset[str] = frozenset()
        """Rules whose totals were logged as too large."""
        with store.transaction() as transaction:
            facts = {one.name: one.value for one in transaction.read(FACTS)}
            now = str(self._now())
            facts = {CREATED: now, READING_TIME: now, SECRET: secrets.token_hex(32), **facts}
            facts[VERSION] = __version__
            transaction.write(FACTS, [Fact(*one) for one in facts.items()])
        self._secret = bytes.fromhex(facts[SECRET])
        self._created = int(facts[CREATED])
        self._opened = int(facts[READING_TIME]), steady()

    def load_rules(
        self,
        uses: Mapping[str, Mapping[str, RuleUse]],
        *,
        now: int,
        keep: Mapping[str, int],
        generation: str,
    ) -> LoadedRules:
        """See ``Ledger.load_rules``."""
        with self._store.transaction() as transaction:
            loaded = load_versions(
                transaction, uses, now=now, keep=keep, generation=generation, holder=self._holder
            )
            totals = rule_totals(transaction.read(RULE_COUNTS), transaction.read(MEMBER_COUNTS))
        self._specs = specs(loaded.rows)
        for metric in sorted({key.metric for key in loaded.ended}):
            _log.warning(
                "metric restarts at zero: its rule has another type, other buckets or label names",
                metric=metric,
                series=sum(key.metric == metric for key in loaded.ended),
            )
        versions: dict[str, list[RuleVersion]] = {source: [] for source in uses}
        for row in loaded.rows:
            versions.setdefault(row.source, []).append(version_of(row))
        return LoadedRules(versions, loaded.ended, totals)

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int, generation: str
    ) -> dict[str, dict[str, int]]:
        """See ``Ledger.load_scopes``."""
        with self._store.transaction() as transaction:
            return load_scopes(
                transaction, scopes, now=now, generation=generation, holder=self._holder
            )

    def declare(self, series: Iterable[tuple[str, SeriesKey]]) -> list[SeriesTotal]:
        """See ``Ledger.declare``."""
        wanted = list(series)
        with self._store.transaction() as transaction:
            placement = self._placement("")
            _read_series(transaction, placement, {key for _, key in wanted})
            _read_members(transaction, placement, wanted)
            states = {key: placement.declare(rule, key) for rule, key in wanted}
            _write(transaction, placement)
        return [state.shown() for state in states.values()]

    def checkpoint(self, partition: Partition) -> str | None:
        """See ``Ledger.checkpoint``."""
        with self._store.reading() as transaction:
            found = transaction.read(CHECKPOINTS, [_key(partition)])
        return found[0].checkpoint.decode("utf-8", "surrogatepass") if found else None

    def has_progress(self, source: str) -> bool:
        """See ``Ledger.has_progress``."""
        with self._store.reading() as transaction:
            return bool(transaction.read(CHECKPOINTS, [(source,)]))

    def judged(self, feed: str, events: Sequence[EventKey]) -> list[frozenset[str] | None]:
        """See ``Ledger.judged``."""
        with self._store.transaction() as transaction:
            memory = Memory(transaction, feed, self._secret, self._reading_time())
            found = memory.find_identities({(scope, event_id) for scope, event_id, _ in events})
        entries = (found.get((scope, event_id)) for scope, event_id, _ in events)
        return [None if entry is None else entry.judged for entry in entries]

    def commit(self, *batches: Batch) -> Committed:
        """See ``Ledger.commit``."""
        results = []
        lost: list[tuple[Partition, int]] = []
        with self._store.transaction() as transaction:
            for batch in batches:
                memory = Memory(transaction, batch.feed, self._secret, self._reading_time())
                events = self._move(transaction, batch, memory)
                placement = self._placement(lane(batch.partition))
                new: Sequence[JudgedEvent] = ()
                if events:
                    new = self._count(transaction, batch, events, memory, placement)
                results.append(_committed(transaction, batch.partition.source, placement, new))
                lost.append((batch.partition, len(batch.events) - len(events)))
        for batch, committed in zip(batches, results, strict=True):
            self._report_saturated(batch.partition.source, committed.saturated)
        for partition, events_lost in lost:
            if events_lost:
                _log.warning(
                    "events of a partition that was away are not counted: the memory that would"
                    " show whether another partition brought them has expired",
                    partition=str(partition),
                    events=events_lost,
                )
        return _joined(results)

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """See ``Ledger.reveal``."""
        with self._store.transaction() as transaction:
            rows = transaction.read(SERIES, [(series_id(key),) for key in keys])
            transaction.write(SERIES, [row._replace(revealed=1) for row in rows])

    def series(self) -> Iterator[SeriesTotal]:
        """See ``Ledger.series``."""
        with self._store.reading() as transaction:
            for row in transaction.scan(SERIES):
                yield state_of(row, transaction.read(TOTALS, [(row.id,)])).shown()

    def rule_totals(self) -> list[RuleTotal]:
        """See ``Ledger.rule_totals``."""
        with self._store.reading() as transaction:
            return rule_totals(transaction.read(RULE_COUNTS), transaction.read(MEMBER_COUNTS))

    def expire(
        self, source: str, found: Iterable[Partition], *, looked_at: int | None, memory: int
    ) -> int:
        """See ``Ledger.expire``."""
        now = self._reading_time()
        with self._store.transaction() as transaction:
            transaction.write(FACTS, [Fact(READING_TIME, str(now))])
            kept = Memory(transaction, source, self._secret, now)
            expiry = Expiry.of(transaction, kept, source, found, looked_at=looked_at, memory=memory)
            expired = [segment for segment in kept.segments() if expiry.is_over(segment)]
            kept.delete(expired)
            kept.rotate(memory)
        count = sum(segment.entries for segment in expired)
        while self._earlier is not None:
            with self._store.transaction() as transaction:
                deleted = self._earlier.expire(transaction, source, expiry.before)
            count += deleted
            if not deleted:
                break
        return count

    def _move(
        self, transaction: Transaction, batch: Batch, memory: Memory
    ) -> Sequence[JudgedEvent]:
        """Write the batch's checkpoint and return the events that may count.

        Raises:
            FencedError: another process has committed, or has a newer lease.
        """
        found = transaction.read(CHECKPOINTS, [_key(batch.partition)])
        before = found[0] if found else None
        expected = (
            None if batch.expected is None else batch.expected.encode("utf-8", "surrogatepass")
        )
        if expected != (before and before.checkpoint) or (before and batch.lease < before.lease):
            raise FencedError(
                f"{batch.partition}: another process has read on from the checkpoint that this "
                "reading started from, so none of it was counted. The next poll continues from the "
                "new checkpoint."
            )
        events, line, let_go = batch.events, memory.feed.line, False
        if before is not None and before.let_go and line is not None:
            events = [one for one in events if one.scope or one.time >= line]
            let_go = batch.remember_from is not None and batch.remember_from < line
        if before and (batch.remember_from or 0) < (before.remember_from or 0):
            # The position was ahead of the truth: what memory may go by has to be proven again.
            memory.save(memory.feed._replace(following=None, since=None))
        row = Checkpoint(
            *_key(batch.partition),
            batch.checkpoint.encode("utf-8", "surrogatepass"),
            batch.remember_from,
            batch.lease,
            self._now(),
            int(let_go),
        )
        transaction.write(CHECKPOINTS, [row])
        return events

    def _count(
        self,
        transaction: Transaction,
        batch: Batch,
        events: Sequence[JudgedEvent],
        memory: Memory,
        placement: Placement,
    ) -> Sequence[JudgedEvent]:
        """Add the events that are new, and return them."""
        memory.use_format(batch.format)
        earlier = self._earlier.judged(transaction, batch.feed, events) if self._earlier else {}
        judgement = judge(events, memory.find(events), earlier)
        if judgement.remember:
            comes_once = batch.remember_from is None
            times: dict[Identity, int] = {
                (one.scope, one.event_id): (
                    memory.now if comes_once else max(-LARGEST, min(one.time, LARGEST))
                )
                for one in events
                if one.event_id is not None
            }
            memory.remember(judgement.remember, times)
        increments = [one for event in judgement.new for one in event.increments]
        _read_series(transaction, placement, series_of(increments))
        pairs = {(one.rule, key) for one in increments for key in (one.series, one.overflow)}
        _read_members(transaction, placement, pairs)
        rules = {one.rule for one in increments}
        source = batch.partition.source
        counts = transaction.read(RULE_COUNTS, [(source, rule, placement.lane) for rule in rules])
        placement.rules.update((one.rule, one) for one in counts)
        for event in judgement.new:
            placement.add(source, event)
        _write(transaction, placement)
        return judgement.new

    def _placement(self, in_lane: str) -> Placement:
        return Placement(self._specs, in_lane, self._now())

    def _report_saturated(self, source: str, rules: frozenset[str]) -> None:
        for rule in sorted(rules - self._saturated):
            _log.warning(
                "a total of the rule is too large to take its values: they are value errors from"
                " now on; lower the rule's `max_value` or set a `scale`, and rename its metric to"
                " start at zero",
                source=source,
                rule=rule,
            )
        self._saturated |= rules

    def _now(self) -> int:
        return int(self._clock() * 1000)

    def _reading_time(self) -> int:
        """Milliseconds that pass only while the ledger is open; a new ledger's start at ``now``."""
        stored, opened = self._opened
        return stored + max(0, int((self._steady() - opened) * 1000))


def _key(partition: Partition) -> tuple[str, bytes]:
    return partition.source, partition_key(partition)


def _read_series(transaction: Transaction, placement: Placement, keys: Iterable[SeriesKey]) -> None:
    by_id = {series_id(key): key for key in keys}
    for row in transaction.read(SERIES, [(one,) for one in by_id]):
        placement.series[by_id[row.id]] = SeriesState(row, by_id[row.id], {})
    for total in transaction.read(TOTALS, [(one,) for one in by_id]):
        placement.series[by_id[total.series]].totals[total.lane] = total


def _joined(results: Sequence[Committed]) -> Committed:
    """Several outcomes as one; of a series or rule, the last."""
    if len(results) == 1:
        return results[0]
    return Committed(
        series=list({total.key: total for one in results for total in one.series}.values()),
        rules=list({(t.source, t.rule): t for one in results for t in one.rules}.values()),
        new=[event for one in results for event in one.new],
        counted=[increment for one in results for increment in one.counted],
        overflowed=frozenset().union(*(one.overflowed for one in results)),
        saturated=frozenset().union(*(one.saturated for one in results)),
    )


def _committed(
    transaction: Transaction, source: str, placement: Placement, new: Sequence[JudgedEvent]
) -> Committed:
    changed = sorted(placement.changed_rules)
    counts = transaction.read(RULE_COUNTS, [(source, rule) for rule in changed])
    members = transaction.read(MEMBER_COUNTS, [(rule,) for rule in changed])
    return Committed(
        series=[state.shown() for state in placement.changed_series.values()],
        rules=rule_totals(counts, members),
        new=new,
        counted=placement.counted,
        overflowed=frozenset(placement.overflowed),
        saturated=frozenset(placement.saturated),
    )


def _read_members(
    transaction: Transaction, placement: Placement, pairs: Iterable[tuple[str, SeriesKey]]
) -> None:
    names = [(rule, key.metric, series_id(key)) for rule, key in pairs]
    placement.members.update(one[:3] for one in transaction.read(MEMBERS, names))
    counts = transaction.read(MEMBER_COUNTS, {name[:2] for name in names})
    placement.counts.update(((one.rule, one.metric), one) for one in counts)


def _write(transaction: Transaction, placement: Placement) -> None:
    transaction.write(SERIES, placement.created)
    transaction.write(MEMBERS, placement.joined)
    totals = (one.totals[placement.lane] for one in placement.changed_series.values())
    transaction.write(TOTALS, totals)
    transaction.write(MEMBER_COUNTS, [placement.counts[one] for one in placement.changed_counts])
    transaction.write(RULE_COUNTS, [placement.rules[one] for one in placement.changed_rules])
