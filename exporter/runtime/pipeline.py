"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from exporter.clock import Clock
from exporter.ledger.base import Batch, Committed, Ledger, LedgerError
from exporter.ledger.errors import damaged_checkpoint
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import DamagedCheckpointError, LogEvent, Partition
from exporter.rules import Evaluation, Increment, RuleSet
from exporter.rules.records import Facts
from exporter.runtime.turns import Turns
from exporter.sources.base import Listener, Reading, Source

_EVENTS_IN_TURN: Final = 250
"""Log events evaluated in one turn: some ten milliseconds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules in force, and since when each counts."""

    evaluated: RuleSet
    listeners: Mapping[str, Mapping[str, Listener]]
    """By source, by rule."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A reading that was counted and committed."""

    reading: Reading
    evaluation: Evaluation
    committed: Committed
    begins: bool
    """Whether it only notes where the reading of the partition begins."""


@dataclass(slots=True)
class Pipeline:
    """Counts what a source's partitions bring. Thread-safe for distinct partitions."""

    ledger: Ledger
    series: SeriesStore
    telemetry: Telemetry
    clock: Clock
    rules: Rules = field(default_factory=lambda: Rules(RuleSet(()), {}))
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
        """Read what is due from a partition and count it.

        Each reading is committed before it is handed on, and before the next is asked for; nothing
        is committed once ``wanted`` is false. ``turn``: see ``Source.poll``. Raises SourceError
        and LedgerError; what was committed until then stays.
        """
        checkpoint = self.ledger.checkpoint(partition)
        begins = checkpoint is None
        listeners = self.rules.listeners.get(source.name, {})
        for reading in self._readings(source, partition, checkpoint, listeners, turn):
            evaluation, committed = self._count(source, partition, reading, wanted)
            if committed is None:
                return
            self.telemetry.committed(source.name, committed)
            yield Counted(reading, evaluation, committed, begins)
            begins = False

    def _readings(
        self,
        source: Source,
        partition: Partition,
        checkpoint: str | None,
        listeners: Mapping[str, Listener],
        turn: float,
    ) -> Iterator[Reading]:
        try:
            yield from source.poll(partition, checkpoint, rules=listeners, turn=turn)
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
        self, source: Source, partition: Partition, reading: Reading, wanted: Callable[[], bool]
    ) -> tuple[Evaluation, Committed | None]:
        """Evaluate a reading and commit what it counts; None if nobody wants it any more."""
        while True:
            rules = self.rules
            evaluation = self._evaluate(rules.evaluated, source, partition, reading.events)
            since = rules.listeners.get(source.name, {})
            increments = [
                increment
                for increment in evaluation.increments
                if _counts(increment, reading, since)
            ]
            batch = Batch(partition, reading.checkpoint, increments, reading.remember_from)
            with self._gate:
                if self._stopped or not wanted():
                    return evaluation, None
                # Else the ledger counts by others by now, and may have ended these ones' series.
                if self.rules is rules:
                    return evaluation, self._commit(batch)

    def _evaluate(
        self, rules: RuleSet, source: Source, partition: Partition, events: Sequence[LogEvent]
    ) -> Evaluation:
        """Evaluate log events in turn with other partitions, some at a time."""
        increments: list[Increment] = []
        facts: list[Facts] = []
        for start in range(0, len(events), _EVENTS_IN_TURN):
            with self._turns.turn():
                part = events[start : start + _EVENTS_IN_TURN]
                evaluation = rules.evaluate(part, partition, source.format)
            increments += evaluation.increments
            facts += evaluation.facts
        return Evaluation(increments, facts)

    def _commit(self, batch: Batch) -> Committed:
        """Make a batch durable and show it."""
        try:
            with self.telemetry.ledger_commit_duration.time():
                committed = self.ledger.commit(batch)
        except LedgerError:
            self.telemetry.ledger_errors.labels("commit").inc()
            raise
        self.series.apply(committed.series)
        return committed


def _counts(increment: Increment, reading: Reading, listeners: Mapping[str, Listener]) -> bool:
    """Whether a match is one that its rule may count in this reading.

    Not what happened before the rule's start, and not what was swept for the last time before:
    matches of that are forgotten, so nobody could tell whether it was counted.
    """
    start = listeners[increment.rule].start
    if start is not None and increment.event_time is not None and increment.event_time < start:
        return False
    if reading.horizon is None or increment.time >= reading.horizon:
        return True
    return increment.rule in reading.backfill
