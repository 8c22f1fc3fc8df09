"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
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
"""Log events that are evaluated in a source's first turn, and at least in each."""
_TURN_SECONDS: Final = 0.01
"""CPU time of a turn: as many log events are evaluated as fit by the last turn."""
_MOST_IN_TURN: Final = 10_000


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
    _events_in_turn: dict[str, int] = field(default_factory=dict)
    """By source."""

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
                if not batch.events and batch.checkpoint == batch.expected:
                    return evaluation, Committed()  # nothing changes
                # Else the ledger counts by others by now, and may have ended these ones' series.
                if self.rules is rules:
                    return evaluation, self._commit(batch)

    def _evaluate(
        self, rules: RuleSet, source: Source, partition: Partition, reading: Reading
    ) -> Evaluation:
        """Evaluate a reading in turn with other partitions, some log events at a time."""
        events: list[JudgedEvent] = []
        known = partial(self.ledger.judged, source.name) if reading.again else None
        start = 0
        while start < len(reading.events):
            size = self._events_in_turn.get(source.name, _EVENTS_IN_TURN)
            with self._turns.turn():
                began = time.thread_time()
                evaluation = rules.evaluate(
                    reading.events[start : start + size],
                    partition,
                    source.format,
                    watermark=reading.watermark,
                    backfill=reading.backfill,
                    known=known,
                )
                took = time.thread_time() - began
            fitting = round(
                min(size, len(reading.events) - start) * _TURN_SECONDS / max(took, 1e-6)
            )
            self._events_in_turn[source.name] = max(_EVENTS_IN_TURN, min(fitting, _MOST_IN_TURN))
            events += evaluation.events
            start += size
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
