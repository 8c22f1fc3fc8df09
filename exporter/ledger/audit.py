"""Finds damage in a ledger: its pages, its tables, checksums of rows, and references."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from functools import cache
from typing import Final

from exporter.ledger.blocks import problem_of
from exporter.ledger.errors import UnreadableRowError
from exporter.ledger.sqlite_store import CREATE_TABLES, SqliteTransaction, begun
from exporter.ledger.tables import (
    BLOCKS,
    EARLIER,
    MEMBER_COUNTS,
    MEMBERS,
    SEGMENTS,
    SERIES,
    TABLES,
    TOTALS,
)

_MOST_REPORTED: Final = 3


def audit(connection: sqlite3.Connection) -> str | None:
    """Return the damage, in words; None if there is no damage.

    Reads a snapshot of the whole file. Raises sqlite3.Error.
    """
    with closing(connection.cursor()) as cursor, begun(cursor, write=False):
        # Unlike quick_check, this compares indexes with tables.
        pages = [str(row[0]) for row in cursor.execute(f"PRAGMA integrity_check({_MOST_REPORTED})")]
        if pages != ["ok"]:
            return "; ".join(pages)
        if _schema(connection) != _expected_schema():
            return "its tables are not those of the schema"
        try:
            return _broken(SqliteTransaction(cursor))
        except UnreadableRowError as error:
            return str(error)


def _broken(transaction: SqliteTransaction) -> str | None:
    for table in TABLES:
        for _ in transaction.scan(table):
            pass
    series = {row.id for row in transaction.scan(SERIES)}
    if any(row.series not in series for row in transaction.scan(TOTALS)):
        return "table totals has a row of a series that is missing in table series"
    if any(row.series not in series for row in transaction.scan(MEMBERS)):
        return "table members has a row of a series that is missing in table series"
    members = Counter(
        (one.rule, one.metric, one.overflow)
        for one in transaction.scan(MEMBERS)
        if one.overflow < EARLIER
    )
    for count in transaction.scan(MEMBER_COUNTS):
        counted = (members.pop((count.rule, count.metric, flag), 0) for flag in (0, 1))
        if tuple(counted) != (count.series, count.overflow):
            return f"table member_counts does not agree with members for rule {count.rule}"
    if members:
        return "table members has rows that table member_counts does not count"
    entries: Counter[tuple[str, bytes, int]] = Counter()
    for block in transaction.scan(BLOCKS):
        wrong = problem_of(block)
        if wrong is not None:
            return f"table blocks has {wrong} (segment {block.segment} of {block.feed})"
        entries[block[:3]] += len(block.entries)
    for segment in transaction.scan(SEGMENTS):
        if not entries.pop(segment[:3], 0):
            return f"table segments has a segment without blocks ({segment.feed})"
    return "table blocks has blocks without a segment" if entries else None


def _schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
        # Remains of schema 1: see migration.py.
        " WHERE name NOT IN ('v1_matches', 'v1_partitions', 'matches_by_time') AND"
        " tbl_name <> 'v1_matches' ORDER BY name"
    ).fetchall()


@cache
def _expected_schema() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(CREATE_TABLES)
        return _schema(connection)
