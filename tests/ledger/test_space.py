"""The space that the ledger takes is shown, and what expired memory frees is given back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.exactness import CLOCK_ERROR, PROVEN_AFTER
from exporter.ledger import space
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from tests.support.counting import PARTITION, SOURCE, batch, commit, expire, increment, load_one

NOW = 1_790_000_000_000
EVENTS = 4_000


class Clock:
    """Time that passes while the ledger is open."""

    seconds = 0.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def large(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteLedger]:
    monkeypatch.setattr(space, "_KEPT_PAGES", 4)
    monkeypatch.setattr(space, "_PAGES", 8)
    monkeypatch.setattr("exporter.ledger.ledger._DELETED_TOGETHER", 1_000)
    with_memory = SqliteLedger.open(tmp_path, clock=lambda: 1.0, steady=lambda: clock.seconds)
    load_one(with_memory)
    events = [increment("a", event_id=f"e{n}", time=NOW + 10_000 * n) for n in range(EVENTS)]
    commit(with_memory, batch(*events, remember_from=NOW))
    yield with_memory
    with_memory.close()


def expire_all(ledger: SqliteLedger, clock: Clock, before: int) -> int:
    commit(ledger, batch(remember_from=before + CLOCK_ERROR))
    deleted = 0
    for _ in range(3):
        deleted += expire(ledger, SOURCE, [PARTITION], looked_at=before + CLOCK_ERROR, memory=0)
        clock.seconds += PROVEN_AFTER / 1000
    return deleted


def test_the_size_and_the_free_space_of_the_volume_are_shown(
    large: SqliteLedger, tmp_path: Path
) -> None:
    condition = large.condition()
    files = [tmp_path / f"{LEDGER_FILE}{suffix}" for suffix in ("", "-wal")]
    assert condition.size == sum(file.stat().st_size for file in files)
    assert condition.free is not None
    assert 0 < condition.free <= shutil.disk_usage(tmp_path).total


def test_what_expired_is_given_back_to_the_volume(
    large: SqliteLedger, tmp_path: Path, clock: Clock
) -> None:
    large.close()
    path = tmp_path / LEDGER_FILE
    full = path.stat().st_size
    opened = SqliteLedger.open(tmp_path, clock=lambda: 1.0, steady=lambda: clock.seconds)
    load_one(opened)
    assert expire_all(opened, clock, NOW + 10_000 * EVENTS) == EVENTS
    opened.close()
    assert path.stat().st_size < full
    with closing(sqlite3.connect(path)) as connection:
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
    assert free <= max(4, pages // 7)
    again = SqliteLedger.open(tmp_path)
    assert [one.total for one in again.series()] == [EVENTS]
    again.close()


def test_commits_go_on_between_the_steps_of_a_large_deletion(
    large: SqliteLedger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    between: list[int] = []

    def pause(_: float) -> None:
        one = increment("a", event_id=f"new{len(between)}", time=NOW + 20_000 * EVENTS)
        read = batch(one, remember_from=NOW + 10_000 * EVENTS + CLOCK_ERROR)
        between.append(len(commit(large, read).new))

    monkeypatch.setattr("exporter.ledger.ledger.time.sleep", pause)
    assert expire_all(large, clock, NOW + 10_000 * EVENTS) == EVENTS
    assert len(between) > 3
    assert set(between) == {1}
