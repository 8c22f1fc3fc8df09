"""Whether a ledger is whole: its pages, its indexes, and what its rows must mean.

A byte that changed inside a stored value (a digit of a total) cannot be found: rows have no
checksums in this layout.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from typing import Final

from exporter.ledger.errors import UnreadableRowError
from exporter.ledger.rows import all_series, checkpoint_of
from exporter.ledger.schema import TABLES

_MOST_TOLD: Final = 3


def _integer(column: str) -> str:
    return f"typeof({column}) = 'integer'"


def _count(column: str) -> str:
    return f"{_integer(column)} AND {column} >= 0"


def _optional(column: str, kind: str = "integer") -> str:
    return f"typeof({column}) IN ('null', '{kind}')"


def _text(column: str) -> str:
    return f"typeof({column}) = 'text'"


def _flag(column: str) -> str:
    return f"typeof({column}) = 'integer' AND {column} IN (0, 1)"


# What holds for each row of a table, whatever it counts. The digest's length: counting.py.
_MEANING: Final = {
    "checkpoints": (
        _text("source"),
        "typeof(partition) = 'blob'",
        "typeof(checkpoint) = 'blob'",
        _optional("remember_from"),
        _integer("updated"),
    ),
    "rules": (
        _text("source"),
        _text("rule"),
        _flag("listening"),
        _optional("start"),
        *(_count(column) for column in ("matches", "value_errors", "overflowed")),
        "value_errors <= matches",
        "overflowed <= matches",
        _optional("last_event_time"),
    ),
    "scopes": (_text("source"), _text("scope"), _integer("since")),
    "series": (
        _text("metric"),
        _text("labels"),
        "typeof(total) = 'real' AND total >= 0 AND total < 1e999",
        _optional("bounds", "text"),
        _optional("buckets", "text"),
        _integer("created"),
        _flag("revealed"),
        _optional("event_id", "text"),
        "typeof(event_value) = 'real' AND event_value >= 0 AND event_value < 1e999",
        _optional("event_time"),
    ),
    "rule_series": (
        _text("rule"),
        "series IN (SELECT id FROM series)",
        _flag("overflow"),
    ),
    "matches": (
        "typeof(digest) = 'blob' AND length(digest) = 16",
        "checkpoint IN (SELECT id FROM checkpoints)",
        _integer("time"),
    ),
}

# What Python reads must be UTF-8; SQLite does not look.
_TEXTS: Final = (
    "SELECT DISTINCT source FROM checkpoints",
    "SELECT source, rule FROM rules",
    "SELECT source, scope FROM scopes",
    "SELECT DISTINCT rule FROM rule_series",
)


def audit(connection: sqlite3.Connection) -> str | None:
    """What is damaged, in words; None: nothing that can be found.

    Reads the whole file: two to three seconds for 100 MB. Raises
    sqlite3.Error where SQLite itself stumbles.
    """
    # Compares indexes with tables, which quick_check leaves out.
    pages = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_TOLD})")]
    if pages != ["ok"]:
        return "; ".join(pages)
    if _schema(connection) != _expected_schema():
        return "its tables are not as they were made"
    for table, conditions in _MEANING.items():
        if _broken(connection, table, " AND ".join(f"({one})" for one in conditions)):
            for condition in conditions:
                rows = _broken(connection, table, condition)
                if rows:
                    return f"table {table} has {rows} rows for which this is not so: {condition}"
    with closing(connection.cursor()) as cursor:
        try:
            for _ in all_series(cursor):
                pass
            for query in _TEXTS:
                cursor.execute(query).fetchall()
            for (checkpoint,) in cursor.execute("SELECT checkpoint FROM checkpoints"):
                checkpoint_of(checkpoint)
        except UnreadableRowError as error:
            return str(error)
    return None


def _broken(connection: sqlite3.Connection, table: str, condition: str) -> int:
    """How many rows of a table are not as they must be."""
    (rows,) = connection.execute(
        f"SELECT count(*) FROM {table} WHERE ({condition}) IS NOT 1"  # noqa: S608
    ).fetchone()
    return int(rows)


def _schema(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name"
    ).fetchall()


@cache
def _expected_schema() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(TABLES)
        return _schema(connection)
