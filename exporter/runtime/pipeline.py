"""The way of the data, for one partition at a time: source → rule set → ledger → metrics."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeAlias

import structlog

from exporter.aws.uses import Use, used_by
from exporter.clock import Clock
from exporter.ledger.base import Batch, Committed, FencedError, Ledger, LedgerError
from exporter.ledger.errors import damaged_checkpoint
from exporter.metrics.recent import RecentMatches
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    DamagedCheckpointError,
    Joined,
    JudgedEvent,
    LogEvent,
    Partition,
    Records,
)
from exporter.rules import Evaluation, RuleSet
from exporter.runtime.turns import Turns
from exporter.sources.base import Reading, Source
from exporter.workers.judged import Judged

_log = structlog.get_logger(__name__)

_EVENTS_IN_TURN: Final = 250
"""Log events that are evaluated in a source's first turn, and at least in each."""
_TURN_SECONDS: Final = 0.01
"""CPU time of a turn: as many log events are evaluated as fit by the last turn."""
_MOST_IN_TURN: Final = 10_000

Read: TypeAlias = Callable[[Partition], Iterator[Reading]]


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A reading that was evaluated, and waits for its commit."""

    source: Source
    partition: Partition
    reading: Reading
    expected: str | None
    """See ``Batch.expected``."""
    begins: bool
    """Whether it only stores the position at which reading begins."""
    wanted: Callable[[], bool]
    """Whether it may be committed still."""
    rules: RuleSet
    evaluation: Evaluation

    @property
    def changes(self) -> bool:
        """Whether it changes anything: most pages of a slice that was read before do not."""
        return bool(self.evaluation.events) or self.reading.checkpoint != self.expected

    def is_whole(self, rules: RuleSet) -> bool:
        """Whether nothing was left out that these rules may count: others may be loaded by now."""
        asked = self.reading.interest
        return asked is None or asked.covers(rules.interest(self.source.name))

    @property
    def batch(self) -> Batch:
        """What the ledger commits."""
        feed = self.rules.feed(self.source.name)
        return Batch(
            self.partition,
            feed=feed.name,
            checkpoint=self.reading.checkpoint,
            expected=self.expected,
            events=self.evaluation.events,
            format=feed.format or self.source.format,
            remember_from=self.reading.remember_from,
            is_shared=feed.is_shared,
        )


@dataclass(slots=True)
class Pipeline:
    """Counts the events of partitions. Thread-safe for distinct partitions."""

    ledger: Ledger
    series: SeriesStore
    telemetry: Telemetry
    clock: Clock
    rules: RuleSet = field(default_factory=lambda: RuleSet({}))
    """Replaced while it is ``paused``: a reading is counted by the rules in force at its commit."""
    recent: RecentMatches = field(default_factory=RecentMatches)
    _stopped: bool = False
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _turns: Turns = field(default_factory=Turns)
    _events_in_turn: dict[str, int] = field(default_factory=dict)
    """By source."""

    def evaluated(
        self,
        source: Source,
        partition: Partition,
        checkpoint: str | None,
        *,
        turn: float,
        wanted: Callable[[], bool],
        read: Read | None = None,
    ) -> Iterator[Evaluated]:
        """Read and evaluate the due events of a partition, from its last checkpoint on.

        Each reading must be committed before the next is asked for. ``turn``: see ``Source.poll``,
        which ``read`` replaces. Raises SourceError and LedgerError.
        """
        expected, begins = checkpoint, checkpoint is None
        if read is None:
            rules = self.rules
            read = partial(
                source.poll,
                checkpoint=checkpoint,
                own_starts=rules.own_starts(source.name),
                interest=rules.interest(source.name),
                turn=turn,
            )
        for reading in self._readings(read, partition):
            rules = self.rules
            evaluation = self._evaluate(rules, source, partition, reading)
            yield Evaluated(source, partition, reading, expected, begins, wanted, rules, evaluation)
            expected, begins = reading.checkpoint, False

    def commit(self, *waiting: Evaluated) -> Committed | None:
        """Commit evaluated readings of a source together, and show what they add.

        A reading that was evaluated by other rules than those in force is evaluated again. Returns
        None, and commits nothing, if one of them is not wanted any more, if events were left out of
        it that the rules in force may count, or if another holder of its partition has committed.
        Raises LedgerError, after which nothing is committed.
        """
        while True:
            rules = self.rules
            waiting = tuple(
                one if one.rules is rules else self._evaluated_again(one, rules) for one in waiting
            )
            with self._gate:
                if self._stopped or not all(
                    one.wanted() and one.is_whole(self.rules) for one in waiting
                ):
                    return None
                # Else the ledger counts by others by now, and may have ended these ones' series.
                if self.rules is rules:
                    batches = [one.batch for one in waiting if one.changes]
                    committed = self._commit(batches) if batches else Committed()
                    break
        if committed is not None:
            self.telemetry.committed(waiting[0].source.name, committed)
            self.recent.add(committed.new)
        return committed

    def _readings(self, read: Read, partition: Partition) -> Iterator[Reading]:
        try:
            yield from used_by(Use(partition.source, partition.key), read(partition))
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

    def _evaluated_again(self, one: Evaluated, rules: RuleSet) -> Evaluated:
        evaluation = self._evaluate(rules, one.source, one.partition, one.reading)
        return replace(one, rules=rules, evaluation=evaluation)

    def _evaluate(
        self, rules: RuleSet, source: Source, partition: Partition, reading: Reading
    ) -> Evaluation:
        """Evaluate a reading in turn with other partitions, some log events at a time."""
        feed = rules.feed(source.name).name
        known = partial(self.ledger.judged, feed) if reading.again else None
        events: list[JudgedEvent] = []
        excluded: Counter[tuple[str, str]] = Counter()
        for part in self._parts(source, rules, reading.events):
            if isinstance(part, Judged):
                if part is reading.events:
                    return part.evaluation
                events += part.evaluation.events
                excluded.update(part.evaluation.excluded)
                continue
            with self._turns.turn():
                began = time.thread_time()
                evaluation = rules.evaluate(
                    part,
                    partition,
                    source.format,
                    watermark=reading.watermark,
                    backfill=reading.backfill,
                    known=known,
                    limits=reading.limits,
                )
                took = time.thread_time() - began
            fitting = round(len(part) * _TURN_SECONDS / max(took, 1e-6))
            self._events_in_turn[source.name] = max(_EVENTS_IN_TURN, min(fitting, _MOST_IN_TURN))
            events += evaluation.events
            excluded.update(evaluation.excluded)
        return Evaluation(events, excluded)

    def _parts(
        self, source: Source, rules: RuleSet, events: Sequence[LogEvent]
    ) -> Iterator[Sequence[LogEvent]]:
        """The log events of each turn. A document of records is evaluated in one.

        Those that a worker has evaluated by other rules are read again; raises SourceError.
        """
        if isinstance(events, Joined):
            for part in events.parts:
                yield from self._parts(source, rules, part)
            return
        if isinstance(events, Judged) and events.rules is not rules:
            events = events.again()
        if isinstance(events, Records | Judged):
            yield events
            return
        start = 0
        while start < len(events):
            size = self._events_in_turn.get(source.name, _EVENTS_IN_TURN)
            yield events[start : start + size]
            start += size

    def _commit(self, batches: Sequence[Batch]) -> Committed | None:
        """Make batches durable and show them; None if another holder of a partition was first."""
        try:
            with self.telemetry.ledger_commit_duration.time():
                committed = self.ledger.commit(*batches)
        except FencedError as error:
            if len(batches) == 1:
                self.telemetry.fenced_commits.labels(batches[0].partition.source).inc()
                _log.warning("commit refused", partition=str(batches[0].partition), why=str(error))
            return None
        except LedgerError:
            self.telemetry.ledger_errors.labels("commit").inc()
            raise
        self.series.apply(committed.series)
        return committed
