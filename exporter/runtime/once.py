"""``run --once``: every source read up to now, and the metrics printed."""

from __future__ import annotations

import math
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from rich import filesize
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.clock import Clock
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.scrapers import NOBODY
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.runtime.assembly import Assembler, workers_of
from exporter.runtime.collecting import LongLived
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader
from exporter.runtime.scheduling import Scheduler
from exporter.runtime.together import poll_together
from exporter.settings import Settings
from exporter.sources.base import Source
from exporter.workers.pool import Workers

_POLLS_AT_ONCE: Final = 32
"""Threads; most wait for AWS or for a quota, not for a core."""
_WORTH_BYTES: Final = 4 * 1024 * 1024
"""Bytes of files from which on workers are started: they take half a second."""
_LOOK_EVERY: Final = 0.2
"""Seconds between two looks at how far it is."""

_Work = Sequence[tuple[Source, Reader]]


def run_once(settings: Settings) -> int:
    """Read every source once up to now, print the metrics; the exit code: 1 if one failed.

    Without a ``--storage.path`` it counts from nothing and leaves nothing behind. Raises
    LedgerError and ConfigurationError if it cannot start.
    """
    with _ledger(settings) as ledger:
        telemetry, clock = Telemetry(), Clock()
        series = SeriesStore(birth_hold=None, created=settings.metrics_created)
        series.load(ledger.series())
        # Its scheduler is never started: polls run here.
        pipeline = Pipeline(ledger, series, telemetry, clock)
        engine = Engine(pipeline, Scheduler())
        with closing(workers_of(settings, pipeline)) as workers:
            assembler = Assembler(
                ledger, telemetry, clock, stop=threading.Event(), workers=workers, complete=True
            )
            configuration = assembler.read(settings.config_file)
            assembler.assemble(configuration).put_in_force(engine, series, telemetry)
            work = _read(engine, pipeline, workers)
        exposition = Exposition(series, telemetry, ledger)
        exposition.record()
        exposition.reveal(NOBODY)
        sys.stdout.buffer.write(exposition.scrape().body)
        sys.stdout.flush()
    failed = any(engine.failures(source.name) for source in engine.sources)
    return int(failed or any(reader.error is not None for _, reader in work))


@contextmanager
def _ledger(settings: Settings) -> Iterator[SqliteLedger]:
    if "storage_path" in settings.model_fields_set:
        with closing(SqliteLedger.open(settings.storage_path)) as ledger:
            yield ledger
        return
    with (
        tempfile.TemporaryDirectory(prefix="metric-filter-exporter-") as folder,
        closing(SqliteLedger.open(Path(folder), temporary=True)) as ledger,
    ):
        yield ledger


def _read(engine: Engine, pipeline: Pipeline, workers: Workers) -> _Work:
    """Find and poll every partition; on a terminal, show how far it is."""
    with ThreadPoolExecutor(_POLLS_AT_ONCE) as pool:
        list(pool.map(engine.discover, engine.sources))
        LongLived(lambda: engine.partitions).freeze()
        work = [(source, r) for source in engine.sources for r in engine.readers(source.name)]
        polls = []
        for source in engine.sources:
            free: list[Reader] = []
            called: list[Reader] = []
            for reader in engine.readers(source.name):
                (free if source.cost(reader.partition) is None else called).append(reader)
            # Where nothing is waited for, more threads are no faster.
            helped = workers if _is_worth(source, free, workers) else None
            polls.append(pool.submit(poll_together, pipeline, source, free, helped))
            polls += [pool.submit(_poll, source, reader) for reader in called]
        console = Console(stderr=True)
        if console.is_terminal:
            with _progress(console, work) as show:
                while not all(poll.done() for poll in polls):
                    show()
                    time.sleep(_LOOK_EVERY)
        for poll in polls:
            poll.result()
    return work


def _is_worth(source: Source, readers: Sequence[Reader], workers: Workers) -> bool:
    """Whether workers are quicker, although they have to be started first."""
    sizes = [source.size(reader.partition) for reader in readers] if workers.most > 1 else []
    return sum(size for size in sizes if size) >= _WORTH_BYTES


def _poll(source: Source, reader: Reader) -> None:
    for _ in reader.poll(source, turn=math.inf):
        pass


class _Shown:
    """One bar over everything that is read."""

    def __init__(self, progress: Progress, work: _Work) -> None:
        self._progress = progress
        self._work = work
        self._began = time.monotonic()
        sizes = [source.size(reader.partition) for source, reader in work]
        known = [size for size in sizes if size is not None]
        # The size is unknown with an API: the bar only shows progress then, or objects.
        self._size = sum(known) if len(known) == len(sizes) else None
        self._most_objects = 0
        self._task = progress.add_task("", total=self._size)

    def __call__(self) -> None:
        readers = [reader for _, reader in self._work]
        events = sum(reader.meter.events for reader in readers)
        done = sum(reader.attempts > 0 for reader in readers)
        rate = events / max(time.monotonic() - self._began, 0.001)
        size = sum(reader.size for reader in readers)
        completed, total, left = size, self._size, f", {filesize.decimal(size)}"
        if total is not None:
            left += f" of {filesize.decimal(total)}"
        backlogs = [reader.meter.backlog for reader in readers]
        if total is None and None not in backlogs:
            objects = sum(backlog.objects for backlog in backlogs if backlog is not None)
            total = self._most_objects = max(self._most_objects, objects)
            completed, left = total - objects, f", {objects:,} objects left"
        self._progress.update(
            self._task,
            completed=completed,
            total=total,
            description=f"{done}/{len(self._work)} read, {events:,} events, {rate:,.0f}/s{left}",
        )


@contextmanager
def _progress(console: Console, work: _Work) -> Iterator[_Shown]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Shown(progress, work)
