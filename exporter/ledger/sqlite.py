"""The embedded ledger: one SQLite file under ``--storage.path``."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import structlog

from exporter.clock import elapsed
from exporter.ledger.base import (
    Batch,
    Committed,
    LedgerCondition,
    LedgerError,
    LoadedRules,
    RuleTotal,
    SeriesRule,
    SeriesTotal,
)
from exporter.ledger.counting import BatchCount
from exporter.ledger.database import Database
from exporter.ledger.memory import RESERVED, ReadingTime, creation_time, judged, limits, name
from exporter.ledger.rows import (
    all_series,
    check_buckets,
    checkpoint_of,
    create_series,
    find_series,
    labels_text,
    rule_totals,
    take_rule,
)
from exporter.ledger.storage import LEDGER_FILE
from exporter.model import Partition, SeriesKey

_log = structlog.get_logger(__name__)

_FORGOTTEN_TOGETHER: Final = 10_000
"""Matches forgotten in one transaction: commits wait no longer than that takes."""


class SqliteLedger:
    """The ``Ledger`` protocol on SQLite: WAL, synced at each commit, for one process.

    Thread-safe: one connection behind a lock. It holds no totals in memory, so a commit that
    fails leaves nothing behind.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        self._database = database
        self._transaction = database.transaction
        self._reading = database.reading
        self._clock = clock
        self._mutex = threading.Lock()
        self._rules: dict[str, SeriesRule] = {}
        self._saturated: frozenset[str] = frozenset()
        """Rules of which the log has told that a total is too large."""
        with self._transaction() as cursor:
            self._reading_time = ReadingTime.resume(cursor, steady, now=self._now())
            self._reading_time.keep(cursor)
            self._created = creation_time(cursor, now=self._now())

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = elapsed,
        temporary: bool = False,
    ) -> SqliteLedger:
        """Open the ledger in a directory; both are created where missing.

        ``clock`` gives seconds since the epoch, ``steady`` seconds that no one sets.
        ``temporary``: a new one is what is wanted, and is no warning.

        Raises:
            LedgerError: another process has it; or it is empty, damaged, of another version, no
                ledger, or cannot be written. A ledger that cannot be used is never replaced.
        """
        database = Database(directory / LEDGER_FILE, temporary=temporary)
        try:
            return cls(database, clock, steady)
        except BaseException:
            database.close()
            raise

    def load_rules(
        self, starts: Mapping[str, Mapping[str, int | None]], *, rules: Iterable[SeriesRule]
    ) -> LoadedRules:
        """See ``Ledger.load_rules``."""
        specifications = {rule.name: rule for rule in rules}
        wanted = {
            (source, rule): start for source in starts for rule, start in starts[source].items()
        }
        with self._transaction() as cursor:
            ended = [key for rule in specifications.values() for key in take_rule(cursor, rule)]
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
            totals = rule_totals(cursor)
        with self._mutex:
            self._rules = {**self._rules, **specifications}
        for metric in sorted({key.metric for key in ended}):
            _log.warning(
                "metric begins anew at zero, its rule has other buckets, labels or another type",
                metric=metric,
                series=sum(key.metric == metric for key in ended),
            )
        since = {
            source: {rule: listening.get((source, rule), start) for rule, start in of.items()}
            for source, of in starts.items()
        }
        return LoadedRules(since, ended, totals)

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int
    ) -> dict[str, dict[str, int]]:
        """See ``Ledger.load_scopes``."""
        wanted = [(source, scope) for source, of in scopes.items() for scope in of]
        with self._transaction() as cursor:
            cursor.execute("SELECT source, scope, since FROM scopes")
            known = {
                (source, scope): since
                for source, scope, since in cursor
                if not scope.startswith(RESERVED)
            }
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

    def declare(self, series: Iterable[tuple[str, SeriesKey]]) -> list[SeriesTotal]:
        """See ``Ledger.declare``."""
        totals: list[SeriesTotal] = []
        with self._transaction() as cursor:
            now = self._now()
            for rule, key in series:
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
                (partition.source, name(partition)),
            ).fetchone()
            return None if found is None else checkpoint_of(found[0])

    def has_progress(self, source: str) -> bool:
        """See ``Ledger.has_progress``."""
        with self._reading() as cursor:
            found = cursor.execute("SELECT 1 FROM checkpoints WHERE source = ? LIMIT 1", (source,))
            return found.fetchone() is not None

    def commit(self, batch: Batch) -> Committed:
        """See ``Ledger.commit``.

        A value that is not finite, or that a total cannot take, is a value error like a missing
        one; such an increment comes back in ``counted`` without its value.
        """
        with self._transaction() as cursor:
            now = self._now()
            increments = judged(cursor, batch)
            checkpoint = _move_checkpoint(cursor, batch, now)
            count = BatchCount(
                cursor,
                batch.partition.source,
                self._rules,
                checkpoint=checkpoint,
                now=now,
                remembered_at=self._reading_time.now() if batch.remember_from is None else None,
            )
            count.count(increments)
            committed = count.committed()
        self._tell_saturated(batch.partition.source, committed.saturated)
        if len(increments) < len(batch.increments):
            _log.warning(
                "matches of a partition that was away are not counted: whether another one brought"
                " these events before is forgotten",
                partition=str(batch.partition),
                matches=len(batch.increments) - len(increments),
            )
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

    def forget(
        self, source: str, found: Iterable[Partition], *, looked_at: int | None, memory: int
    ) -> int:
        """See ``Ledger.forget``."""
        with self._transaction() as cursor:
            self._reading_time.keep(cursor)
            forgettable = limits(
                cursor,
                source,
                found,
                looked_at=looked_at,
                memory=memory,
                reading_time=self._reading_time.now(),
            )
        return sum(self._forget(limit.checkpoint, limit.before) for limit in forgettable)

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

    def condition(self) -> LedgerCondition:
        """See ``Ledger.condition``."""
        return self._database.condition(self._created)

    def watch_files(self, on_loss: Callable[[], object]) -> None:
        """See ``Ledger.watch_files``."""
        self._database.on_loss = on_loss

    def close(self) -> None:
        """See ``Ledger.close``; waits for a transaction that is under way."""
        self._database.close()

    def _tell_saturated(self, source: str, rules: frozenset[str]) -> None:
        for rule in sorted(rules - self._saturated):
            _log.warning(
                "a total of the rule is too large to take its values: they are value errors from"
                " now on; lower the rule's `max_value`, or set a `scale`, and give its metric"
                " another name to begin anew",
                source=source,
                rule=rule,
            )
        self._saturated |= rules

    def _now(self) -> int:
        return int(self._clock() * 1000)


def _move_checkpoint(cursor: sqlite3.Cursor, batch: Batch, now: int) -> int:
    """Write the batch's checkpoint; the id of its row."""
    cursor.execute(
        "INSERT INTO checkpoints (source, partition, checkpoint, remember_from, updated)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (source, partition) DO UPDATE SET"
        " checkpoint = excluded.checkpoint, remember_from = excluded.remember_from,"
        " updated = excluded.updated",
        (
            batch.partition.source,
            name(batch.partition),
            batch.checkpoint.encode("utf-8", "surrogatepass"),
            batch.remember_from,
            now,
        ),
    )
    found = cursor.execute(
        "SELECT id FROM checkpoints WHERE source = ? AND partition = ?",
        (batch.partition.source, name(batch.partition)),
    ).fetchone()
    return int(found[0])
