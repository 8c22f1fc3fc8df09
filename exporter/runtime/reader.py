"""A partition that is read, with all of its state."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import structlog

from exporter.clock import elapsed
from exporter.ledger.base import Committed, LedgerError
from exporter.logs import Failures
from exporter.metrics.partitions import CATCHING_UP_HOLD, Meter
from exporter.model import (
    Excluded,
    Partition,
    PartitionGoneError,
    SourceError,
)
from exporter.planning.forecast import Rates
from exporter.rules import RuleSet
from exporter.runtime.backlog import BacklogProgress
from exporter.runtime.catching_up import CatchingUp
from exporter.runtime.pipeline import Evaluated, Pipeline, Read
from exporter.runtime.poll_progress import PollProgress
from exporter.runtime.scheduling import Request
from exporter.sources.base import Reading, Source
from exporter.sources.thinning import Rereads
from exporter.workers.jobs import PollJob
from exporter.workers.judged import size_of

_log = structlog.get_logger(__name__)

Steps = Generator[Evaluated | None, Committed | None, float | None]
"""See ``Reader.steps``."""

_MOST_NAMED = 1000
_TRY_AGAIN_AFTER = 0.05
"""Seconds before a partition that is behind is polled again after a failure; doubled each time."""


class Reader:
    """Polls one partition, one poll at a time; outlives configurations.

    A poll is a generator of committed readings: between two of them it uses no thread.
    """

    def __init__(
        self,
        partition: Partition,
        pipeline: Pipeline,
        *,
        on_end: Callable[[Reader, SourceError | LedgerError | None], object],
    ) -> None:
        """``on_end`` is called with each poll's failure, or None."""
        self.partition = partition
        self.source: Source | None = None
        """None while it is not read: until it is found, or found again."""
        self.begun = False
        """Whether the ledger had a position of it when it was found."""
        self.request: Request | None = None
        now = pipeline.clock.now()
        self.meter = Meter(partition, found=now)
        self._catching_up = CatchingUp(self.meter)
        self.error: str | None = None
        """Why the last poll failed; None if it succeeded, or there was none. Only the text: the
        frames of an exception have AWS's answer and, in a cycle, this reader."""
        self.read_by: RuleSet | None = None
        """The rules at the beginning of the last successful poll; None if there was none."""
        self.was_read = False
        """Whether anything was read of it, or nothing was found to read."""
        self.behind = False
        """Whether more was due than the last poll has read."""
        self.backlog: BacklogProgress | None = None
        """None if no backlog of it is known."""
        self.size = 0
        """Bytes read of those that ``Source.size`` returns."""
        self._pipeline = pipeline
        self._on_end = on_end
        self._since = round(now * 1000)
        self._refused = 0
        """See ``Reading.refused``."""
        self._failed = 0
        """Polls in a row that failed, since one made progress in a backlog."""
        self._failures = Failures("poll", source=partition.source, partition=partition.key)
        self._named: set[tuple[str, str]] = set()
        """Reasons and accounts of excluded events that were logged."""
        self._polling: tuple[Source, Generator[None, None, float | None]] | None = None

    @property
    def attempts(self) -> int:
        """Polls that ended."""
        return self.meter.succeeded + self.meter.failed

    @property
    def rates(self) -> Rates:
        """Its log events a second, by request."""
        plan, partition = self.meter.plan, self.partition
        short = "" if plan is None else plan.short
        return Rates(partition.account_id, partition.region, short, events=self.meter.rates)

    def release(self) -> None:
        """Stop reading: commit and expose nothing from now on."""
        self.suspend()
        self._pipeline.telemetry.read.remove(self.meter)

    def suspend(self) -> None:
        """Stop polls until a request is made for another source."""
        source, self.source = self.source, None
        if source is not None:
            source.release(self.partition)
        if self.request is not None:
            self.request.cancel()
        # No circles, so that it needs no garbage collector to go (see runtime/collecting.py).
        self.request = self._polling = None

    def cannot_begin(self, failure: str) -> None:
        """It was read by another configuration, and discovery has failed since."""
        self.error, self.meter.up = failure, False

    def step(self) -> float | None:
        """Continue the poll by one reading, or begin one.

        Returns in how many seconds to call again, if that is sooner than usual.
        """
        source = self.source
        if source is None:
            return None
        polling = self._polling
        if polling is None or polling[0] is not source:
            polling = self._polling = source, self.poll(source, turn=source.interval)
        try:
            next(polling[1])
        except StopIteration as end:
            if self._polling is polling:
                self._polling = None
            wanted: float | None = end.value
            return wanted
        return 0.0

    def poll(self, source: Source, *, turn: float) -> Generator[None, None, float | None]:
        """Read and commit the due events; yields after a reading if another call may follow.

        Returns in how many seconds to poll again, if that is sooner than usual. ``turn``: see
        ``Source.poll``.
        """
        steps = self.steps(source, turn=turn)
        try:
            step = next(steps)
            while True:
                if step is None:
                    yield
                    step = next(steps)
                else:
                    step = self.commit(steps, step)
        except StopIteration as end:
            wanted: float | None = end.value
            return wanted

    def commit(self, steps: Steps, waiting: Evaluated) -> Evaluated | None:
        """Commit a reading of ``steps``, and continue to the next step. Raises StopIteration."""
        try:
            committed = self._pipeline.commit(waiting)
        except Exception as error:
            return steps.throw(error)
        return steps.send(committed)

    def steps(
        self,
        source: Source,
        *,
        turn: float,
        job: PollJob | None = None,
        read: Read | None = None,
    ) -> Steps:
        """The steps of a poll, whose readings are committed by the caller.

        A step is an evaluated reading, after which the outcome of its commit is sent or thrown, or
        None where another call may follow. Returns what ``poll`` does. ``job`` has the partition's
        checkpoint, if the caller knows it. ``read`` replaces ``Source.poll``.
        """
        progress = PollProgress(self.behind)
        rules = self._pipeline.rules
        free = source.cost(self.partition) is None
        error: SourceError | LedgerError | None = None
        again: float | None = None
        try:
            begin = job.checkpoint if job else self._pipeline.ledger.checkpoint(self.partition)
            for evaluated in self._pipeline.evaluated(
                source,
                self.partition,
                begin,
                turn=turn,
                wanted=lambda: self.source is source,
                read=read,
            ):
                self._note_before(source, evaluated)
                committed = yield evaluated
                if committed is None:
                    # Other rules were loaded: events may be missing for them, so it is read again.
                    if not evaluated.is_whole(self._pipeline.rules):
                        again = 0.0
                    break
                self._note(evaluated, committed, progress)
                # A reading without a further call takes no further tokens.
                if free or (evaluated.reading.behind and not evaluated.begins):
                    yield None
        except (SourceError, LedgerError) as failure:
            error = failure
        except Exception as failure:
            error = internal_error(self.partition, failure)
        try:
            wanted = self._end(source, progress, rules, error)
            return wanted if again is None else again
        finally:
            del error  # its frames include this one: without a cycle they are freed at once

    def _end(
        self,
        source: Source,
        progress: PollProgress,
        rules: RuleSet,
        error: SourceError | LedgerError | None,
    ) -> float | None:
        if self.source is not source:
            return None
        if isinstance(error, SourceError) and error.reason == "stopping":
            return None
        self.was_read = self.was_read or error is None or progress.readings > 0
        if error is None:
            self.read_by = rules
        if not isinstance(error, PartitionGoneError):
            self._note_end(source, progress, error)
        self._on_end(self, error)
        return self._again(source, error)

    def _note_before(self, source: Source, evaluated: Evaluated) -> None:
        """Note that it catches up, before a page can show it. Raises LedgerError."""
        now = self._pipeline.clock.now()
        if self._catching_up.reads(source, evaluated, now, elapsed()):
            until = round((now + CATCHING_UP_HOLD) * 1000)
            places = self.meter.catching_up_places
            self._pipeline.ledger.note_catching_up(source.name, until, places)

    def _note(self, evaluated: Evaluated, committed: Committed, progress: PollProgress) -> None:
        reading, meter = evaluated.reading, self.meter
        progress.note(evaluated, committed)
        self.size += reading.size
        events, size = len(reading.events), size_of(reading.events)
        meter.events, meter.bytes = meter.events + events, meter.bytes + size
        if not evaluated.begins:
            usage, source = self._pipeline.telemetry.usage, self.partition.source
            usage.read(source, reading.reason, events=events, size=size)
        meter.undecodable += reading.undecodable
        meter.read_up_to = reading.read_up_to
        self._note_plan(reading)
        self._note_rereads(reading.rereads)
        self._note_excluded(evaluated.evaluation.excluded)
        if reading.queue is not None:
            self._pipeline.telemetry.queue(self.partition, reading.queue)
        for outcome, objects in reading.objects.items():
            self._pipeline.telemetry.objects.labels(self.partition.source, outcome).inc(objects)
        if reading.backlog is not None:
            meter.backlog = reading.backlog
            self.backlog = self.backlog or BacklogProgress(self.partition)
            self.backlog.note(reading.backlog, self._pipeline.clock.now())
        if reading.watermark is not None and not reading.backfill:
            meter.late += sum(event.time < reading.watermark for event in reading.events)
        self._catching_up.read(reading, self._pipeline.clock.now())
        now = round(self._pipeline.clock.now() * 1000)
        delays = self._pipeline.telemetry.arrival_delay.labels(self.partition.source)
        for event in committed.new:
            # Earlier events may have arrived while nothing was read.
            if event.event_time is not None and event.event_time >= self._since:
                delays.observe(max(0, now - event.event_time) / 1000)

    def _note_excluded(self, excluded: Excluded) -> None:
        """Count events that the source's limits exclude; name each reason and account once."""
        for (reason, account_id), events in excluded.items():
            self._pipeline.telemetry.excluded_events.labels(self.partition.source, reason).inc(
                events
            )
            if (reason, account_id) in self._named or len(self._named) >= _MOST_NAMED:
                continue
            self._named.add((reason, account_id))
            _log.warning(
                "events are excluded",
                source=self.partition.source,
                partition=self.partition.key,
                account_id=account_id,
                why="the account is not in `account_ids`"
                if reason == "account"
                else "they are older than `start`",
            )

    def _note_plan(self, reading: Reading) -> None:
        """Show the plan, and log when it changes."""
        plan, before = reading.plan, self.meter.plan
        self.meter.plan = plan
        if reading.rates is not None:
            self.meter.rates = reading.rates
        # A source that a reload has replaced begins with 0.
        self.meter.refused += max(0, reading.refused - self._refused)
        self._refused = reading.refused
        if plan is not None and before is not None and plan.requests != before.requests:
            _log.debug(
                "plan changed",
                source=self.partition.source,
                partition=self.partition.key,
                plan=plan.short,
                before=before.short,
                why=plan.why,
            )

    def _note_rereads(self, rereads: Rereads | None) -> None:
        """Show how often events are read, and log when that begins or ends to be less."""
        before, self.meter.rereads = self.meter.rereads, rereads
        if rereads is None or rereads.thinned == (before is not None and before.thinned):
            return
        _log.warning(
            "re-reads are thinned out" if rereads.thinned else "re-reads are complete again",
            source=self.partition.source,
            partition=self.partition.key,
            why=rereads.reason,
        )

    def _note_end(
        self, source: Source, progress: PollProgress, error: SourceError | LedgerError | None
    ) -> None:
        meter = self.meter
        self.error = None if error is None else str(error)
        self.behind = progress.behind and (progress.readings > 0 or error is not None)
        if error is not None:
            self._failed = 1 if progress.caught_up else self._failed + 1
            self._failures.failed(error)
            meter.failed, meter.up = meter.failed + 1, False
        else:
            meter.succeeded += 1
            if progress.readings or not self._is_late(source):
                self._failed = 0
                self._failures.succeeded()
                meter.last_success = now = self._pipeline.clock.now()
                meter.up = True
                self._catching_up.polled(now, behind=self.behind)
        duration = time.monotonic() - progress.began
        self._pipeline.telemetry.poll_duration.labels(self.partition.source).observe(duration)
        _log.debug(
            "polled",
            source=self.partition.source,
            partition=self.partition.key,
            windows=progress.slices,
            pages=progress.readings,
            events=progress.events,
            new=progress.matches,
            behind=progress.behind,
            ms=round(duration * 1000),
        )

    def _again(self, source: Source, error: SourceError | LedgerError | None) -> float | None:
        if not self.behind:
            return None
        if error is None:
            return 0.0
        return min(source.interval, _TRY_AGAIN_AFTER * (1 << min(self._failed, 20)))

    def _is_late(self, source: Source) -> bool:
        """Whether there was something to read: a poll that reads nothing then is no success."""
        if self.meter.read_up_to is None:
            return False
        return self._pipeline.clock.now() - self.meter.read_up_to / 1000 > 2 * source.interval


def internal_error(partition: Partition, error: Exception) -> SourceError:
    """A fault of ours: isolated to its partition, with its frames in the log."""
    # Its message may contain a part of a log event.
    _log.debug("internal error", partition=str(partition), exc_info=error)
    internal = SourceError(
        f"{partition}: internal error ({type(error).__name__}); the log has the frames,"
        " please report it.",
        reason="internal",
    )
    internal.__cause__ = error
    return internal
