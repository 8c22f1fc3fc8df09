"""A damaged ledger is refused with a sentence, or counts as the whole one would."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.ledger.base import LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.ledger.tables import (
    BLOCKS,
    CHECKPOINTS,
    MEMBERS,
    RULE_COUNTS,
    SCOPES,
    SEGMENTS,
    SERIES,
    TABLES,
    TOTALS,
    VERSIONS,
    Table,
)
from exporter.model import Partition
from tests.support.counting import RULE, SOURCE, batch, commit, expire, increment, load, use

RULES = {SOURCE: {RULE: use(), "h": use("h_seconds", labels=["user"], buckets=(0.5, 1.0))}}
FLIPS = 200
EVENTS = 120

Rows = dict[str, list[Any]]


def opened(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger.open(folder, clock=lambda: 1_000_000.0, steady=lambda: 0.0)
    try:
        load(ledger, RULES)
        ledger.load_scopes({SOURCE: ["us-east-1"]}, now=5, generation="")
    except BaseException:
        ledger.close()
        raise
    return ledger


def count(ledger: SqliteLedger, first: int, last: int) -> None:
    for region in ("us-east-1", "eu-west-1"):
        increments = [
            one
            for number in range(first, last)
            for one in (
                increment(f"user-{number % 40}", event_id=f"e{number}", time=number),
                increment(
                    "a",
                    event_id=f"e{number}",
                    rule="h",
                    metric="h_seconds",
                    value=0.25,
                    time=number,
                ),
            )
        ]
        read = batch(*increments, checkpoint='{"sweep":[[0,1]]}', remember_from=5,
                     partition=Partition(SOURCE, "1", region))  # fmt: skip
        commit(ledger, read)


def rows(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        # NOT INDEXED: the tables themselves, a damaged index hides rows.
        return {
            table.name: connection.execute(
                f"SELECT * FROM {table.name} NOT INDEXED"  # noqa: S608
            ).fetchall()
            for table in TABLES
        }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed ledger with something in each table."""
    folder = tmp_path_factory.mktemp("whole")
    with closing(opened(folder)) as ledger:
        count(ledger, 0, EVENTS)
    return folder / LEDGER_FILE


def after_counting_on(folder: Path) -> list[tuple[object, ...]]:
    """Read everything again, and as much that is new; the totals."""
    with closing(opened(folder)) as ledger:
        ledger.checkpoint(Partition(SOURCE, "1", "us-east-1"))
        count(ledger, 0, 2 * EVENTS)
        expire(ledger, SOURCE, [], looked_at=1, memory=0)
        ledger.rule_totals()
        return [(one.key, one.total, one.buckets) for one in ledger.series()]


def test_a_changed_byte_is_refused_or_changes_no_count(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(20260301)
    content = whole.read_bytes()
    undamaged = rows(whole)
    shutil.copy(whole, tmp_path)
    expected = after_counting_on(tmp_path)
    refusals: list[str] = []
    harmless = 0
    for flip in range(FLIPS):
        damaged = bytearray(content)
        place = chance.randrange(len(content))
        damaged[place] ^= chance.randrange(1, 256)
        folder = tmp_path / str(flip)
        folder.mkdir()
        path = folder / LEDGER_FILE
        path.write_bytes(damaged)
        try:
            is_same = rows(path) == undamaged
        except (sqlite3.Error, UnicodeDecodeError):
            is_same = False
        path.write_bytes(damaged)
        try:
            counted = after_counting_on(folder)
        except LedgerError as error:
            refusals.append(str(error))
            continue
        finally:
            shutil.rmtree(folder)
        assert is_same, f"flip {flip} at {place} changed a value and was not noticed"
        assert counted == expected, f"flip {flip} at {place}"
        harmless += 1
    assert all(LEDGER_FILE in refusal and refusal.endswith(".") for refusal in refusals)
    assert len(refusals) > FLIPS / 10
    assert harmless > 0


def change(statement: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(statement)


def delete(table: Table[Any], count: int) -> Callable[[sqlite3.Connection], object]:
    """Lose the first rows of a table; what is left has its checksums."""
    key = ", ".join(table.key)
    where = f"({key}) IN (SELECT {key} FROM {table.name} LIMIT {count})"  # noqa: S608
    return change(f"DELETE FROM {table.name} WHERE {where}")  # noqa: S608


DAMAGES = {
    **{
        f"a value of {table.name}": (
            change(f"UPDATE {table.name} SET {table.columns[-1]} = {value}"),  # noqa: S608
            f"table {table.name} has a row that has changed: {table.key[0]} ",
        )
        for table, value in (
            (CHECKPOINTS, "let_go + 1"),
            (VERSIONS, "max_series + 1"),
            (SCOPES, "since + 1"),
            (SERIES, "1 - revealed"),
            (TOTALS, "event_time + 1"),
            (MEMBERS, "1 - overflow"),
            (RULE_COUNTS, "last_event_time + 1"),
            (BLOCKS, "substr(entries, 2)"),
        )
    },
    "a total": (change("UPDATE totals SET total = total + 1"), "table totals has a row"),
    "a number that is a text": (change("UPDATE totals SET event_time = 'x'"), "table totals"),
    "text that is no text": (
        change("UPDATE rule_counts SET rule = CAST(x'ff61' AS TEXT) WHERE rule = 'h'"),
        "decode",
    ),
    "a series that is gone": (delete(SERIES, 1), "series that is missing in table series"),
    "a member that is gone": (delete(MEMBERS, 1), "member_counts does not agree with members"),
    "blocks that are gone": (delete(BLOCKS, 9), "a segment without blocks"),
    "a segment that is gone": (delete(SEGMENTS, 9), "blocks without a segment"),
    "another table": (change("CREATE TABLE other (x)"), "tables"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_with_the_file_the_table_and_what_to_do(
    whole: Path, tmp_path: Path, damage: str
) -> None:
    do, words = DAMAGES[damage]
    path = Path(shutil.copy(whole, tmp_path))
    with closing(sqlite3.connect(path)) as connection:
        do(connection)
        connection.commit()
    with pytest.raises(LedgerError) as error:
        opened(tmp_path)
    assert str(error.value).startswith(f"The ledger {path} is damaged: ")
    assert words in str(error.value)
    assert "Restore it from a backup" in str(error.value)


def test_damage_that_is_met_while_it_runs_is_told_in_the_same_way(
    whole: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(whole, tmp_path))
    with closing(opened(tmp_path)) as ledger:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE totals SET buckets = '[9, 0, 0]' WHERE buckets IS NOT NULL")
            connection.commit()
        for _ in range(2):
            with pytest.raises(LedgerError, match="is damaged: table totals has a row"):
                count(ledger, EVENTS, EVENTS + 1)
