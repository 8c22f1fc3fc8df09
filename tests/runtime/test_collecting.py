"""What a reload replaces, or a partition leaves, goes without the garbage collector."""

from __future__ import annotations

import gc
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.configuration import RuleConfig
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.partitions import Meter
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.rules import RuleSet
from exporter.runtime.assembly import Assembler
from exporter.runtime.collecting import LongLived
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader
from exporter.runtime.scheduling import Scheduler
from tests.support.waiting import wait_for

KINDS = (Reader, Meter, RuleConfig, RuleSet)


def alive() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if isinstance(one, KINDS))


@pytest.fixture
def frozen() -> Iterator[None]:
    """Nothing is collected in the test."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("frozen")
def test_readers_and_configurations_that_are_gone_are_freed_by_their_references(
    tmp_path: Path,
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.log").write_text("ERROR disk full\n" * 3)
    config = tmp_path / "exporter.yaml"
    scheduler, telemetry, clock = Scheduler(), Telemetry(), Clock()
    ledger = SqliteLedger.open(tmp_path / "data")
    series = SeriesStore(0.0)
    engine = Engine(Pipeline(ledger, series, telemetry, clock), scheduler)
    assembler = Assembler(ledger, telemetry, clock, stop=threading.Event())
    scheduler.start()

    def load(files: str, pattern: str) -> None:
        source = f"{{name: apps, type: files, interval: 1h, paths: [{tmp_path}/{files}]}}"
        rule = f"{{name: errors, pattern: {pattern}, metric: errors_total}}"
        config.write_text(f"sources: [{source}]\nrules: [{rule}]\n")
        assembly = assembler.assemble(assembler.read([config]))
        assembly.put_in_force(engine, series, telemetry)

    def read(files: int) -> None:
        wait_for("the files", lambda: len(engine.readers("apps")) == files)
        wait_for("polls", lambda: all(reader.read_by for reader in engine.readers("apps")))

    try:
        before = alive()
        load("*.log", "ERROR")
        read(20)
        first = alive() - before
        assert first["Reader"] == first["Meter"] == 20
        for _ in range(3):
            load("1*.log", "disk")
            read(11)
            load("*.log", "ERROR")
            read(20)
        wait_for("the others to go", lambda: alive() - before <= first)
    finally:
        scheduler.stop()
        engine.stop()
        ledger.close()


def test_it_freezes_when_there_are_many_more_partitions() -> None:
    partitions = 10
    long_lived = LongLived(lambda: partitions)
    try:
        long_lived.look()
        assert gc.get_freeze_count() == 0
        partitions = 200
        long_lived.look()
        frozen = gc.get_freeze_count()
        assert frozen > 0
        kept = [[] for _ in range(1000)]  # type: ignore[var-annotated]
        long_lived.look()
        assert gc.get_freeze_count() <= frozen
        assert kept
    finally:
        gc.unfreeze()
