"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.arrivals import Arrivals
from exporter.events import Partition
from exporter.ledger.base import Batch, Ledger, LedgerError
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.rules import Evaluation, Increment, RuleSet
from exporter.sources.base import Listener, Reading, Source


@dataclass(slots=True)
class Pipeline:
    """Counts what a source's partitions bring. Thread-safe for distinct partitions."""

    rules: RuleSet
    ledger: Ledger
    series: SeriesStore
    telemetry: Telemetry
    listeners: Mapping[str, Mapping[str, Listener]]
    """By source, by rule: since when it counts."""
    _stopped: bool = False
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _arrivals: dict[Partition, Arrivals] = field(default_factory=dict)

    def poll(self, source: Source, partition: Partition) -> int:
        """Read what is due from a partition and count it; the number of log events read.

        Each reading is counted and committed before the next is asked for. Raises SourceError and
        LedgerError; what was committed until then stays.
        """
        listeners = self.listeners[source.name]
        arrivals = self._arrivals.setdefault(partition, Arrivals(_now()))
        checkpoint = self.ledger.checkpoint(partition)
        events = horizon = 0
        for reading in source.poll(partition, checkpoint, rules=listeners):
            evaluation = self.rules.evaluate(reading.events, partition, source.format)
            increments = [
                increment
                for increment in evaluation.increments
                if _counts(increment, reading, listeners)
            ]
            batch = Batch(partition, reading.checkpoint, increments, reading.remember_from)
            if not self._commit(batch):
                break
            self._observe(partition, reading, evaluation, arrivals)
            events += len(reading.events)
            if reading.horizon is not None:
                horizon = reading.horizon
        arrivals.forget(horizon)
        return events

    def stop(self) -> None:
        """Let nothing be committed any more. Waits for a commit that is under way."""
        with self._gate:
            self._stopped = True

    def _commit(self, batch: Batch) -> bool:
        """Make a batch durable and show it; False where the pipeline was stopped."""
        with self._gate:
            if self._stopped:
                return False
            try:
                with self.telemetry.ledger_commit_duration.time():
                    committed = self.ledger.commit(batch)
            except LedgerError:
                self.telemetry.ledger_errors.labels("commit").inc()
                raise
            self.series.apply(committed.series)
        self.telemetry.committed(batch.partition.source, committed)
        return True

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
        if reading.horizon is None:
            return
        if not reading.backfill:
            late = sum(event.time < reading.horizon for event in reading.events)
            telemetry.late_events.labels(*place).inc(late)
        seen = ((fact.event_id, fact.event_time) for fact in evaluation.facts)
        for age in arrivals.first_seen(seen, _now()):
            telemetry.arrival_delay.labels(partition.source).observe(age)


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


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _now() -> int:
    return time.time_ns() // 1_000_000
