"""Rows that a connection has read or written, kept so that small commits read nothing twice.

They are what the database has: SQLite says whether another connection has committed
(``PRAGMA data_version``), and after a failed transaction nothing is kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from exporter.ledger.tables import (
    FACTS,
    FEEDS,
    MEMBER_COUNTS,
    MEMBERS,
    RULE_COUNTS,
    SEGMENTS,
    SERIES,
    TOTALS,
    Key,
    Row,
    Table,
)

_TABLES: Final = frozenset(
    table.name
    for table in (FACTS, FEEDS, MEMBER_COUNTS, MEMBERS, RULE_COUNTS, SEGMENTS, SERIES, TOTALS)
)
_MOST: Final = 8192
"""Limit for the prefixes of keys that are kept, some megabytes."""
_MOST_ROWS: Final = 16
"""Limit for the rows of a prefix."""

_Rows: TypeAlias = dict[Key, Any]
"""By their whole keys."""


class RowCache:
    """All rows whose keys begin with certain prefixes."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Key], _Rows] = {}
        self._connection: sqlite3.Connection | None = None
        self._version = 0

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """Begin a transaction: keep the rows only if nothing else has changed the database."""
        (version,) = cursor.execute("PRAGMA data_version").fetchone()
        if cursor.connection is not self._connection or version != self._version:
            self.clear()
            self._connection, self._version = cursor.connection, version

    def clear(self) -> None:
        """Keep nothing."""
        self._found.clear()

    def get(self, table: Table[Row], prefix: Key) -> Iterable[Row] | None:
        """Return the rows whose keys begin with a prefix; None if they must be read."""
        found = self._found.get((table.name, prefix))
        return None if found is None else found.values()

    def read(self, table: Table[Row], prefixes: Iterable[Key], rows: Iterable[Row]) -> None:
        """Keep all rows with these prefixes, which have the same length."""
        if table.name not in _TABLES:
            return
        by_prefix: dict[Key, _Rows] = {prefix: {} for prefix in prefixes}
        length = len(next(iter(by_prefix), ()))
        if not length:
            return
        for row in rows:
            by_prefix[row[:length]][row[: table.key_length]] = row
        if len(self._found) + len(by_prefix) > _MOST:
            self.clear()
        for prefix, of in by_prefix.items():
            if len(of) <= _MOST_ROWS:
                self._found[table.name, prefix] = of

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Replace rows."""
        if table.name not in _TABLES:
            return
        for row in rows:
            for length in range(1, table.key_length + 1):
                found = self._found.get((table.name, row[:length]))
                if found is not None:
                    found[row[: table.key_length]] = row
