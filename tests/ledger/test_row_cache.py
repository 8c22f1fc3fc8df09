"""Rows that are kept in the process are those of the database, whoever changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.ledger import row_cache
from exporter.ledger.database import Database
from exporter.ledger.sqlite_store import SqliteTransaction, begun
from exporter.ledger.storage import LEDGER_FILE
from exporter.ledger.tables import FACTS, TOTALS, Fact, Total

IDS = [bytes([number]) for number in range(4)]
LANES = ["a", "b", "c"]

rows = st.lists(
    st.builds(
        lambda id_, lane, total: Total(id_, lane, float(total), None, None, 0.0, None),
        st.sampled_from(IDS),
        st.sampled_from(LANES),
        st.integers(0, 9),
    ),
    max_size=4,
)
prefixes = st.one_of(
    st.lists(st.tuples(st.sampled_from(IDS)), max_size=3, unique=True),
    st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(LANES)), max_size=3, unique=True),
)
steps = st.one_of(
    st.tuples(st.sampled_from(["write", "roll back", "other process"]), rows),
    st.tuples(st.sampled_from(["read", "delete"]), prefixes),
)


class FailedError(Exception):
    """The transaction fails."""


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(row_cache, "_MOST", 6)
    monkeypatch.setattr(row_cache, "_MOST_ROWS", 2)
    with closing(Database(tmp_path / LEDGER_FILE, temporary=True)) as opened:
        yield opened


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(steps, max_size=12))
def test_what_is_read_is_what_the_database_has(
    database: Database, tmp_path: Path, steps: list[tuple[str, Any]]
) -> None:
    for step, what in steps:
        if step == "other process":
            with (
                closing(sqlite3.connect(tmp_path / LEDGER_FILE, isolation_level=None)) as other,
                begun(other.cursor(), write=True) as cursor,
            ):
                SqliteTransaction(cursor).write(TOTALS, what)
            continue
        with suppress(FailedError), database.transaction() as transaction:
            if step in ("write", "roll back"):
                transaction.write(TOTALS, what)
            elif step == "delete":
                transaction.delete(TOTALS, what)
            for keys in (what, [(one,) for one in IDS], [(one, "b") for one in IDS]):
                names = [tuple(key[:2]) for key in keys]
                uncached = SqliteTransaction(transaction.cursor).read(TOTALS, names)
                assert sorted(set(transaction.read(TOTALS, names))) == sorted(set(uncached))
            if step == "roll back":
                raise FailedError
    with database.reading() as transaction:
        everything = [(one,) for one in IDS]
        assert sorted(transaction.read(TOTALS, everything)) == sorted(transaction.scan(TOTALS))


def test_a_row_that_was_read_once_is_not_read_again(database: Database) -> None:
    with database.transaction() as transaction:
        transaction.write(FACTS, [Fact("a", "1")])
        assert transaction.read(FACTS, [("a",), ("b",)]) == [Fact("a", "1")]
    statements: list[str] = []
    with database.reading() as transaction:
        transaction.cursor.connection.set_trace_callback(statements.append)
        assert transaction.read(FACTS, [("a",), ("b",)]) == [Fact("a", "1")]
        transaction.cursor.connection.set_trace_callback(None)
    assert statements == []
