"""The embedded ledger: one SQLite file under ``--storage.path``."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from exporter.events import Partition
from exporter.ledger.base import (
    Batch,
    Committed,
    LedgerError,
    RuleTotal,
    SeriesRule,
    SeriesTotal,
)
from exporter.ledger.counting import BatchCount
from exporter.ledger.errors import explain
from exporter.ledger.rows import (
    all_series,
    bounds_of,
    bounds_text,
    buckets_changed,
    check_buckets,
    create_series,
    find_series,
    labels_text,
    rule_totals,
)
from exporter.ledger.storage import LEDGER_FILE, DirectoryLock, make_directory, open_database
from exporter.rules.increments import SeriesKey

STALLED_AFTER: Final = 7 * 24 * 3600 * 1000
"""Milliseconds without a commit after which a partition holds no memory of matches back."""

ABANDONED_AFTER: Final = 90 * 24 * 3600 * 1000
"""Milliseconds without a commit after which a partition's checkpoint goes, and its matches with it:
it would begin anew. Event history reaches back no further either."""

_FORGOTTEN_TOGETHER: Final = 10_000
"""Matches forgotten in one transaction: commits wait no longer than that takes."""


class SqliteLedger:
    """The ``Ledger`` protocol on SQLite: WAL, synced at each commit, for one process.

    Thread-safe: one connection behind a lock. It holds no totals in memory, so a commit that
    fails leaves nothing behind.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: DirectoryLock,
        clock: Callable[[], float],
    ) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._lock = lock
        self._clock = clock
        self._mutex = threading.RLock()
        self._rules: dict[str, SeriesRule] = {}

    @classmethod
    def open(cls, directory: Path, *, clock: Callable[[], float] = time.time) -> SqliteLedger:
        """Open the ledger in a directory; both are created where missing.

        ``clock`` gives seconds since the epoch.

        Raises:
            LedgerError: another process has it; or it is empty, damaged, of another version, no
                ledger, or cannot be written. A ledger that cannot be used is never replaced.
        """
        make_directory(directory)
        lock = DirectoryLock(directory)
        path = directory / LEDGER_FILE
        try:
            connection = open_database(path)
        except LedgerError:
            lock.release()
            raise
        return cls(path, connection, lock, clock)

    def load_rules(
        self, starts: Mapping[str, Mapping[str, int | None]], *, rules: Iterable[SeriesRule]
    ) -> dict[str, dict[str, int | None]]:
        """See ``Ledger.load_rules``.

        Raises:
            LedgerError: the ledger keeps a rule's metric with other buckets (or none), besides
                what every method raises. Nothing is changed then.
        """
        specifications = {rule.name: rule for rule in rules}
        wanted = {
            (source, rule): start for source in starts for rule, start in starts[source].items()
        }
        with self._transaction() as cursor:
            for rule in specifications.values():
                _take_rule(cursor, rule)
            cursor.execute("SELECT source, rule, start FROM rules WHERE listening")
            listening = {(source, rule): start for source, rule, start in cursor}
            cursor.executemany(
                "UPDATE rules SET listening = 0, start = NULL WHERE source = ? AND rule = ?",
                [place for place in listening if place not in wanted],
            )
            new = {place: start for place, start in wanted.items() if place not in listening}
            cursor.executemany("INSERT OR IGNORE INTO rules (source, rule) VALUES (?, ?)", new)
            cursor.executemany(
                "UPDATE rules SET listening = 1, start = ?3 WHERE source = ?1 AND rule = ?2",
                [(*place, start) for place, start in new.items()],
            )
        with self._mutex:
            self._rules = {**self._rules, **specifications}
        return {
            source: {rule: listening.get((source, rule), start) for rule, start in of.items()}
            for source, of in starts.items()
        }

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int
    ) -> dict[str, dict[str, int]]:
        """See ``Ledger.load_scopes``."""
        wanted = [(source, scope) for source, of in scopes.items() for scope in of]
        with self._transaction() as cursor:
            cursor.execute("SELECT source, scope, since FROM scopes")
            known = {(source, scope): since for source, scope, since in cursor}
            cursor.executemany(
                "DELETE FROM scopes WHERE source = ? AND scope = ?", known.keys() - set(wanted)
            )
            cursor.executemany(
                "INSERT OR IGNORE INTO scopes VALUES (?, ?, ?)", [(*scope, now) for scope in wanted]
            )
        since: dict[str, dict[str, int]] = {source: {} for source in scopes}
        for source, scope in wanted:
            since[source][scope] = known.get((source, scope), now)
        return since

    def declare(self, series: Mapping[str, SeriesKey]) -> list[SeriesTotal]:
        """See ``Ledger.declare``."""
        totals: list[SeriesTotal] = []
        with self._transaction() as cursor:
            now = self._now()
            for rule, key in series.items():
                specification = self._rules.get(rule)
                if specification is None:
                    raise LedgerError(
                        f"The ledger was not told of rule {rule}; its series at 0 wait."
                    )
                row = find_series(cursor, key)
                if row is None:
                    row = create_series(cursor, key, specification.buckets, now)
                check_buckets(row, specification)
                cursor.execute(
                    "INSERT OR IGNORE INTO rule_series (rule, series) VALUES (?, ?)", (rule, row.id)
                )
                totals.append(row.as_total())
        return totals

    def checkpoint(self, partition: Partition) -> str | None:
        """See ``Ledger.checkpoint``."""
        with self._reading() as cursor:
            found = cursor.execute(
                "SELECT checkpoint FROM checkpoints WHERE source = ? AND partition = ?",
                _names(partition),
            ).fetchone()
        return None if found is None else found[0].decode("utf-8", "surrogatepass")

    def has_progress(self, source: str) -> bool:
        """See ``Ledger.has_progress``."""
        with self._reading() as cursor:
            found = cursor.execute("SELECT 1 FROM checkpoints WHERE source = ? LIMIT 1", (source,))
            return found.fetchone() is not None

    def commit(self, batch: Batch) -> Committed:
        """See ``Ledger.commit``.

        A value that is not finite, or would make a total so, is a value error like a missing one;
        such an increment comes back in ``counted`` without its value.
        """
        with self._transaction() as cursor:
            now = self._now()
            checkpoint = _move_checkpoint(cursor, batch, now)
            count = BatchCount(
                cursor, batch.partition.source, self._rules, checkpoint=checkpoint, now=now
            )
            count.count(batch.increments)
            committed = count.committed()
        return committed

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """See ``Ledger.reveal``."""
        names = [(key.metric, labels_text(key.labels)) for key in keys]
        with self._transaction() as cursor:
            cursor.executemany(
                "UPDATE series SET revealed = 1 WHERE metric = ? AND labels = ?", names
            )

    def series(self) -> list[SeriesTotal]:
        """See ``Ledger.series``; oldest first."""
        with self._reading() as cursor:
            return [row.as_total() for row in all_series(cursor)]

    def rule_totals(self) -> list[RuleTotal]:
        """See ``Ledger.rule_totals``; rules that are no longer loaded are among them."""
        with self._reading() as cursor:
            return rule_totals(cursor)

    def forget(self, source: str, partitions: Iterable[Partition], *, now: int, memory: int) -> int:
        """See ``Ledger.forget``.

        A partition that was never read holds back what is younger than 7 days, and so does a
        source that has no partition with progress: what it will bring is unknown.
        """
        with self._transaction() as cursor:
            limits = [_held_from(cursor, partition, now) for partition in partitions]
            held = [limit for limit in limits if limit is not None]
            before = min(held, default=now - STALLED_AFTER) - memory
            forgotten = _abandon(cursor, source, now - ABANDONED_AFTER)
            own = _own_limits(cursor, source, now)
        return forgotten + sum(
            self._forget(checkpoint, min(before, remember_from - memory))
            for checkpoint, remember_from in own
        )

    def _forget(self, checkpoint: int, before: int) -> int:
        """Forget a partition's matches of events older than ``before``, some at a time."""
        forgotten = 0
        while True:
            with self._transaction() as cursor:
                cursor.execute(
                    "DELETE FROM matches WHERE digest IN (SELECT digest FROM matches"
                    " WHERE checkpoint = ? AND time < ? LIMIT ?)",
                    (checkpoint, before, _FORGOTTEN_TOGETHER),
                )
                deleted = cursor.rowcount
            forgotten += deleted
            if deleted < _FORGOTTEN_TOGETHER:
                return forgotten

    def close(self) -> None:
        """See ``Ledger.close``; waits for a transaction that is under way."""
        with self._mutex:
            connection, self._connection = self._connection, None
            if connection is not None:
                try:
                    connection.close()
                finally:
                    self._lock.release()

    def _now(self) -> int:
        return int(self._clock() * 1000)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._cursor("written") as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            finally:
                if cursor.connection.in_transaction:
                    with suppress(sqlite3.Error):
                        cursor.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Cursor]:
        with self._cursor("read") as cursor:
            yield cursor

    @contextmanager
    def _cursor(self, doing: str) -> Iterator[sqlite3.Cursor]:
        with self._mutex:
            if self._connection is None:
                raise LedgerError(f"The ledger {self._path} is closed.")
            with closing(self._connection.cursor()) as cursor:
                try:
                    yield cursor
                except sqlite3.Error as error:
                    raise explain(error, self._path, doing) from error


