"""Readings of many files are committed together, and each counts exactly once."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.clock import Clock
from exporter.configuration import RuleConfig
from exporter.ledger.base import Batch, Ledger, RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import Partition
from exporter.planning.interest import Interest
from exporter.rules import RuleSet, definition
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader
from exporter.runtime.scheduling import Scheduler
from exporter.runtime.together import poll_together
from exporter.sources.base import Reading
from exporter.sources.files import Files
from exporter.yamlfile.problems import Location
from tests.support.tools import ROOT

RULE = RuleConfig(
    location=Location("rules.yaml"),
    name="calls",
    sources=("trail",),
    pattern="{ $.eventName = * }",
    metric="calls_total",
    labels={"name": "$.eventName"},
)
IN_A_FILE = 3


def write(folder: Path, files: int) -> int:
    """Write trail files; how many events they have. Half of each are in the next file too."""
    for file in range(files):
        numbers = range(2 * file, 2 * file + IN_A_FILE)
        records = [{"eventID": str(number), "eventName": f"Call{number % 5}"} for number in numbers]
        path = folder / f"{file:03}.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode(), 1))
    return 2 * files + 1


class Run:
    """One ``run --once`` without a process."""

    def __init__(self, folder: Path, source: type[Files] = Files) -> None:
        self.ledger = SqliteLedger.open(folder / "data")
        self.telemetry = Telemetry()
        self.pipeline = Pipeline(self.ledger, SeriesStore(0.0), self.telemetry, Clock())
        self.engine = Engine(self.pipeline, Scheduler())
        self.source = source([str(folder / "*.gz")], name="trail", format="cloudtrail")
        use = RuleUse(None, own_start=False, definition=definition(RULE), max_series=10)
        loaded = self.ledger.load_rules(
            {"trail": {RULE.name: use}}, now=0, keep={"trail": 0}, generation="first"
        )
        self.engine.apply({"trail": self.source}, RuleSet(loaded.versions, [RULE]))
        self.engine.discover(self.source)
        self.readers: list[Reader] = self.engine.readers("trail")

    def poll(self) -> float:
        """Poll all files; the events that are counted then."""
        poll_together(self.pipeline, self.source, self.readers)
        return self.counted()

    def counted(self) -> float:
        """The sum of the series in the ledger."""
        return sum(series.total for series in self.ledger.series())

    def commits(self) -> float | None:
        """How many commits were made."""
        return self.telemetry.registry.get_sample_value(
            "metric_filter_exporter_ledger_commit_duration_seconds_count"
        )


def test_many_files_take_few_commits(tmp_path: Path) -> None:
    events = write(tmp_path, 300)
    run = Run(tmp_path)

    assert run.poll() == events
    assert run.commits() == 3
    assert [reader.meter.events for reader in run.readers] == [IN_A_FILE] * 300
    assert all(reader.meter.up for reader in run.readers)
    assert run.poll() == events
    assert run.commits() == 3


def test_large_files_do_not_wait_in_memory_for_each_other(tmp_path: Path) -> None:
    for file in range(8):
        large = "x" * (768 << 10)
        records = [
            {"eventName": "Call", "eventID": f"{file} {number}", "large": large}
            for number in range(8)
        ]
        path = tmp_path / f"{file}.json.gz"
        path.write_bytes(gzip.compress(json.dumps({"Records": records}).encode(), 1))
    run = Run(tmp_path)

    tracemalloc.start()
    try:
        assert run.poll() == 64
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert run.commits() == 1
    assert peak < 4 * (6 << 20)


def test_a_file_that_cannot_be_read_or_is_broken_harms_no_other(tmp_path: Path) -> None:
    events = write(tmp_path, 5)
    run = Run(tmp_path)
    (tmp_path / "001.json.gz").unlink()
    (tmp_path / "001.json.gz").mkdir()
    broken = tmp_path / "003.json.gz"
    broken.write_bytes(broken.read_bytes()[:-9])

    assert run.poll() < events
    assert [reader.error is None for reader in run.readers] == [True, False, True, True, True]
    assert [reader.meter.undecodable for reader in run.readers] == [0, 0, 0, 1, 0]
    (tmp_path / "001.json.gz").rmdir()
    write(tmp_path, 5)
    assert run.poll() == events


class ReadElsewhere(Files):
    """Of one file, another process commits a position while this one evaluates it."""

    ledger: Ledger

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        interest: Interest | None = None,
        turn: float = 0,
    ) -> Iterator[Reading]:
        for reading in super().poll(partition, checkpoint, own_starts=own_starts, turn=turn):
            if partition.resource.endswith("002.json.gz") and checkpoint is None:
                self.ledger.commit(Batch(partition, "trail", reading.checkpoint, expected=None))
            yield reading


def test_a_file_that_another_process_has_read_holds_up_no_other(tmp_path: Path) -> None:
    write(tmp_path, 5)
    run = Run(tmp_path, ReadElsewhere)
    run.source.ledger = run.ledger  # type: ignore[attr-defined]

    # Of the file's three events, the first and the last are in other files, too.
    assert run.poll() == 2 * 5 + 1 - 1
    assert len(run.ledger.checkpoints(reader.partition for reader in run.readers)) == 5
    assert run.poll() == 2 * 5 + 1 - 1


KILLED = """
import os, pathlib, signal, sys
from exporter.ledger.sqlite_store import SqliteTransaction
from tests.runtime.test_together import Run

run, written = Run(pathlib.Path(sys.argv[1])), 0
write = SqliteTransaction.write
def write_or_die(self, table, rows):
    global written
    written += 1
    if written == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, table, rows)
SqliteTransaction.write = write_or_die
run.poll()
"""


def test_after_sigkill_in_the_middle_of_a_group_each_event_counts_once(tmp_path: Path) -> None:
    events = write(tmp_path, 300)
    for write_call in (4, 12):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, tmp_path, str(write_call)], cwd=ROOT, check=False
        )
        assert killed.returncode == -9
    run = Run(tmp_path)
    assert 0 < run.counted() < events
    assert run.poll() == events
