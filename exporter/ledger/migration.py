"""Migrates a ledger from schema 1 or 2 in place, and reads schema 1's memory.

First a copy of the ledger is written, synced and renamed to ``ledger.sqlite3.v1`` (or ``.v2``).
Then one transaction converts the tables, so the process may be killed at any time. Schema 1's
memory, most of the file, is not converted: its table is renamed, and read together with the new
memory until all of it has expired. Schema 3 has one table more, which is filled when rules are
loaded.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import structlog

from exporter.ledger.base import LedgerError
from exporter.ledger.counting import series_id
from exporter.ledger.errors import UnreadableRowError
from exporter.ledger.rows import bounds_of, labels_of
from exporter.ledger.space import size_of
from exporter.ledger.sqlite_store import CREATE_TABLES, SqliteTransaction, begun, creation
from exporter.ledger.storage import sync
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    ACCOUNT_COUNTS,
    CHECKPOINTS,
    FACTS,
    FEEDS,
    LARGEST,
    MEMBER_COUNTS,
    MEMBERS,
    RULE_COUNTS,
    SCHEMA_VERSION,
    SCOPES,
    SERIES,
    TOTALS,
    VERSIONS,
    Checkpoint,
    Fact,
    Feed,
    Member,
    MemberCount,
    RuleCount,
    Scope,
    Series,
    Total,
    Version,
)
from exporter.model import Identity, JudgedEvent, SeriesKey

_log = structlog.get_logger(__name__)

_TABLES: Final = ("checkpoints", "rules", "scopes", "series", "rule_series", "matches")
_ROW_BYTES: Final = 2048
"""Limit for the size of a converted row, in the file and in its log."""
_TABLES_BYTES: Final = 1 << 20
"""Minimum size of the new tables and of SQLite's log."""
_LANE: Final = ""
"""Schema 1 did not separate totals by account, region and API."""
_LET_GO: Final = "=let go:"
_DIGEST_BYTES: Final = 16
_LOOKED_UP_TOGETHER: Final = 500
_DELETED_TOGETHER: Final = 10_000


def migrate(
    connection: sqlite3.Connection, path: Path, step: Callable[[str], object] = lambda _: None
) -> None:
    """Migrate a ledger. If an error is raised, it is unchanged.

    Args:
        connection: the only one to the ledger.
        path: its file.
        step: called with the name of each step before it starts.

    Raises:
        LedgerError: there is not enough space for the copy and the new tables.
        UnreadableRowError: a row is damaged.
        sqlite3.Error: the database failed.
    """
    step("space")
    (schema,) = connection.execute("PRAGMA user_version").fetchone()
    tables = _TABLES if schema == 1 else ("members",)
    rows = sum(_count(connection, table) for table in tables if table != "matches")
    copy = path.with_name(f"{path.name}.v{schema}")
    _check_space(path, rows)
    _log.info("ledger migration begins", path=str(path), schema=SCHEMA_VERSION, copy=str(copy))
    _copy(connection, copy, step)
    _log.info("ledger copied", copy=str(copy), bytes=copy.stat().st_size)
    with closing(connection.cursor()) as cursor, begun(cursor, write=True):
        step("tables")
        if schema == 1:
            _convert(cursor, SqliteTransaction(connection.cursor()), step)
        else:
            cursor.execute(creation(ACCOUNT_COUNTS))
        cursor.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        step("commit")
    step("done")
    _log.info(
        "ledger migrated; once you no longer need to downgrade, delete the copy",
        path=str(path),
        rows=rows,
        copy=str(copy),
    )


def _convert(
    cursor: sqlite3.Cursor, transaction: SqliteTransaction, step: Callable[[str], object]
) -> None:
    """Convert the tables of schema 1."""
    for table in _TABLES:
        cursor.execute(f"ALTER TABLE {table} RENAME TO v1_{table}")
    for statement in CREATE_TABLES.split(";\n"):
        cursor.execute(statement)
    for convert in (_facts, _checkpoints, _rules, _series, _members):
        step(convert.__name__)
        convert(cursor, transaction)
    step("memory")
    cursor.execute("CREATE TABLE v1_partitions AS SELECT id, source, partition FROM v1_checkpoints")
    for table in _TABLES:
        if table != "matches":
            cursor.execute(f"DROP TABLE v1_{table}")


