"""The ledger on any store: each method is one transaction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from operator import attrgetter
from typing import Final, Literal

import structlog

from exporter import __version__
from exporter.exactness import RuleVersion
from exporter.ledger.base import (
    NO_FEEDS,
    Batch,
    Committed,
    LedgerError,
    LoadedRules,
    Member,
    RuleTotal,
    RuleUse,
    SeriesTotal,
)
from exporter.ledger.committing import Commit, EarlierMemory, checkpoint_key, move
from exporter.ledger.counted import load_counted, read_catching_up, write_catching_up
from exporter.ledger.counting import Placement, RuleSpec, series_id
from exporter.ledger.feeds import load_feeds
from exporter.ledger.latest import latest_matches
from exporter.ledger.memory import Memory
from exporter.ledger.placing import read_declared, write
from exporter.ledger.renaming import first_names, rename_feed, rename_source
from exporter.ledger.retention import Expiry
from exporter.ledger.rule_sets import KnownSets, RuleSets
from exporter.ledger.rules import load_scopes, load_versions, specs, version_of
from exporter.ledger.shown import rule_totals, state_of
from exporter.ledger.store import PAUSE_SECONDS, Store, Transaction
from exporter.ledger.tables import (
    ACCOUNT_COUNTS,
    CHECKPOINTS,
    FACTS,
    MEMBER_COUNTS,
    RULE_COUNTS,
    SEEN,
    SERIES,
    TOTALS,
    Fact,
    Segment,
)
from exporter.model import EventKey, EventPlace, Partition, SeriesKey

_log = structlog.get_logger(__name__)

VERSION: Final = "exporter version"
"""Name of the fact: the exporter version that opened the ledger last."""
SECRET: Final = "secret"  # noqa: S105
CREATED: Final = "created"
READING_TIME: Final = "reading time"
_NOTED_AHEAD: Final = 60_000
"""Milliseconds: a source that catches up is noted once in that time."""
_DELETED_TOGETHER: Final = 100_000
"""Entries of memory that one transaction deletes: about 2 MB."""


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
        self._sets = KnownSets()
        self._catching_up: dict[str, tuple[int, frozenset[EventPlace]]] = {}
        """By source, what was noted last."""
        self._saturated: frozenset[str] = frozenset()
        """Rules whose totals were logged as too large."""
        with store.transaction() as transaction:
            facts = {one.name: one.value for one in transaction.read(FACTS)}
            now = str(self._now())
            facts = {CREATED: now, READING_TIME: now, SECRET: secrets.token_hex(32), **facts}
            facts[VERSION] = __version__
            transaction.write(FACTS, [Fact(*one) for one in facts.items()])
        self._begun_as = first_names(Fact(*one) for one in facts.items())
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
        feeds: Mapping[str, str] = NO_FEEDS,
    ) -> LoadedRules:
        """See ``Ledger.load_rules``."""
        with self._store.transaction() as transaction:
            of = {source: feeds.get(source, source) for source in uses}
            loaded = load_versions(
                transaction,
                uses,
                now=now,
                keep=keep,
                generation=generation,
                holder=self._holder,
                feeds=of,
            )
            joined = load_feeds(transaction, of, now=now)
            totals = _rule_totals(transaction)
        self._specs = specs(loaded.rows)
        for metric in sorted({key.metric for key in loaded.ended}):
            _log.warning(
                "metric restarts at zero: its rule has another type or other buckets",
                metric=metric,
                series=sum(key.metric == metric for key in loaded.ended),
            )
        for one in loaded.relabeled:
            _log.info(
                "the labels of a metric change: its series keep their totals",
                metric=one.metric,
                gained=", ".join(one.gained) or None,
                lost=", ".join(one.lost) or None,
                series=len(one.before),
                become=len(one.after),
            )
        versions: dict[str, list[RuleVersion]] = {source: [] for source in uses}
        for row in loaded.rows:
            versions.setdefault(row.source, []).append(version_of(row))
        return LoadedRules(versions, loaded.ended, loaded.relabeled, totals, joined)

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
            placement = Placement(self._specs, self._now())
            read_declared(transaction, placement, wanted)
            states = {key: placement.declare(rule, key) for rule, key in wanted}
            write(transaction, placement)
        return [state.shown() for state in states.values()]

    def checkpoint(self, partition: Partition) -> str | None:
        """See ``Ledger.checkpoint``."""
        return self.checkpoints([partition]).get(partition)

    def checkpoints(self, partitions: Iterable[Partition]) -> dict[Partition, str]:
        """See ``Ledger.checkpoints``."""
        by_key = {checkpoint_key(partition): partition for partition in partitions}
        with self._store.reading() as transaction:
            rows = transaction.read(CHECKPOINTS, by_key)
        return {by_key[row.source, row.partition]: _text(row.checkpoint) for row in rows}

    def checkpoints_of(self, source: str) -> dict[str, str]:
        """See ``Ledger.checkpoints_of``."""
        with self._store.reading() as transaction:
            rows = transaction.read(CHECKPOINTS, [(source,)])
        return {_text(row.partition): _text(row.checkpoint) for row in rows}

    def move(self, moves: Mapping[Partition, tuple[str | None, str | None]]) -> None:
        """See ``Ledger.move``."""
        with self._store.transaction() as transaction:
            move(transaction, moves, self._now())

    def counted_since(
        self, source: str, partitions: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """See ``Ledger.counted_since``."""
        with self._store.transaction() as transaction:
            return load_counted(transaction, source, partitions)

    def note_catching_up(self, source: str, until: int, places: frozenset[EventPlace]) -> None:
        """See ``Ledger.note_catching_up``."""
        noted, of = self._catching_up.get(source, (0, frozenset()))
        if noted >= until and places <= of:
            return
        noted = max(noted, until + _NOTED_AHEAD)
        with self._store.transaction() as transaction:
            before, others = read_catching_up(transaction, source)
            if self._now() < before:
                places |= others  # of another partition, or of a process before
            write_catching_up(transaction, source, noted, places)
        self._catching_up[source] = noted, places

    def catching_up(self, source: str) -> tuple[int, frozenset[EventPlace]]:
        """See ``Ledger.catching_up``."""
        with self._store.reading() as transaction:
            return read_catching_up(transaction, source)

    def has_progress(self, source: str) -> bool:
        """See ``Ledger.has_progress``."""
        with self._store.reading() as transaction:
            return bool(transaction.read(CHECKPOINTS, [(source,)]))

    def judged(self, feed: str, events: Sequence[EventKey]) -> list[frozenset[str] | None]:
        """See ``Ledger.judged``."""
        with self._store.reading() as transaction:
            sets = RuleSets(transaction, self._sets)
            found = self._memory(transaction, feed, sets).look_up(events)
        self._sets = sets.committed()
        if not found.by_reading_time:
            return list(map(found.judged.get, events))
        older = {key: one.judged for key, one in found.by_reading_time.items()}
        return [found.judged.get(key, older.get(key)) for key in events]

    def commit(self, *batches: Batch) -> Committed:
        """See ``Ledger.commit``."""
        with self._store.transaction() as transaction:
            sets = RuleSets(transaction, self._sets)
            commit = Commit(
                transaction,
                Placement(self._specs, self._now()),
                lambda feed: self._memory(transaction, feed, sets),
                self._earlier,
            )
            committed = commit.run(batches)
        self._sets = sets.committed()
        self._report_saturated(batches[0].partition.source, commit.saturated)
        for partition, events in commit.lost.items():
            _log.warning(
                "events of a partition that was away are not counted: the memory that would"
                " show whether another partition brought them has expired",
                partition=str(partition),
                events=events,
            )
        return committed

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """See ``Ledger.reveal``."""
        with self._store.transaction() as transaction:
            rows = transaction.read(SERIES, [(series_id(key),) for key in keys])
            transaction.write(SERIES, [row._replace(revealed=1) for row in rows])

    def series(self) -> Iterator[SeriesTotal]:
        """See ``Ledger.series``."""
        with self._store.reading() as transaction:
            totals = groupby(transaction.scan(TOTALS), attrgetter("series"))
            following = next(totals, None)
            for row in transaction.scan(SERIES):
                # Both come in the order of the series' ids.
                while following is not None and following[0] < row.id:
                    following = next(totals, None)
                its_own = following is not None and following[0] == row.id
                yield state_of(row, following[1] if following and its_own else ()).shown()

    def rule_totals(self) -> list[RuleTotal]:
        """See ``Ledger.rule_totals``."""
        with self._store.reading() as transaction:
            return _rule_totals(transaction)

    def latest_matches(self, rule: str, most: int) -> list[SeriesTotal]:
        """See ``Ledger.latest_matches``."""
        return latest_matches(self._store, rule, most)

    def expire(self, feed: str, members: Sequence[Member]) -> int:
        """See ``Ledger.expire``. Other transactions may run between its steps."""
        now, count = self._reading_time(), 0
        while True:
            with self._store.transaction() as transaction:
                seen = [Fact(SEEN + one.source, one.seen) for one in members if one.seen]
                transaction.write(FACTS, [Fact(READING_TIME, str(now)), *seen])
                kept = self._memory(transaction, feed, RuleSets(transaction, self._sets))
                expiry = Expiry.of(transaction, kept, feed, members)
                segments = kept.segments()
                over = [one for one in segments if expiry.is_over(one, one.newest)]
                together = _first(over, _DELETED_TOGETHER)
                kept.delete(together)
                count += sum(segment.entries for segment in together)
                is_done = len(together) == len(over)
                if is_done:
                    kept.settle(set(segments).difference(over), expiry.is_over)
                    if count:
                        kept.drop_sets()
            if is_done:
                break
            time.sleep(PAUSE_SECONDS)
        while self._earlier is not None:
            with self._store.transaction() as transaction:
                deleted = self._earlier.expire(transaction, feed, expiry.before)
            count += deleted
            if not deleted:
                break
        return count

    def rename(self, noun: Literal["source", "feed"], old: str, new: str) -> int:
        """Rename a source or a feed; return the number of its series. Then the ledger is closed.

        Raises LedgerError if the new name is in use, or the old one is not known.
        """
        if self._earlier is not None:
            raise LedgerError(
                "The ledger still has memory of an earlier version of the exporter. Let the"
                " exporter run until the lookback of its sources has passed."
            )
        rename = rename_source if noun == "source" else rename_feed
        with self._store.transaction() as transaction:
            return rename(transaction, old, new)

    def _memory(self, transaction: Transaction, feed: str, sets: RuleSets) -> Memory:
        begun_as, now = self._begun_as.get(feed), self._reading_time()
        return Memory(transaction, feed, self._secret, now, sets, begun_as=begun_as)

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


def _rule_totals(transaction: Transaction) -> list[RuleTotal]:
    return rule_totals(
        transaction.read(RULE_COUNTS),
        transaction.read(MEMBER_COUNTS),
        transaction.read(ACCOUNT_COUNTS),
    )


def _first(segments: Sequence[Segment], entries: int) -> Sequence[Segment]:
    """Return the first segments that have so many entries together, at least one."""
    sums = accumulate(segment.entries for segment in segments)
    return segments[: 1 + sum(1 for one in sums if one < entries)]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
