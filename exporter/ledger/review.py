"""Previews how loading a configuration would change a ledger, for ``check``.

It only reads, also while the exporter has the ledger open.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from exporter.exactness import RuleVersion
from exporter.ledger.audit import audit
from exporter.ledger.base import NO_FEEDS, LedgerError, Relabeled, RuleUse
from exporter.ledger.errors import damaged, explained
from exporter.ledger.feeds import load_feeds, memberships
from exporter.ledger.rows import labels_of
from exporter.ledger.rules import RuleKey, load_versions, version_of
from exporter.ledger.sqlite import HOLDER
from exporter.ledger.sqlite_store import CREATE_TABLES, SqliteTransaction, begun
from exporter.ledger.storage import (
    LEDGER_FILE,
    check_file,
    connect_to_read,
    is_in_use,
    schema_of,
)
from exporter.ledger.tables import (
    ACCOUNT_COUNTS,
    CHECKPOINTS,
    FACTS,
    FEEDS,
    GENERATIONS,
    HOLDERS,
    MEMBER_COUNTS,
    MEMBERS,
    SCHEMA_VERSION,
    SEEN,
    SERIES,
    TOTALS,
    VERSIONS,
    Version,
)

_Uses: TypeAlias = Callable[[Collection[str]], Mapping[str, Mapping[str, RuleUse]]]
_READ = (
    *(CHECKPOINTS, FACTS, FEEDS, GENERATIONS, HOLDERS, VERSIONS, SERIES, MEMBERS, MEMBER_COUNTS),
    ACCOUNT_COUNTS,
    TOTALS,
)
"""The tables that loading rules reads."""


@dataclass(frozen=True, slots=True)
class Move:
    """A source that comes to a feed."""

    source: str
    before: str | None
    """Its feed before; None if the source is new."""
    feed: str
    since: int | None
    """The source does not count earlier events, milliseconds; None if it counts all."""
    series: int
    """Series that stay at their totals, since the source added to them in its feed before."""


@dataclass(frozen=True, slots=True)
class Review:
    """The changes."""

    path: Path
    restarted: Mapping[str, int]
    """Metrics that restart at zero, and the number of series that are deleted."""
    before: Mapping[RuleKey, Sequence[RuleVersion]]
    after: Mapping[RuleKey, Sequence[RuleVersion]]
    relabeled: Sequence[Relabeled] = ()
    moves: Sequence[Move] = ()
    """Sources that come to a feed."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """By source, the rates of its partitions (see ``Member.seen``)."""
    is_migrated: bool = True
    """False if the ledger has an earlier schema; then the rest is empty."""


def review(
    directory: Path,
    uses: _Uses,
    *,
    now: int,
    keep: Mapping[str, int],
    feeds: Mapping[str, str] = NO_FEEDS,
) -> Review | None:
    """Check a ledger, and preview how loading these rules would change it.

    Args:
        directory: the directory of the ledger.
        uses: returns the rules, given the sources that have checkpoints.
        now: milliseconds.
        keep: see ``Ledger.load_rules``.
        feeds: as for ``keep``.

    Returns:
        The changes; None if there is no ledger.

    Raises:
        LedgerError: the ledger is damaged, of a newer version, or cannot be read.
    """
    path = directory / LEDGER_FILE
    if not path.exists():
        return None
    while True:
        was_in_use, problem = is_in_use(path), None
        try:
            found = _read(path, uses, now, keep, feeds)
        except LedgerError as error:
            problem = error
        if was_in_use or not is_in_use(path):
            break
    if problem is not None:
        raise problem
    return found


def _read(
    path: Path, uses: _Uses, now: int, keep: Mapping[str, int], feeds: Mapping[str, str]
) -> Review:
    check_file(path)
    with explained(path, "read"), closing(connect_to_read(path)) as connection:
        if schema_of(connection, path) < SCHEMA_VERSION:
            return Review(path, {}, {}, {}, is_migrated=False)
        found = audit(connection)
        if found is not None:
            raise damaged(path, found)
        with closing(_copied(connection)) as copy, begun(copy.cursor(), write=True) as cursor:
            transaction = SqliteTransaction(cursor)
            moves = _moves(transaction, feeds, now)
            compared = _compared(transaction, path, uses, now=now, keep=keep, feeds=feeds)
            return replace(compared, moves=moves)


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy in memory of the tables that loading rules reads."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.executescript(CREATE_TABLES)
    into = SqliteTransaction(copy.cursor())
    with closing(connection.cursor()) as cursor, begun(cursor, write=False):
        for table in _READ:
            into.write(table, SqliteTransaction(cursor).scan(table))
    return copy


def _compared(
    transaction: SqliteTransaction,
    path: Path,
    uses: _Uses,
    *,
    now: int,
    keep: Mapping[str, int],
    feeds: Mapping[str, str],
) -> Review:
    before = _by_rule(transaction.read(VERSIONS))
    read_before = {row.source for row in transaction.scan(CHECKPOINTS)}
    loaded = load_versions(
        transaction,
        uses(read_before),
        now=now,
        keep=keep,
        generation="under review",
        holder=HOLDER,
        feeds=feeds,
    )
    restarted = Counter(key.metric for key in loaded.ended)
    seen = {
        one.name.removeprefix(SEEN): one.value
        for one in transaction.read(FACTS)
        if one.name.startswith(SEEN)
    }
    after = _by_rule(loaded.rows)
    return Review(path, restarted, before, after, relabeled=loaded.relabeled, seen=seen)


def _moves(transaction: SqliteTransaction, feeds: Mapping[str, str], now: int) -> list[Move]:
    known, read = memberships(transaction), {row.source for row in transaction.scan(CHECKPOINTS)}
    joined = load_feeds(transaction, feeds, now=now)
    labels = [dict(labels_of(row.labels)) for row in transaction.scan(SERIES)]
    moves = []
    for source, feed in feeds.items():
        before = known[source].feed if source in known else source if source in read else None
        is_shared = sum(one == feed for one in feeds.values()) > 1
        if before == feed or (before is None and not is_shared):
            continue
        series = sum(one.get("source") == before for one in labels)
        moves.append(Move(source, before, feed, joined.get(source), series))
    return moves


def _by_rule(rows: Iterable[Version]) -> Mapping[RuleKey, Sequence[RuleVersion]]:
    versions = defaultdict(list)
    for row in rows:
        versions[row.source, row.rule].append(version_of(row))
    return versions
