"""What every store of a ledger must do: sets of rows, and exact counting by several holders.

A store joins by adding what opens it to ``STORES``.
"""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from exporter.ledger.base import Batch, FencedError, LedgerError
from exporter.ledger.errors import UnreadableRowError
from exporter.ledger.ledger import StoredLedger
from exporter.ledger.sqlite_store import CREATE_TABLES, SqliteTransaction, begun
from exporter.ledger.store import Store, Transaction
from exporter.ledger.tables import (
    BLOCKS,
    SERIES,
    TABLES,
    TOTALS,
    Block,
    Key,
    Row,
    Series,
    Table,
    Total,
)
from exporter.model import Partition
from tests.support.counting import (
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    expire,
    increment,
    load,
    load_one,
    use,
)

Open = Callable[[], Store]


class SqliteFile:
    """SQLite with a connection for each transaction, as if each were another process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.sqlite3"
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.executescript(f"PRAGMA journal_mode = WAL; {CREATE_TABLES}")

    def transaction(self) -> AbstractContextManager[Transaction]:
        return self._begun(write=True)

    def reading(self) -> AbstractContextManager[Transaction]:
        return self._begun(write=False)

    @contextmanager
    def _begun(self, *, write: bool) -> Iterator[Transaction]:
        with (
            closing(sqlite3.connect(self.path, isolation_level=None, timeout=10)) as connection,
            closing(connection.cursor()) as cursor,
            begun(cursor, write=write),
        ):
            yield SqliteTransaction(cursor)


def open_sqlite(folder: Path) -> Open:
    """Create a store; the result opens it again."""
    store = SqliteFile(folder)
    return lambda: store


STORES: dict[str, Callable[[Path], Open]] = {"sqlite": open_sqlite}


@pytest.fixture(params=STORES)
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same store repeatedly."""
    return STORES[request.param](tmp_path)


def holder_on(store: Store, holder: str) -> StoredLedger:
    return StoredLedger(store, lambda: 1_000_000.0, lambda: 0.0, holder=holder)


def ledger_on(store: Store, holder: str = "one") -> StoredLedger:
    ledger = holder_on(store, holder)
    load_one(ledger)
    return ledger


ROWS: dict[Table[Any], list[Any]] = {
    SERIES: [Series(bytes([n]), "m", '[["a","\\u00e9"]]', None, n, 0) for n in range(3)],
    TOTALS: [
        Total(bytes([n]), lane, 0.1 + n, "[1]", "\0é", 1e300, -(2**63))
        for n in range(3)
        for lane in ("", "a", "b")
    ],
    BLOCKS: [
        Block("f", b"\xff\0", 1, 0, bytes([first]) if first else b"", b"", bytes(100_000))
        for first in (0, 0x40, 0x80)
    ],
}


def test_rows_are_read_as_they_were_written(reopen: Open) -> None:
    with reopen().transaction() as transaction:
        for table, rows in ROWS.items():
            transaction.write(table, rows)
            transaction.write(table, rows)
    with reopen().reading() as transaction:
        for table, rows in ROWS.items():
            assert sorted(transaction.read(table)) == rows == list(transaction.scan(table))
        for other in set(TABLES) - ROWS.keys():
            assert transaction.read(other) == []
        assert transaction.read(TOTALS, [(b"\1", "a"), (b"\7", "a")]) == [ROWS[TOTALS][4]]
        assert sorted(transaction.read(TOTALS, [(b"\0",), (b"\2",)])) == [
            *ROWS[TOTALS][:3], *ROWS[TOTALS][6:]]  # fmt: skip
        assert transaction.read(TOTALS, []) == []


@pytest.mark.parametrize(
    ("digest", "first"),
    [(b"\1", b""), (b"\x40", b"\x40"), (b"\x7f\xff", b"\x40"), (b"\xff", b"\x80")],
)
def test_the_block_of_a_digest_is_the_last_one_that_begins_before_it(
    reopen: Open, digest: bytes, first: bytes
) -> None:
    with reopen().transaction() as transaction:
        transaction.write(BLOCKS, ROWS[BLOCKS])
        found = transaction.at_most(BLOCKS, ("f", b"\xff\0", 1, 0, digest))
        assert found is not None
        assert found.first == first
        assert transaction.at_most(BLOCKS, ("f", b"\xff\0", 1, 1, digest)) is None


def test_rows_are_replaced_and_deleted_by_the_beginning_of_their_key(reopen: Open) -> None:
    changed = ROWS[TOTALS][0]._replace(total=9.0, buckets=None)
    with reopen().transaction() as transaction:
        transaction.write(TOTALS, ROWS[TOTALS])
        transaction.write(TOTALS, [changed])
        transaction.delete(TOTALS, [(b"\1",), (b"\5",)])
        transaction.delete(TOTALS, [(b"\2", "a")])
        transaction.delete(TOTALS, [])
    with reopen().reading() as transaction:
        expected = [changed, *ROWS[TOTALS][1:3], ROWS[TOTALS][6], ROWS[TOTALS][8]]
        assert sorted(transaction.read(TOTALS)) == expected


