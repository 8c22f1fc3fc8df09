"""A ledger from before memory went by event time is carried on in the middle of a run."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from exporter.exactness import CLOCK_ERROR, PROVEN_AFTER
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.ledger.tables import BY_EVENT_TIME
from exporter.model import JudgedEvent, Partition
from tests.support.counting import (
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    expire,
    increment,
    load,
    use,
)

DUMP = Path(__file__).with_name("reading_time.sql")
NOW = 1_790_000_000_000
GROUP = Partition(SOURCE, "111122223333", "us-east-1", "/app")
RECORDS = [
    increment("a", event_id=f"e{n}", time=NOW + n, event_time=NOW - 1000 * n) for n in range(20)
]
"""Counted while the source's format was ``cloudtrail``."""
LINES = [increment("b", event_id=f"line{n}", time=NOW + n, scope=GROUP.key) for n in range(3)]
"""Counted after it was changed to ``lines``."""


class Carried:
    """The ledger, and the time that passes while it is open."""

    def __init__(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / LEDGER_FILE, isolation_level=None)) as connection:
            connection.executescript(DUMP.read_text())
            connection.execute("PRAGMA journal_mode = WAL")
        self.path = folder / LEDGER_FILE
        self.steady = 0.0
        self.ledger = SqliteLedger.open(
            folder, clock=lambda: NOW / 1000, steady=lambda: self.steady
        )
        load(self.ledger, {SOURCE: {RULE: use(), "new": use()}})

    def count(
        self, *events: JudgedEvent, partition: Partition = PARTITION, until: int = NOW
    ) -> int:
        read = batch(*events, partition=partition, remember_from=until)
        return len(commit(self.ledger, replace(read, format="lines")).new)

    def levels(self) -> set[int]:
        with closing(sqlite3.connect(self.path)) as connection:
            return {level for (level,) in connection.execute("SELECT level FROM blocks")}


@pytest.fixture
def carried(tmp_path: Path) -> Iterator[Carried]:
    opened = Carried(tmp_path)
    yield opened
    opened.ledger.close()


def test_what_has_counted_counts_no_second_time(carried: Carried) -> None:
    assert carried.count(*RECORDS, increment("a", event_id="new", time=NOW)) == 1
    assert carried.count(*LINES, partition=GROUP) == 0
    keys = [(one.scope, one.event_id or "", one.event_time) for one in (*RECORDS, *LINES)]
    assert carried.ledger.judged(SOURCE, keys) == [frozenset([RULE])] * 23
    assert sum(one.total for one in carried.ledger.series()) == 24


def test_a_new_rule_judges_what_others_have_judged_once(carried: Carried) -> None:
    more = [
        changed(
            one, judged=frozenset(["new"]), increments=(changed(one.increments[0], rule="new"),)
        )
        for one in RECORDS
    ]
    assert carried.count(*more) == 20
    assert carried.count(*more, *RECORDS) == 0
    key = ("", "e3", NOW - 3000)
    assert carried.ledger.judged(SOURCE, [key]) == [frozenset([RULE, "new"])]


def test_an_event_is_found_by_what_it_was_in_the_earlier_format(carried: Carried) -> None:
    def line(id_: str, time: int) -> JudgedEvent:
        one = increment("a", event_id=f"of {id_}", time=time, scope=GROUP.key)
        return changed(one, aliases=(("", id_, NOW - 3000),))

    assert carried.count(line("e3", NOW + 3), partition=GROUP) == 0
    assert carried.count(line("e3", NOW + 4), partition=GROUP) == 1, "it copies the id"


def test_entries_by_reading_time_are_read_until_they_expire(carried: Carried) -> None:
    late = increment("a", event_id="late", time=NOW + 10**6)
    end = NOW + 10**6 + CLOCK_ERROR
    carried.count(late, until=end)
    carried.count(partition=GROUP, until=end)
    assert carried.levels() == {0, 1, BY_EVENT_TIME}
    for _ in range(3):
        expire(carried.ledger, SOURCE, [PARTITION, GROUP], looked_at=end, memory=0)
        carried.steady += PROVEN_AFTER / 1000
    assert carried.levels() == {BY_EVENT_TIME}
    with closing(sqlite3.connect(carried.path)) as connection:
        feed = connection.execute("SELECT segment, changed FROM feeds").fetchall()
    assert feed == [(-1, -1)], "neither they nor aliases are looked up any more"
    assert carried.count(late, until=end) == 0
    carried.ledger.close()
    SqliteLedger.open(carried.path.parent).close()