class EarlierMatches:
    """Memory of schema 1: a digest for each match of a rule."""

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._partitions: dict[str, dict[bytes, int]] = defaultdict(dict)
        for id_, source, partition in cursor.execute("SELECT * FROM v1_partitions"):
            self._partitions[source][partition] = id_
        self._is_gone = False

    @classmethod
    def of(cls, cursor: sqlite3.Cursor) -> EarlierMatches | None:
        """Return a ledger's memory of schema 1, or None if all of it has expired."""
        query = "SELECT 1 FROM sqlite_master WHERE name = 'v1_partitions'"
        return cls(cursor) if cursor.execute(query).fetchone() else None

    def judged(
        self, transaction: Transaction, feed: str, events: Sequence[JudgedEvent]
    ) -> Mapping[Identity, frozenset[str]]:
        """See ``EarlierMemory.judged``."""
        if self._is_gone or feed not in self._partitions:
            return {}
        digests: dict[bytes, tuple[Identity, str, str, int]] = {}
        for event in events:
            if event.event_id is None:
                continue
            own = (event.scope, event.event_id)
            for rule in {one.rule for one in event.increments}:
                for scope, event_id in (own, *(alias[:2] for alias in event.aliases)):
                    digest = match_digest(feed, rule, scope, event_id)
                    digests[digest] = (own, rule, event_id, event.time)
        judged: dict[Identity, set[str]] = defaultdict(set)
        for digest, time in _times(_cursor(transaction), digests):
            own, rule, event_id, at = digests[digest]
            if event_id == own[1] or time == max(-LARGEST, min(at, LARGEST)):
                judged[own].add(rule)
        return {own: frozenset(rules) for own, rules in judged.items()}

    def expire(
        self, transaction: Transaction, source: str, before: Callable[[Checkpoint], int | None]
    ) -> int:
        """See ``EarlierMemory.expire``."""
        ids = {} if self._is_gone else self._partitions.get(source, {})
        cursor = _cursor(transaction)
        deleted = 0
        for row in transaction.read(CHECKPOINTS, [(source,)] if ids else []):
            limit = before(row)
            if row.partition not in ids or limit is None:
                continue
            cursor.execute(
                "DELETE FROM v1_matches WHERE digest IN (SELECT digest FROM v1_matches"
                " WHERE checkpoint = ? AND time < ? LIMIT ?)",
                (ids[row.partition], limit, _DELETED_TOGETHER),
            )
            deleted += cursor.rowcount
        if deleted and cursor.execute("SELECT 1 FROM v1_matches LIMIT 1").fetchone() is None:
            cursor.execute("DROP TABLE v1_matches")
            cursor.execute("DROP TABLE v1_partitions")
            self._is_gone = True
            _log.info("all memory from before the ledger's migration has expired and is deleted")
        return deleted