class CrashingTransaction:
    """Counts statements down, and crashes."""

    def __init__(self, inner: Transaction, crash: Callable[[], None]) -> None:
        self._inner = inner
        self._crash = crash

    def read(self, table: Table[Row], prefixes: Iterable[Key] = ((),)) -> list[Row]:
        self._crash()
        return self._inner.read(table, prefixes)

    def scan(self, table: Table[Row]) -> Iterator[Row]:
        self._crash()
        return self._inner.scan(table)

    def at_most(self, table: Table[Row], key: Key) -> Row | None:
        self._crash()
        return self._inner.at_most(table, key)

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        for row in rows:
            self._crash()
            self._inner.write(table, [row])

    def delete(self, table: Table[Row], prefixes: Iterable[Key]) -> None:
        self._crash()
        self._inner.delete(table, prefixes)


class CrashedError(Exception):
    """The process is gone."""


class CrashingStore:
    """A store whose process crashes after so many statements."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.left: int | None = None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._inner.transaction() as transaction:
            yield CrashingTransaction(transaction, self._crash)
            self._crash()

    def reading(self) -> AbstractContextManager[Transaction]:
        return self._inner.reading()

    def _crash(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise CrashedError


def contents(store: Store) -> dict[str, list[Any]]:
    with store.reading() as transaction:
        return {table.name: sorted(transaction.scan(table), key=repr) for table in TABLES}


def users(ledger: StoredLedger) -> dict[str, float]:
    return {dict(one.key.labels)["user"]: one.total for one in ledger.series()}


def test_a_crash_between_any_two_statements_leaves_nothing(reopen: Open) -> None:
    store = CrashingStore(reopen())
    ledger = ledger_on(store)
    commit(ledger, batch(increment("a", event_id="1")))
    new = batch(increment("a", event_id="1"), increment("b", event_id="2"), checkpoint="next")
    works: list[Callable[[], object]] = [
        lambda: commit(ledger, dataclasses.replace(new, remember_from=10**10)),
        lambda: expire(ledger, SOURCE, [PARTITION], looked_at=10**13, memory=0),
        lambda: ledger.declare([(RULE, increment("z", event_id=None).increments[0].series)]),
        lambda: load(ledger, {SOURCE: {RULE: use(labels=["other"])}}),
    ]
    for work in works:
        statements = 0
        before = contents(reopen())
        while True:
            store.left = statements
            try:
                work()
            except CrashedError:
                assert contents(reopen()) == before, f"statement {statements}"
                statements += 1
            else:
                break
        store.left = None
        assert statements > 3
        assert contents(reopen()) != before
    assert ledger.checkpoint(PARTITION) == "next"


def test_two_holders_of_one_partition_cannot_both_count(reopen: Open) -> None:
    one, two = ledger_on(reopen(), "one"), ledger_on(reopen(), "two")
    start = commit(one, batch(checkpoint="start"))
    assert start.new == []
    # Lines have no ids: nothing but the checkpoint says that they were counted.
    read = dataclasses.replace(
        batch(increment("a", event_id=None), checkpoint="read"), expected="start"
    )
    assert len(one.commit(read).new) == 1
    before = contents(reopen())
    with pytest.raises(FencedError, match="another process has read on"):
        two.commit(read)
    assert contents(reopen()) == before
    assert users(two) == {"a": 1.0}
    assert two.checkpoint(PARTITION) == "read"


def test_a_first_reading_is_fenced_too(reopen: Open) -> None:
    one, two = ledger_on(reopen(), "one"), ledger_on(reopen(), "two")
    first = batch(increment("a", event_id=None))
    one.commit(first)
    with pytest.raises(FencedError):
        two.commit(first)
    assert users(one) == {"a": 1.0}


def test_a_lease_that_has_passed_on_commits_nothing(reopen: Open) -> None:
    one, two = ledger_on(reopen(), "one"), ledger_on(reopen(), "two")

    def leased(lease: int, before: str | None) -> Batch:
        made = batch(increment("a", event_id=None), checkpoint="same")
        return dataclasses.replace(made, lease=lease, expected=before)

    one.commit(leased(1, None))
    two.commit(leased(2, "same"))
    before = contents(reopen())
    with pytest.raises(FencedError):
        one.commit(leased(1, "same"))
    assert contents(reopen()) == before
    two.commit(leased(2, "same"))
    assert users(one) == {"a": 3.0}


def test_a_writer_that_was_frozen_counts_nothing_once_another_has_committed(reopen: Open) -> None:
    """Frozen after it has read and evaluated; the other one starts from the same checkpoint."""
    frozen, other = ledger_on(reopen(), "frozen"), ledger_on(reopen(), "other")
    read = [
        dataclasses.replace(
            batch(*(increment("a", event_id=None) for _ in range(n)), checkpoint=str(n)),
            expected=None if n == 1 else str(n - 1),
        )
        for n in (1, 2, 3)
    ]
    frozen.commit(read[0])
    other.commit(read[1])
    other.commit(read[2])
    for stale in read[1:]:
        with pytest.raises(FencedError):
            frozen.commit(stale)
    assert users(frozen) == {"a": 6.0}


def test_writers_of_many_partitions_at_once_lose_and_double_nothing(reopen: Open) -> None:
    regions, rounds = 4, 12
    errors: list[BaseException] = []

    def read(number: int) -> None:
        ledger = ledger_on(reopen(), str(number))
        partition = Partition(SOURCE, "1", f"region-{number}")
        try:
            for n in range(rounds):
                events = [
                    increment("own", event_id=f"{number}-{n}"),
                    increment("shared", event_id=f"s{n}"),
                ]
                commit(ledger, batch(*events, partition=partition, checkpoint=str(n)))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(regions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    ledger = ledger_on(reopen())
    assert users(ledger) == {"own": regions * rounds, "shared": rounds}
    assert [total.matches for total in ledger.rule_totals()] == [(regions + 1) * rounds]


def test_two_who_race_for_one_partition_count_each_reading_once(reopen: Open) -> None:
    rounds = 15
    fenced: list[int] = []

    def read(holder: str) -> None:
        ledger = ledger_on(reopen(), holder)
        position = int(ledger.checkpoint(PARTITION) or 0)
        while position < rounds:
            made = batch(increment("a", event_id=None), checkpoint=str(position + 1))
            before = str(position) if position else None
            try:
                ledger.commit(dataclasses.replace(made, expected=before))
                position += 1
            except FencedError:
                fenced.append(position)
                position = int(ledger.checkpoint(PARTITION) or 0)

    threads = [threading.Thread(target=read, args=(holder,)) for holder in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert users(ledger_on(reopen())) == {"a": rounds}


def test_an_older_generation_cannot_end_what_a_newer_one_began(reopen: Open) -> None:
    one, two = holder_on(reopen(), "one"), holder_on(reopen(), "two")

    def rules(
        ledger: StoredLedger, generation: str, now: int, *names: str
    ) -> list[tuple[Any, ...]]:
        uses = {SOURCE: {name: use(f"{name}_total", start=now) for name in names}}
        loaded = load(ledger, uses, now=now, keep=10, generation=generation)
        return sorted((one.rule, one.since, one.until) for one in loaded.versions[SOURCE])

    def scopes(ledger: StoredLedger, generation: str, now: int, *names: str) -> dict[str, int]:
        return ledger.load_scopes({SOURCE: names}, now=now, generation=generation)[SOURCE]

    rules(one, "old", 1000, "a")
    scopes(one, "old", 1000, "x")
    rules(two, "new", 2000, "a", "b")
    scopes(two, "new", 2000, "x", "y")
    # A rolling update: the replica with the older configuration restarts once more.
    both = [("a", 1000, None), ("b", 2000, None)]
    assert rules(one, "old", 3000, "a") == both
    assert scopes(one, "old", 3000, "x") == {"x": 1000}
    assert rules(one, "new", 4000, "a", "b") == both
    assert scopes(one, "new", 4000, "x", "y") == {"x": 1000, "y": 2000}
    # A rule that the newer one has taken out goes on while an older one still runs.
    rules(two, "newest", 5000, "b")
    assert rules(one, "new", 6000, "a", "b") == both
    assert rules(one, "newest", 7000, "b") == [("a", 1000, 7000), ("b", 2000, None)]


def test_a_row_that_has_changed_is_an_error_that_names_it(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path)
    ledger = ledger_on(file)
    commit(ledger, batch(increment("a", event_id="1")))
    with closing(sqlite3.connect(file.path)) as connection:
        connection.execute("UPDATE totals SET total = 2.0")
        connection.commit()
    with pytest.raises((LedgerError, UnreadableRowError), match="table totals has a row"):
        commit(ledger, batch(increment("a", event_id="2")))


def test_checkpoints_move_together_or_not_at_all(reopen: Open) -> None:
    ledger = ledger_on(reopen())
    log, rotated = Partition(SOURCE, resource="/log/app"), Partition(SOURCE, resource="/log/app.1")
    for one in (log, rotated):
        ledger.commit(Batch(one, feed=SOURCE, checkpoint=f"of {one.resource}", expected=None))
    first, second = "of /log/app", "of /log/app.1"
    before = contents(reopen())
    with pytest.raises(FencedError, match="read on"):
        ledger.move({log: (first, None), rotated: ("another", first)})
    assert contents(reopen()) == before

    oldest = Partition(SOURCE, resource="/log/app.2")
    ledger.move({log: (first, None), rotated: (second, first), oldest: (None, second)})
    assert ledger.checkpoints_of(SOURCE) == {"/log/app.1": first, "/log/app.2": second}
    assert ledger.checkpoint(log) is None