def _names(partition: Partition) -> tuple[str, bytes]:
    return partition.source, partition.key.encode("utf-8", "surrogatepass")


def _take_rule(cursor: sqlite3.Cursor, rule: SeriesRule) -> None:
    """Check a rule against what is stored of its metric, and let it go of another one's series."""
    if rule.metric is None:
        return
    stored = cursor.execute(
        "SELECT bounds FROM series WHERE metric = ? AND bounds IS NOT ? LIMIT 1",
        (rule.metric, bounds_text(rule.buckets)),
    ).fetchone()
    if stored is not None:
        raise buckets_changed(rule, rule.metric, bounds_of(stored[0]))
    # max_series is for the series that the rule can still feed.
    cursor.execute(
        "DELETE FROM rule_series WHERE rule = ?"
        " AND series IN (SELECT id FROM series WHERE metric <> ?)",
        (rule.name, rule.metric),
    )


def _held_from(cursor: sqlite3.Cursor, partition: Partition, now: int) -> int | None:
    """Since when the partition may still bring events, milliseconds; None: it holds nothing."""
    found = cursor.execute(
        "SELECT remember_from, updated FROM checkpoints WHERE source = ? AND partition = ?",
        _names(partition),
    ).fetchone()
    if found is None:
        return now - STALLED_AFTER
    remember_from, updated = found
    if updated <= now - STALLED_AFTER:
        return None
    return now if remember_from is None else min(int(remember_from), now)


def _move_checkpoint(cursor: sqlite3.Cursor, batch: Batch, now: int) -> int:
    """Write the batch's checkpoint; the id of its row."""
    cursor.execute(
        "INSERT INTO checkpoints (source, partition, checkpoint, remember_from, updated)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, partition) DO UPDATE SET"
        " checkpoint = excluded.checkpoint, remember_from = excluded.remember_from,"
        " updated = excluded.updated",
        (
            *_names(batch.partition),
            batch.checkpoint.encode("utf-8", "surrogatepass"),
            batch.remember_from,
            now,
        ),
    )
    found = cursor.execute(
        "SELECT id FROM checkpoints WHERE source = ? AND partition = ?", _names(batch.partition)
    ).fetchone()
    return int(found[0])


def _abandon(cursor: sqlite3.Cursor, source: str, before: int) -> int:
    """Let go of the source's partitions without a commit since ``before``; return their matches."""
    abandoned = "FROM checkpoints WHERE source = ? AND updated < ?"
    cursor.execute(
        f"DELETE FROM matches WHERE checkpoint IN (SELECT id {abandoned})",  # noqa: S608
        (source, before),
    )
    forgotten = cursor.rowcount
    cursor.execute(f"DELETE {abandoned}", (source, before))
    return forgotten


def _own_limits(cursor: sqlite3.Cursor, source: str, now: int) -> list[tuple[int, int]]:
    """Since when each partition that was read may bring an event once more, by checkpoint id.

    However long it stands still, that is what it must remember of its own.
    """
    cursor.execute("SELECT id, remember_from FROM checkpoints WHERE source = ?", (source,))
    return [(row, now if limit is None else limit) for row, limit in cursor]
