"""What loading a configuration would change in a ledger, without changing it.

Reads beside the process that has the ledger open.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from exporter.exactness import RuleVersion
from exporter.ledger.audit import audit
from exporter.ledger.base import LedgerError, RuleUse
from exporter.ledger.errors import DATABASE_ERRORS, UnreadableRowError, damaged, explain
from exporter.ledger.rules import Place, load_versions, version_of
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
    CHECKPOINTS,
    GENERATIONS,
    HOLDERS,
    MEMBER_COUNTS,
    MEMBERS,
    SCHEMA_VERSION,
    SERIES,
    VERSIONS,
)

_Uses: TypeAlias = Callable[[Collection[str]], Mapping[str, Mapping[str, RuleUse]]]
_READ = (CHECKPOINTS, GENERATIONS, HOLDERS, VERSIONS, SERIES, MEMBERS, MEMBER_COUNTS)
"""All that loading rules goes by."""


@dataclass(frozen=True, slots=True)
class Review:
    """What a configuration would change."""

    path: Path
    begun_anew: Mapping[str, int]
    """Metrics that begin anew at zero, and how many series end."""
    before: Mapping[Place, Sequence[RuleVersion]]
    after: Mapping[Place, Sequence[RuleVersion]]
    """Versions, by source and rule."""
    is_migrated: bool = True
    """False: it is of an earlier schema, and its rules can only be compared once it is migrated."""


def review(
    directory: Path,
    uses: _Uses,
    *,
    now: int,
    keep: Mapping[str, int],
) -> Review | None:
    """Check a ledger, and say what loading these rules would do; None: there is no ledger.

    Args:
        directory: where the ledger is.
        uses: the rules, given the sources that were read before (see ``Ledger.load_rules``).
        now: milliseconds.
        keep: see ``Ledger.load_rules``.

    Raises:
        LedgerError: the ledger is damaged, of a newer version, or cannot be read.
    """
    path = directory / LEDGER_FILE
    if not path.exists():
        return None
    while True:
        was_in_use, problem = is_in_use(path), None
        try:
            found = _read(path, uses, now, keep)
        except LedgerError as error:
            problem = error
        if was_in_use or not is_in_use(path):
            break
    if problem is not None:
        raise problem
    return found


def _read(path: Path, uses: _Uses, now: int, keep: Mapping[str, int]) -> Review:
    check_file(path)
    try:
        with closing(connect_to_read(path)) as connection:
            if schema_of(connection, path) < SCHEMA_VERSION:
                return Review(path, {}, {}, {}, is_migrated=False)
            found = audit(connection)
            if found is not None:
                raise damaged(path, found)
            with closing(_copied(connection)) as copy, begun(copy.cursor(), write=True) as cursor:
                return _compared(SqliteTransaction(cursor), path, uses, now, keep)
    except DATABASE_ERRORS as error:
        raise explain(error, path, "read") from error
    except UnreadableRowError as error:
        raise damaged(path, str(error)) from error


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """What loading rules goes by, in memory."""
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
    now: int,
    keep: Mapping[str, int],
) -> Review:
    before = defaultdict(list)
    for row in transaction.read(VERSIONS):
        before[row.source, row.rule].append(version_of(row))
    read_before = {row.source for row in transaction.scan(CHECKPOINTS)}
    loaded = load_versions(
        transaction,
        uses(read_before),
        now=now,
        keep=keep,
        generation="under review",
        holder=HOLDER,
    )
    after = defaultdict(list)
    for row in loaded.rows:
        after[row.source, row.rule].append(version_of(row))
    return Review(path, Counter(key.metric for key in loaded.ended), before, after)
