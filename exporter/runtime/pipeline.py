"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from exporter.clock import Clock
from exporter.ledger.base import Batch, Committed, FencedError, Ledger, LedgerError
from exporter.ledger.errors import damaged_checkpoint
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import DamagedCheckpointError, JudgedEvent, Partition
from exporter.rules import Evaluation, RuleSet
from exporter.runtime.turns import Turns
from exporter.sources.base import Reading, Source

_log = structlog.get_logger(__name__)

_EVENTS_IN_TURN: Final = 250
"""Log events evaluated in one turn: some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A reading that was counted and committed."""

    reading: Reading
    evaluation: Evaluation
    committed: Committed
    begins: bool
    """Whether it only stores the position at which reading begins."""


@dataclass(slots=True)
class Pipeline:
    """Counts the events of partitions. Thread-safe for distinct partitions."""

    ledger: Ledger
    series: SeriesStore
    telemetry: Telemetry
    clock: Clock
    rules: RuleSet = field(default_factory=lambda: RuleSet({}))
    """Replaced while it is ``paused``: a reading is counted by the rules in force at its commit."""
    _stopped: bool = False
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _turns: Turns = field(default_factory=Turns)

    def poll(
        self,
        source: Source,
        partition: Partition,
        *,
        turn: float,
        wanted: Callable[[], bool],
    ) -> Iterator[Counted]:
        """Read and count the due events of a partition.

        Each reading is committed before it is handed on, and before the next is asked for; nothing
        is committed once ``wanted`` is false. ``turn``: see ``Source.poll``. Raises SourceError
        and LedgerError; earlier commits stay.
        """
        checkpoint = expected = self.ledger.checkpoint(partition)
        begins = checkpoint is None
        own_starts = self.rules.own_starts(source.name)
        for reading in self._readings(source, partition, checkpoint, own_starts, turn):
            evaluation, committed = self._count(source, partition, reading, expected, wanted)
            if committed is None:
                return
            expected = reading.checkpoint
            self.telemetry.committed(source.name, committed)
            yield Counted(reading, evaluation, committed, begins)
            begins = False

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
            raise damaged_checkpoint(self.ledger.condition().location, partition) from error

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
        """Evaluate a reading and commit its matches.

        Returns no commit if the reading is not wanted any more, or if another holder of the
        partition has committed since ``expected``.
        """
        while True:
            rules = self.rules
            evaluation = self._evaluate(rules, source, partition, reading)
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

    def _evaluate(
        self, rules: RuleSet, source: Source, partition: Partition, reading: Reading
    ) -> Evaluation:
        """Evaluate a reading in turn with other partitions, some log events at a time."""
        events: list[JudgedEvent] = []
        for start in range(0, len(reading.events), _EVENTS_IN_TURN):
            with self._turns.turn():
                evaluation = rules.evaluate(
                    reading.events[start : start + _EVENTS_IN_TURN],
                    partition,
                    source.format,
                    watermark=reading.watermark,
                    backfill=reading.backfill,
                )
            events += evaluation.events
        return Evaluation(events)

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
