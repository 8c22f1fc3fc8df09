"""The exporter's engine, pipeline, ledger and sources on virtual time."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml

from bench.simulated_aws import SimulatedAccount
from bench.virtual_time import VirtualStop, VirtualTime
from exporter.clock import Clock
from exporter.configuration import Configuration, check
from exporter.ledger.base import Committed
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import JudgedEvent
from exporter.runtime.assembly import Assembler
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Evaluated, Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.sources.base import Environment
from exporter.sources.regional import RegionalConfig, RegionalSource

SAMPLED_EVERY = 10.0
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108
"""Where the ledger is: waiting for a disk is no part of virtual time."""

MakeSource = Callable[[RegionalConfig, Environment], RegionalSource]


class Watched(Pipeline):
    """A pipeline whose commits are looked at."""

    counted: Counter[str]
    """Matches by rule."""
    on_new: Callable[[JudgedEvent], object]

    def commit(self, *waiting: Evaluated) -> Committed | None:
        """See Pipeline."""
        committed = super().commit(*waiting)
        if committed is not None:
            for change in committed.rules:
                self.counted[change.rule] += change.matches
            for event in committed.new:
                self.on_new(event)
        return committed


class Simulation:
    """One source that is read by the exporter's own code; a context manager."""

    def __init__(
        self,
        time: VirtualTime,
        account: SimulatedAccount,
        configuration: Mapping[str, Any],
        make: MakeSource,
        *,
        on_new: Callable[[JudgedEvent], object],
        complete: bool = False,
    ) -> None:
        """``complete``: each poll reads the whole lookback. ``on_new``: an event that counted."""
        self.time, self.account = time, account
        self.freshness: list[tuple[float, float]] = []
        """Moments, and how far the partition was behind that was read least, seconds."""
        self.reads: list[int] = []
        """The re-reads that the schedule had at these moments: of the partition with fewest."""
        self._closing = ExitStack()
        folder = Path(self._closing.enter_context(tempfile.TemporaryDirectory(dir=_IN_MEMORY)))
        parsed = self.configuration = _configuration(folder, configuration)
        clock = Clock(time, time)
        self._ledger = SqliteLedger.open(folder / "data", clock=time, steady=time, temporary=True)
        self._closing.callback(self._ledger.close)
        telemetry = Telemetry()
        self._pipeline = Watched(self._ledger, SeriesStore(0.0), telemetry, clock)
        self._pipeline.counted, self._pipeline.on_new = Counter(), on_new
        self._scheduler = Scheduler(clock=time, pool=time)
        self._engine = Engine(self._pipeline, self._scheduler)
        stop = VirtualStop(time)
        rules = Assembler(self._ledger, telemetry, clock, stop=stop).assemble(parsed).rules
        (config,) = parsed.sources
        if not isinstance(config, RegionalConfig):
            raise TypeError
        self._source = make(config, Environment(account, clock, complete))
        self._engine.apply({config.name: self._source}, rules)
        self._scheduler.every(SAMPLED_EVERY, self._sample, queue="samples")

    def __enter__(self) -> Simulation:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.close()

    def run(self, until: float) -> None:
        """Let everything happen up to a moment."""
        self.time.run(until, self._scheduler.run_due)

    @property
    def counted(self) -> Counter[str]:
        """Matches by rule, as committed."""
        return self._pipeline.counted

    @property
    def errors(self) -> list[str]:
        """Why partitions fail."""
        readers = self._engine.readers(self._source.name)
        return [reader.error for reader in readers if reader.error is not None]

    def _sample(self) -> None:
        meters = [reader.meter for reader in self._engine.readers(self._source.name)]
        ends = [meter.read_up_to for meter in meters if meter.read_up_to is not None]
        if ends:
            self.freshness.append((self.time(), self.time() - min(ends) / 1000))
        reads = [meter.rereads.reads for meter in meters if meter.rereads is not None]
        if reads:
            self.reads.append(min(reads))


def _configuration(folder: Path, configuration: Mapping[str, Any]) -> Configuration:
    path = folder / "exporter.yaml"
    path.write_text(yaml.safe_dump(dict(configuration)))
    checked = check([path])
    if checked.configuration is None:
        raise RuntimeError("; ".join(str(problem) for problem in checked.errors))
    return checked.configuration