def match_digest(source: str, rule: str, scope: str, event_id: str) -> bytes:
    """Return the digest of a match in schema 1."""
    name = "\0".join((source, rule, scope, event_id)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(name, digest_size=_DIGEST_BYTES).digest()


def _cursor(transaction: Transaction) -> sqlite3.Cursor:
    if not isinstance(transaction, SqliteTransaction):
        raise TypeError("schema 1 was in SQLite only")
    return transaction.cursor


def _times(cursor: sqlite3.Cursor, digests: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    rest = iter(sorted(digests))
    while together := list(islice(rest, _LOOKED_UP_TOGETHER)):
        marks = ",".join("?" * len(together))
        query = f"SELECT digest, time FROM v1_matches WHERE digest IN ({marks})"  # noqa: S608
        yield from cursor.execute(query, together).fetchall()


def _check_space(path: Path, rows: int) -> None:
    size = size_of((path, path.with_name(f"{path.name}-wal")))
    needed, free = size + _TABLES_BYTES + rows * _ROW_BYTES, shutil.disk_usage(path.parent).free
    if free < needed:
        raise LedgerError(
            f"The ledger {path} must be migrated to schema {SCHEMA_VERSION}, which keeps a copy of "
            f"it. This needs {needed} bytes, and {free} are free. Free or add space. Nothing was "
            "changed."
        )


def _copy(connection: sqlite3.Connection, copy: Path, step: Callable[[str], object]) -> None:
    step("copy")
    new = copy.with_name(f"{copy.name}.new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new, isolation_level=None)) as target:
        connection.backup(target)
        # So that the copy is a single file.
        target.execute("PRAGMA journal_mode = DELETE")
    step("copy synced")
    sync(new)
    step("copy renamed")
    new.rename(copy)
    sync(new.parent)


def _facts(cursor: sqlite3.Cursor, transaction: SqliteTransaction) -> None:
    """Convert the scopes, and facts that schema 1 stored as scopes with a leading ``=``."""
    notes = {
        (source, name): since
        for source, name, since in cursor.execute("SELECT source, scope, since FROM v1_scopes")
        if name.startswith("=")
    }
    created = notes.get(("", "=created"))
    if created is None:
        (created,) = cursor.execute("SELECT min(created) FROM v1_series").fetchone()
    begun_at = notes.get(("", "=reading time"))
    if begun_at is None:
        (begun_at,) = cursor.execute(
            "SELECT max(time) FROM v1_matches WHERE checkpoint IN"
            " (SELECT id FROM v1_checkpoints WHERE remember_from IS NULL)"
        ).fetchone()
    facts = {"created": created, "reading time": begun_at}
    transaction.write(
        FACTS, [Fact(name, str(value)) for name, value in facts.items() if value is not None]
    )
    line = [f"=forgotten {name}" for name in ("before", "next before", "next since")]
    feeds = {source for source, name in notes if name in line}
    transaction.write(
        FEEDS,
        (Feed(feed, "", -1, 0, -1, *(notes.get((feed, name)) for name in line)) for feed in feeds),
    )
    transaction.write(
        SCOPES,
        [
            Scope(*row)
            for row in cursor.execute("SELECT source, scope, since FROM v1_scopes").fetchall()
            if not row[1].startswith("=")
        ],
    )


def _checkpoints(cursor: sqlite3.Cursor, transaction: SqliteTransaction) -> None:
    query = "SELECT source, scope FROM v1_scopes WHERE scope LIKE ?"
    released = set(cursor.execute(query, (_LET_GO + "%",)))
    rows = cursor.execute(
        "SELECT source, partition, checkpoint, remember_from, updated FROM v1_checkpoints"
    )
    transaction.write(
        CHECKPOINTS,
        (
            Checkpoint(
                source,
                partition,
                checkpoint,
                remember_from,
                0,
                updated,
                int((source, _LET_GO + partition.decode("utf-8", "backslashreplace")) in released),
            )
            for source, partition, checkpoint, remember_from, updated in rows
        ),
    )


def _rules(cursor: sqlite3.Cursor, transaction: SqliteTransaction) -> None:
    rows = cursor.execute(
        "SELECT source, rule, listening, start, matches, value_errors, overflowed, last_event_time"
        " FROM v1_rules"
    ).fetchall()
    for source, rule, listening, start, *counts in rows:
        with _readable("rules", rule):
            _require(all(type(count) is int and count >= 0 for count in counts[:3]))
        transaction.write(RULE_COUNTS, [RuleCount(source, rule, _LANE, *counts)])
        if listening:
            transaction.write(VERSIONS, [Version(source, rule, 0, start, None, "", 0, 0)])


def _series(cursor: sqlite3.Cursor, transaction: SqliteTransaction) -> None:
    cursor.execute(
        "SELECT id, metric, labels, bounds, created, revealed, total, buckets, event_id,"
        " event_value, event_time FROM v1_series"
    )
    for number, metric, labels, bounds, created, revealed, total, buckets, *event in cursor:
        with _readable("series", number):
            id_ = series_id(SeriesKey(metric, labels_of(labels)))
            upper = bounds_of(bounds)
            counts = None if buckets is None else json.loads(buckets)
            _require(type(total) is float and total >= 0 and (upper is None) == (counts is None))
            _require(upper is None or len(counts or ()) == len(upper) + 1)
        transaction.write(SERIES, [Series(id_, metric, labels, bounds, created, revealed)])
        transaction.write(TOTALS, [Total(id_, _LANE, total, buckets, *event)])


def _members(cursor: sqlite3.Cursor, transaction: SqliteTransaction) -> None:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    cursor.execute(
        "SELECT rule, metric, labels, overflow FROM v1_rule_series"
        " JOIN v1_series ON v1_series.id = v1_rule_series.series"
    )
    for rule, metric, labels, overflow in cursor:
        id_ = series_id(SeriesKey(metric, labels_of(labels)))
        transaction.write(MEMBERS, [Member(rule, metric, id_, overflow)])
        counts[rule, metric][overflow] += 1
    transaction.write(MEMBER_COUNTS, (MemberCount(*key, *of) for key, of in counts.items()))


def _count(connection: sqlite3.Connection, table: str) -> int:
    (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(count)


@contextmanager
def _readable(table: str, row: Any) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableRowError(f"table {table} has a row that cannot be read: {row!r}") from error


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError
