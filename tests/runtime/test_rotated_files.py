"""Rotated files count once through the ledger, also if a poll is under way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.configuration import RuleConfig
from exporter.ledger.base import LedgerError, RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.rules import RuleSet, definition
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.sources.files import Files
from exporter.yamlfile.problems import Location

RULE = RuleConfig(
    location=Location("rules.yaml"),
    name="done",
    sources=("logs",),
    pattern="done",
    metric="done_total",
)


class Process:
    """The exporter over a ledger; its source reads a line at a time."""

    def __init__(self, ledger: SqliteLedger, pattern: str) -> None:
        self.ledger = ledger
        self.pipeline = Pipeline(ledger, SeriesStore(0.0), Telemetry(), Clock())
        self.engine = Engine(self.pipeline, Scheduler())
        self.source = Files(
            [pattern],
            name="logs",
            complete=True,
            checkpoints=ledger.checkpoints_of,
            batch_events=1,
        )
        use = RuleUse(None, own_start=False, definition=definition(RULE), max_series=10)
        loaded = ledger.load_rules(
            {"logs": {RULE.name: use}}, now=0, keep={"logs": 0}, generation="first"
        )
        self.engine.apply({"logs": self.source}, RuleSet(loaded.versions, [RULE]))

    def run(self) -> float:
        """Look for files, and read them all; what was counted ever."""
        self.engine.discover(self.source)
        for reader in self.engine.readers("logs"):
            for _ in reader.poll(self.source, turn=1e9):
                pass
        return self.counted()

    def counted(self) -> float:
        return sum(series.total for series in self.ledger.series())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger.open(tmp_path / "data")) as ledger:
        yield ledger


def write(path: Path, first: int, count: int) -> None:
    with path.open("a") as file:
        for number in range(first, first + count):
            file.write(f"2026-11-27 07:00:{number:02} job {number} done\n")


def test_a_poll_of_a_file_that_is_renamed_meanwhile_counts_nothing_twice(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    log = tmp_path / "app.log"
    write(log, 0, 6)
    process = Process(ledger, str(tmp_path / "app.log*"))
    process.engine.discover(process.source)
    (reader,) = process.engine.readers("logs")
    poll = reader.poll(process.source, turn=1e9)
    next(poll)
    assert process.counted() == 1

    log.rename(tmp_path / "app.log.1")
    write(log, 6, 2)
    assert process.run() == 8
    for _ in poll:  # it has the old file open, still
        pass
    assert process.run() == 8
    assert Process(ledger, str(tmp_path / "app.log*")).run() == 8


def test_nothing_is_read_while_the_ledger_cannot_say_what_was_read(
    ledger: SqliteLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "app.log"
    write(log, 0, 2)
    process = Process(ledger, str(tmp_path / "app.log*"))
    assert process.run() == 2
    log.rename(tmp_path / "app.log.1")
    write(log, 2, 1)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "move", _failing)
        assert process.run() == 2
        assert process.engine.failures("logs")
    assert process.run() == 3


def _failing(_: object) -> None:
    raise LedgerError("the disk is full")


def test_a_copy_that_was_truncated_goes_on_in_both(ledger: SqliteLedger, tmp_path: Path) -> None:
    log = tmp_path / "app.log"
    write(log, 0, 3)
    process = Process(ledger, str(log))
    assert process.run() == 3
    write(log, 3, 2)
    (tmp_path / "app.log.1").write_bytes(log.read_bytes())
    os.truncate(log, 0)
    write(log, 5, 1)
    assert process.run() == 6
    assert process.run() == 6
