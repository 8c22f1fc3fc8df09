"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from exporter.clock import Clock
from exporter.ledger.base import Batch, Committed, FencedError, Ledger, LedgerError
from exporter.ledger.errors import damaged_checkpoint
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import DamagedCheckpointError, Partition
from exporter.rules import Evaluation, RuleSet
from exporter.runtime.arrivals import Arrivals
from exporter.sources.base import Reading, Source

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Poll:
    """What a poll has come to so far; true of one that fails halfway too."""

    events: int = 0
    """Log events read and counted."""
    readings: int = 0
    """Readings that were committed, the one left out that only notes where reading begins."""
    behind: bool = False
    """Whether more was due after the last reading (see Reading.behind)."""
    matches: int = 0
    """Matches that were counted, value errors among them."""
    slices: int = 0
    """Slices of time that were read completely."""
    caught_up: bool = False
    """Whether one of them was not fresh: progress in a backlog."""
    size: int = 0
    """Bytes (see Reading.size)."""
    read_up_to: int | None = None
    """See Reading.read_up_to."""


@dataclass(slots=True)
class Pipeline:
    """Counts what a source's partitions bring. Thread-safe for distinct partitions."""

    ledger: Ledger
    series: SeriesStore
    telemetry: Telemetry
    clock: Clock
    rules: RuleSet = field(default_factory=lambda: RuleSet({}))
    """Replaced while it is ``paused``: a reading is counted by the rules in force at its commit."""
    _stopped: bool = False
    _gate: threading.Lock = field(default_factory=threading.Lock)

    def poll(
        self,
        source: Source,
        partition: Partition,
        poll: Poll,
        arrivals: Arrivals,
        *,
        turn: float,
        wanted: Callable[[], bool],
    ) -> None:
        """Read what is due from a partition and count it; ``poll`` is kept up to date.

        Each reading is counted and committed before the next is asked for; nothing is committed
        once ``wanted`` is false. ``turn``: see ``Source.poll``. Raises SourceError and LedgerError;
        what was committed until then stays.
        """
        checkpoint = self.ledger.checkpoint(partition)
        expected = checkpoint
        watermark = 0
        own_starts = self.rules.own_starts(source.name)
        noted = checkpoint is not None
        for reading in self._readings(source, partition, checkpoint, own_starts, turn):
            evaluation, committed = self._count(source, partition, reading, expected, wanted)
            if committed is None:
                break
            expected = reading.checkpoint
            self.telemetry.committed(source.name, committed)
            self._observe(partition, reading, evaluation, arrivals)
            poll.events += len(reading.events)
            poll.readings += noted
            poll.slices += reading.completes is not None
            poll.caught_up = poll.caught_up or reading.completes == "older"
            poll.size += reading.size
            poll.matches += len(committed.counted)
            poll.behind, poll.read_up_to = reading.behind, reading.read_up_to
            noted = True
            if reading.read_up_to is not None:
                self.telemetry.read_up_to(partition, reading.read_up_to / 1000)
            if reading.watermark is not None:
                watermark = reading.watermark
        arrivals.forget(watermark)

    def _readings(
        self,
        source: Source,
        partition: Partition,
        checkpoint: str | None,
        own_starts: Mapping[str, int],
        turn: float,
    ) -> Iterator[Reading]:
        try:
            yield from source.poll(partition, checkpoint, own_starts=own_starts, turn=turn)
        except DamagedCheckpointError as error:
            raise damaged_checkpoint(self.ledger.condition().place, partition) from error

    def stop(self) -> None:
        """Let nothing be committed any more. Waits for a commit that is under way."""
        with self._gate:
            self._stopped = True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nothing be committed meanwhile. Waits for a commit that is under way."""
        with self._gate:
            yield

    def _count(
        self,
        source: Source,
        partition: Partition,
        reading: Reading,
        expected: str | None,
        wanted: Callable[[], bool],
    ) -> tuple[Evaluation, Committed | None]:
        """Evaluate a reading and commit what it counts; None: it was not counted.

        Nobody wants it any more, or another holder of the partition has committed.
        """
        while True:
            rules = self.rules
            evaluation = rules.evaluate(
                reading.events,
                partition,
                source.format,
                watermark=reading.watermark,
                backfill=reading.backfill,
            )
            batch = Batch(
                partition,
                feed=source.name,
                checkpoint=reading.checkpoint,
                expected=expected,
                events=evaluation.events,
                format=source.format,
                remember_from=reading.remember_from,
            )
            with self._gate:
                if self._stopped or not wanted():
                    return evaluation, None
                # Else the ledger counts by others by now, and may have ended these ones' series.
                if self.rules is rules:
                    return evaluation, self._commit(batch)

    def _commit(self, batch: Batch) -> Committed | None:
        """Make a batch durable and show it; None if another holder of the partition was first."""
        try:
            with self.telemetry.ledger_commit_duration.time():
                committed = self.ledger.commit(batch)
        except FencedError as error:
            self.telemetry.fenced_commits.labels(batch.partition.source).inc()
            _log.warning("commit refused", partition=str(batch.partition), why=str(error))
            return None
        except LedgerError:
            self.telemetry.ledger_errors.labels("commit").inc()
            raise
        self.series.apply(committed.series)
        return committed

    def _observe(
        self, partition: Partition, reading: Reading, evaluation: Evaluation, arrivals: Arrivals
    ) -> None:
        place = (partition.source, partition.account_id, partition.region)
        telemetry = self.telemetry
        telemetry.log_events_read.labels(*place).inc(len(reading.events))
        telemetry.read_bytes.labels(*place).inc(
            sum(_bytes(event.message) for event in reading.events)
        )
        telemetry.undecodable_events.labels(*place).inc(reading.undecodable)
        if reading.watermark is None:
            return
        if not reading.backfill:
            late = sum(event.time < reading.watermark for event in reading.events)
            telemetry.late_events.labels(*place).inc(late)
        seen = ((fact.event_id, fact.event_time) for fact in evaluation.facts)
        for age in arrivals.first_seen(seen, round(self.clock.now() * 1000)):
            telemetry.arrival_delay.labels(partition.source).observe(age)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
