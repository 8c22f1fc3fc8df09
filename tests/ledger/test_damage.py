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
from exporter.model import Partition
from tests.support.counting import RULE, SOURCE, batch, increment, series_rule

RULES = [series_rule(), series_rule("h", buckets=(0.5, 1.0), metric="h_seconds")]
TABLES = ("checkpoints", "rules", "scopes", "series", "rule_series", "matches")
FLIPS = 200
EVENTS = 120

Rows = dict[str, list[Any]]


def opened(folder: Path) -> SqliteLedger:
    ledger = SqliteLedger.open(folder, clock=lambda: 1_000_000.0, steady=lambda: 0.0)
    try:
        ledger.load_rules({SOURCE: {RULE: None, "h": None}}, rules=RULES)
        ledger.load_scopes({SOURCE: ["us-east-1"]}, now=5)
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
        ledger.commit(batch(*increments, checkpoint='{"sweep":[[0,1]]}', remember_from=5,
                            partition=Partition(SOURCE, "1", region)))  # fmt: skip


def rows(path: Path) -> Rows:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        # NOT INDEXED: the tables themselves, a damaged index hides rows.
        return {
            table: connection.execute(
                f"SELECT * FROM {table} NOT INDEXED"  # noqa: S608
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
        ledger.forget(SOURCE, [], looked_at=1, memory=0)
        ledger.rule_totals()
        return [(one.key, one.total, one.buckets) for one in ledger.series()]


def test_a_changed_byte_is_refused_or_changes_no_count(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(20260301)
    content = whole.read_bytes()
    undamaged = rows(whole)
    shutil.copy(whole, tmp_path)
    expected = after_counting_on(tmp_path)
    refusals: list[str] = []
    harmless = inside_values = 0
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
        if is_same:
            harmless += 1
            assert counted == expected, f"flip {flip} at {place}"
        else:
            # A byte inside a value: rows have no checksums in this layout.
            inside_values += 1
    assert all(LEDGER_FILE in refusal and refusal.endswith(".") for refusal in refusals)
    assert len(refusals) > FLIPS / 4
    assert harmless > 0
    # Most of the file is indexes, matches and structure, where damage is found.
    assert inside_values < FLIPS / 2, (len(refusals), harmless, inside_values)


def index_without_an_entry(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA writable_schema = ON")
    (sql,) = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = 'matches_by_time'"
    ).fetchone()
    connection.execute(
        "UPDATE sqlite_master SET sql = sql || ' WHERE time > 3' WHERE name = 'matches_by_time'"
    )
    connection.commit()
    connection.execute("PRAGMA writable_schema = RESET")
    connection.execute("REINDEX")
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'matches_by_time'", (sql,))
    connection.commit()


def change(statement: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute(statement)


DAMAGES = {
    "an index that misses an entry": (index_without_an_entry, "index matches_by_time"),
    "labels that are no JSON": (change("UPDATE series SET labels = '[[' WHERE id = 1"), "labels"),
    "labels of another shape": (
        change("UPDATE series SET labels = '[[\"a\", 1]]' WHERE id = 1"),
        "table series has labels that cannot be read (row 1",
    ),
    "buckets of another length": (
        change("UPDATE series SET buckets = '[1]' WHERE buckets IS NOT NULL"),
        "table series has buckets that cannot be read",
    ),
    "bounds that do not ascend": (
        change("UPDATE series SET bounds = '[1.0, 0.5]' WHERE bounds IS NOT NULL"),
        "table series has bounds that cannot be read",
    ),
    "text that is no text": (
        change("UPDATE rules SET rule = CAST(x'ff61' AS TEXT) WHERE rule = 'h'"),
        "decode",
    ),
    "a checkpoint that is no text": (
        change("UPDATE checkpoints SET checkpoint = x'ff'"),
        "table checkpoints",
    ),
    "a match of nobody": (change("UPDATE matches SET checkpoint = 99"), "table matches"),
    "a number that is none": (change("UPDATE rules SET matches = -1"), "table rules"),
    "a series that is gone": (change("DELETE FROM series WHERE id = 1"), "table rule_series"),
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
            connection.execute("UPDATE series SET buckets = '[' WHERE buckets IS NOT NULL")
            connection.commit()
        for _ in range(2):
            with pytest.raises(LedgerError, match="is damaged: table series has buckets"):
                count(ledger, EVENTS, EVENTS + 1)
