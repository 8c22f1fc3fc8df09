"""What is kept of each busy partition, remembered events not counted: at most 64 KiB.

    python -m bench.partitions [--partitions 150] [--rate 100]

The real engine, pipeline and ledger read simulated log groups of so many events a second on a
simulated clock. What Python has allocated for them is compared with what it has for none; the
ledger is on disk. From 128 partitions on, each has the smallest sample of the delay histogram, so
more of them take the same each. The exit code is 1 if the bound is broken.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import yaml

from exporter.clock import Clock
from exporter.configuration import check
from exporter.ledger.sqlite import SqliteLedger
from exporter.logs import configure_logging
from exporter.metrics.exposition import Exposition
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition
from exporter.planning.plan import EVERYTHING, Request
from exporter.runtime.assembly import Assembler
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.sources.base import Discovery
from exporter.sources.log_groups import LOG_GROUP
from exporter.sources.pace import EventPage
from exporter.sources.timeline import TimelineSource
from exporter.sources.timeline_options import TimelineConfig

MOST = 64 * 1024
INTERVAL = 30.0
POLLS = 3
RULE = {"name": "errors", "pattern": "ERROR", "metric": "errors_total"}
SOURCE = {
    "name": "apps",
    "type": "log_groups",
    "log_groups": ["/bench/*"],
    "format": "lines",
    "interval": f"{INTERVAL:.0f}s",
    "lookback": "60s",
}


class Groups(TimelineSource):
    """Log groups with an event every so often; an event is known by its time."""

    resolution = 1
    page_size = 10_000

    def __init__(self, config: TimelineConfig, clock: Clock, partitions: int, rate: int) -> None:
        super().__init__(config, since=lambda _: None, clock=clock.now)
        self._partitions = [
            Partition("apps", "123456789012", "us-east-1", f"/bench/{number:04}", LOG_GROUP)
            for number in range(partitions)
        ]
        self._apart = 1000 // rate

    def discover(self) -> Discovery:
        """All of them."""
        return Discovery(self._partitions)

    def pages(
        self,
        partition: Partition,
        start: int,
        end: int,
        request: Request = EVERYTHING,  # noqa: ARG002
    ) -> Iterator[EventPage]:
        """One page."""
        first = -(-start // self._apart) * self._apart
        times = range(first, end, self._apart)
        yield EventPage([LogEvent("GET /", at, f"{partition.resource}{at:056}") for at in times])

    def cost(self, partition: Partition) -> None:
        """Nothing: no quota."""


def kept(folder: Path, partitions: int, rate: int) -> float:
    """Bytes that Python has allocated once the lookback was read, less those at the start."""
    config = folder / "exporter.yaml"
    config.write_text(yaml.safe_dump({"sources": [SOURCE], "rules": [RULE]}))
    configuration = check([config]).configuration
    if configuration is None:
        raise RuntimeError("the configuration is wrong")
    now = float(int(time.time()))
    clock = Clock(wall=lambda: now)
    ledger = SqliteLedger.open(folder / "data", temporary=True)
    telemetry, series = Telemetry(), SeriesStore(0.0)
    engine = Engine(Pipeline(ledger, series, telemetry, clock), Scheduler())
    exposition = Exposition(series, telemetry, ledger)
    stop = threading.Event()
    assembly = Assembler(ledger, telemetry, clock, stop=stop).assemble(configuration)
    (source_config,) = configuration.sources
    if not isinstance(source_config, TimelineConfig):
        raise TypeError
    source = Groups(source_config, clock, partitions, rate)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    engine.apply({"apps": source}, assembly.rules)
    engine.discover(source)
    for _ in range(POLLS):
        now += INTERVAL
        for reader in engine.readers("apps"):
            while reader.step() == 0.0:
                pass
        exposition.scrape()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    read = sum(reader.meter.events for reader in engine.readers("apps"))
    if read < partitions * rate * POLLS * INTERVAL:
        raise RuntimeError(f"only {read} events were read")
    ledger.close()
    return after - before


def main() -> int:
    """Print the table."""
    configure_logging("warn", "logfmt")
    parser = argparse.ArgumentParser()
    parser.add_argument("--partitions", type=int, default=150)
    parser.add_argument("--rate", type=int, default=100)
    options = parser.parse_args()
    sizes = []
    for partitions in (0, options.partitions):
        with tempfile.TemporaryDirectory() as folder:
            sizes.append(kept(Path(folder), partitions, options.rate))
    each = (sizes[1] - sizes[0]) / options.partitions
    print("| partitions | events/s each | kept of each, KiB (64) |")
    print("| --- | --- | --- |")
    print(f"| {options.partitions:,} | {options.rate} | {each / 1024:.1f} |")
    return int(each > MOST)


if __name__ == "__main__":
    sys.exit(main())
