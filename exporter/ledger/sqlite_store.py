"""Rows in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from typing import Any, Final

from exporter.ledger.errors import UnreadableRowError
from exporter.ledger.row_cache import RowCache
from exporter.ledger.tables import TABLES, Key, Row, Table

_READ_TOGETHER: Final = 64
"""Limit for the keys of a statement."""


def creation(table: Table[Any]) -> str:
    """Return the statement that creates a table."""
    # A table with a large column fills its pages better if it has row ids.
    return table.definition + ("" if table.name == "blocks" else " WITHOUT ROWID")


CREATE_TABLES: Final = ";\n".join(map(creation, TABLES))


class SqliteTransaction:
    """``Transaction`` on a cursor."""

    def __init__(self, cursor: sqlite3.Cursor, cache: RowCache | None = None) -> None:
        """``cache``: has rows of this connection, and is cleared if the transaction fails."""
        self.cursor = cursor
        self._cache = cache

    def read(self, table: Table[Row], prefixes: Iterable[Key] = ((),)) -> list[Row]:
        """See ``Transaction.read``."""
        if self._cache is None:
            return self._read(table, list(prefixes))
        rows: list[Row] = []
        unknown: list[Key] = []
        for prefix in prefixes:
            found = self._cache.get(table, prefix)
            if found is None:
                unknown.append(prefix)
            else:
                rows += found
        if unknown:
            read = self._read(table, unknown)
            self._cache.read(table, unknown, read)
            rows += read
        return rows

    def _read(self, table: Table[Row], keys: Sequence[Key]) -> list[Row]:
        rows: list[Row] = []
        start = 0
        while start < len(keys):
            # Few different statements, since each is compiled and kept.
            together = min(_READ_TOGETHER, 1 << (len(keys) - start).bit_length() - 1)
            part = keys[start : start + together]
            query = _select_any(table, len(part[0]), together)
            found = self.cursor.execute(query, tuple(chain.from_iterable(part))).fetchall()
            rows += [_checked(table, row) for row in found]
            start += together
        return rows

    def scan(self, table: Table[Row]) -> Iterator[Row]:
        """See ``Transaction.scan``."""
        # With a separate cursor, since the caller may read while it iterates.
        cursor = SqliteTransaction(self.cursor.connection.cursor())
        yield from cursor._rows(table, f"{_select(table)} ORDER BY {', '.join(table.key)}")

    def at_most(self, table: Table[Row], key: Key) -> Row | None:
        """See ``Transaction.at_most``."""
        return next(self._rows(table, _select_at_most(table), key), None)

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """See ``Transaction.write``."""
        rows = list(rows)
        if not rows:
            return
        self.cursor.executemany(_upsert(table), ((*row, table.checksum(row)) for row in rows))
        if self._cache is not None:
            self._cache.write(table, rows)

    def delete(self, table: Table[Row], prefixes: Iterable[Key]) -> None:
        """See ``Transaction.delete``."""
        if self._cache is not None:
            self._cache.clear()
        for prefix in prefixes:
            where = _where(table, len(prefix))
            self.cursor.execute(f"DELETE FROM {table.name} WHERE {where}", prefix)  # noqa: S608

    def _rows(self, table: Table[Row], query: str, key: Key = ()) -> Iterator[Row]:
        for row in self.cursor.execute(query, key):
            yield _checked(table, row)


def _checked(table: Table[Row], row: tuple[Any, ...]) -> Row:
    """Return a row without its checksum, which is compared."""
    values = row[:-1]
    if table.checksum(values) != row[-1]:
        raise UnreadableRowError(
            f"table {table.name} has a row that has changed: "
            f"{_described(table, values)} does not match its checksum"
        )
    return table.make(values)


@contextmanager
def begun(cursor: sqlite3.Cursor, *, write: bool) -> Iterator[sqlite3.Cursor]:
    """Begin a transaction; commit it, or roll it back if an exception is raised."""
    cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        yield cursor
        cursor.execute("COMMIT")
    finally:
        if cursor.connection.in_transaction:
            with suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")


@cache
def _select(table: Table[Any], before: str = "") -> str:
    return f"SELECT {', '.join(table.columns)}, checksum FROM {before} {table.name}"  # noqa: S608


@cache
def _select_at_most(table: Table[Any]) -> str:
    last = table.key[-1]
    where = f"{_where(table, table.key_length - 1)} AND {last} <= ?"
    return f"{_select(table)} WHERE {where} ORDER BY {last} DESC LIMIT 1"


@cache
def _upsert(table: Table[Any]) -> str:
    columns = (*table.columns, "checksum")
    values = ", ".join(f"{one} = excluded.{one}" for one in columns[table.key_length :])
    return (
        f"INSERT INTO {table.name} ({', '.join(columns)})"  # noqa: S608
        f" VALUES ({', '.join('?' * len(columns))})"
        f" ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {values}"
    )


@cache
def _select_any(table: Table[Any], length: int, keys: int) -> str:
    """Return a query for several keys of so many columns."""
    if length < 2 or keys == 1:
        marks = ", ".join("?" * keys)
        where = f"{table.key[0]} IN ({marks})" if keys > 1 else _where(table, length)
        return f"{_select(table)} WHERE {where}"
    # SQLite would scan the table for a list of composite keys.
    names = ", ".join(f"k{number}" for number in range(length))
    values = ", ".join([f"({', '.join('?' * length)})"] * keys)
    pairs = zip(table.key, names.split(", "), strict=False)
    on = " AND ".join(f"{column} = {name}" for column, name in pairs)
    return (
        f"WITH wanted({names}) AS (VALUES {values}) {_select(table, 'wanted CROSS JOIN')} ON {on}"
    )


@cache
def _where(table: Table[Any], length: int) -> str:
    return " AND ".join(f"{column} = ?" for column in table.key[:length]) or "1 = 1"


def _described(table: Table[Any], values: tuple[Any, ...]) -> str:
    names = zip(table.key, values, strict=False)
    return ", ".join(
        f"{name} {value.hex() if isinstance(value, bytes) else repr(value)}"
        for name, value in names
    )
