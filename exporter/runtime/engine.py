"""The configured sources at work: their partitions are found and polled by a scheduler."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from functools import partial

import structlog

from exporter.ledger.base import LedgerError
from exporter.logs import Failures
from exporter.model import (
    DamagedCheckpointError,
    Partition,
    PartitionGoneError,
    SeriesKey,
    SourceError,
)
from exporter.runtime.arrivals import Arrivals
from exporter.runtime.pipeline import Pipeline, Poll, Rules
from exporter.runtime.scheduling import THREADS, Scheduler
from exporter.runtime.states import PartitionState, SourceState
from exporter.sources.base import Discovery, Source

_log = structlog.get_logger(__name__)
_FORGET_EVERY = 60.0
_LOOK_AGAIN_AFTER = 5.0
_EXAMPLES = 5
"""Partitions that a log line names."""
_TRY_AGAIN_AFTER = 0.05
"""Seconds before a partition that is behind is polled again after a failure; doubled each time."""


class Engine:
    """Polls what the configured sources have; thread-safe.

    It outlives configurations: ``apply`` changes what differs and leaves the rest at work.
    """

    def __init__(self, pipeline: Pipeline, scheduler: Scheduler) -> None:
        self._pipeline = pipeline
        self._ledger = pipeline.ledger
        self._series = pipeline.series
        self._telemetry = pipeline.telemetry
        self._clock = pipeline.clock
        self._scheduler = scheduler
        self._sources: dict[str, SourceState] = {}
        self._guard = threading.RLock()

    @property
    def sources(self) -> list[Source]:
        """The sources at work."""
        with self._guard:
            return [state.source for state in self._sources.values()]

    def apply(
        self,
        sources: Mapping[str, Source],
        rules: Rules,
        ended: Collection[SeriesKey] = (),
        *,
        read_before: Collection[str] = (),
    ) -> None:
        """Work by another configuration: its sources by name, and its rules.

        ``ended``: series that are no more, since rules have changed. ``read_before``: sources of
        which something was ever read.

        A source that is the same object as before goes on undisturbed. The others' partitions are
        looked for at once, and each is polled from when it is found.
        """
        with self._guard:
            before = self._pipeline.rules
            for name, state in list(self._sources.items()):
                if sources.get(name) is not state.source:
                    self._remove(state)
            known = list(self._sources.values())
            self._pipeline.rules = rules
            for name, source in sources.items():
                if name not in self._sources:
                    self._add_source(source, ready=name in read_before)
            for state in known:
                self._initialise(state)
        self._series.end(ended)
        for state in known:
            self._declare_new(state, before, ended)

    def stop(self) -> None:
        """Commit nothing more. Returns when a commit that was under way is done."""
        self._pipeline.stop()

    def unready(self) -> list[str]:
        """The sources that nothing was read from yet, and why: a sentence each."""
        return [
            f"{name}: {state.unread_because}"
            for name, state in list(self._sources.items())
            if not state.ready
        ]

    def states(self, source: str) -> list[PartitionState]:
        """A source's partitions, as they are now."""
        with self._guard:
            state = self._sources.get(source)
            return list(state.partitions.values()) if state else []

    def failures(self, source: str) -> dict[Partition, SourceError]:
        """Where a source's partitions could not be looked for, and why."""
        with self._guard:
            state = self._sources.get(source)
            return dict(state.failures) if state else {}

    def discover(self, source: Source) -> float | None:
        """Look for a source's partitions: take in new ones, drop those that are gone.

        Returns in how many seconds to look again, if that is sooner than usual.
        """
        began = round(self._clock.now() * 1000)
        try:
            discovery = source.discover()
        except Exception as error:
            scope = Partition(source.name)
            discovery = Discovery((), [(scope, _internal_error(scope, error))])
        failures = dict(discovery.failures)
        with self._guard:
            state = self._sources.get(source.name)
            if state is None or state.source is not source:
                return None
            new = [p for p in discovery.partitions if p not in state.partitions]
            places = [source.place] if source.place and not state.discovered else new
        try:
            self._declare(places)
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("declare").inc()
            failures[Partition(source.name)] = SourceError(str(error), reason="ledger")
            new = []
        with self._guard:
            if self._sources.get(source.name) is not state:
                return None
            unread = [partition.key for partition in new if self._add(state, partition)]
            if new:
                self._initialise(state)
                _log.info(
                    "partitions found",
                    source=source.name,
                    found=len(new),
                    never_read=len(unread),
                    examples=", ".join(unread[:_EXAMPLES]) or None,
                )
            unseen = {(s.account_id, s.region) for s in failures if not s.resource}
            for gone in set(state.partitions).difference(discovery.partitions):
                if not unseen & {(gone.account_id, gone.region), ("", gone.region), ("", "")}:
                    self._drop(state, gone, "it no longer exists")
            self._telemetry.partitions.labels(source.name).set(len(state.partitions))
            self._note_failures(state, failures)
            state.discovered = True
            if not unseen:
                state.looked_at = began
            if not (state.partitions or failures):
                self._now_ready(state)
        pause = max(_LOOK_AGAIN_AFTER, source.interval)
        return pause if unseen and pause < source.discovery_interval else None

    def poll(self, source: Source, state: PartitionState, *, turn: float) -> float | None:
        """Read what is due from a partition and note how it went.

        Returns in how many seconds to poll again, if that is sooner than usual. ``turn``: see
        ``Source.poll``.
        """
        partition = state.partition
        began = time.monotonic()
        error: SourceError | LedgerError | None = None
        poll = state.polling = Poll(behind=state.behind, read_up_to=state.read_up_to)
        rules = self._pipeline.rules
        try:
            self._pipeline.poll(
                source,
                partition,
                poll,
                state.arrivals,
                turn=turn,
                wanted=partial(self._is_polled, state),
            )
        except PartitionGoneError as gone:
            with self._guard:
                if self._is_polled(state):
                    self._drop(self._sources[source.name], partition, str(gone))
            return None
        except (SourceError, LedgerError) as failure:
            error = failure
        except Exception as failure:
            error = _internal_error(partition, failure)
        else:
            state.read_by = rules
        if isinstance(error, SourceError) and error.reason == "stopping":
            return None
        if isinstance(error, SourceError) and error.reason == "account_changed":
            self._discover_soon(source)
        return self._note_poll(source, state, poll, error, time.monotonic() - began)

    def _discover_soon(self, source: Source) -> None:
        with self._guard:
            state = self._sources.get(source.name)
            if state is not None:
                state.jobs[0].run_within(max(_LOOK_AGAIN_AFTER, source.interval))

    def _is_polled(self, state: PartitionState) -> bool:
        of = self._sources.get(state.partition.source)
        return of is not None and of.partitions.get(state.partition) is state

    def _add_source(self, source: Source, *, ready: bool) -> None:
        state = self._sources[source.name] = SourceState(source, ready=ready)
        every = self._scheduler.every
        lane = f"housekeeping of {source.name}"
        state.jobs = [
            every(source.discovery_interval, partial(self.discover, source), lane=lane),
            every(_FORGET_EVERY, partial(self._forget, source), lane=lane),
        ]

    def _remove(self, state: SourceState) -> None:
        name = state.source.name
        del self._sources[name]
        for job in state.jobs:
            job.cancel()
        for partition_state in state.partitions.values():
            self._cancel(partition_state)
        self._telemetry.partitions.remove(name)

    def _cancel(self, state: PartitionState) -> None:
        if state.job is not None:
            state.job.cancel()
        self._telemetry.drop_partition(state.partition)

    def _initialise(self, state: SourceState) -> None:
        name = state.source.name
        self._telemetry.initialise(
            name,
            self._pipeline.rules.listeners.get(name, {}),
            {(partition.account_id, partition.region) for partition in state.partitions},
        )

    def _declare_new(self, state: SourceState, before: Rules, ended: Collection[SeriesKey]) -> None:
        """Let series of a source's partitions be 0 that are new, or that have ended."""
        source = state.source
        with self._guard:
            places = [source.place] if source.place else list(state.partitions)
        try:
            self._declare(places, before, ended)
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("declare").inc()
            _log.warning("declaring new series failed", source=source.name, error=str(error))

    def _declare(
        self,
        places: list[Partition],
        before: Rules | None = None,
        ended: Collection[SeriesKey] = (),
    ) -> None:
        """Let the series be 0 that are known before any match. Raises LedgerError.

        ``before``: rules whose series exist already, but for those that have ``ended``.
        """
        rules = self._pipeline.rules.evaluated
        for place in places:
            series = rules.static_series(place)
            known = before.evaluated.static_series(place) if before else {}
            new = {
                rule: key for rule, key in series.items() if known.get(rule) != key or key in ended
            }
            if new:
                self._series.apply(self._ledger.declare(new))

    def _add(self, of: SourceState, partition: Partition) -> bool:
        """Take a partition in, and say whether it was never read."""
        checkpoint = None
        source, now = of.source, self._clock.now()
        state = of.partitions[partition] = PartitionState(partition, Arrivals(round(now * 1000)))
        self._telemetry.found(partition, now)
        try:
            checkpoint = self._ledger.checkpoint(partition)
            state.read_up_to = source.read_up_to(partition, checkpoint)
        except (LedgerError, DamagedCheckpointError):  # its polls say what is wrong with it
            self._telemetry.ledger_errors.labels("read").inc()
        if state.read_up_to is not None:
            self._telemetry.read_up_to(partition, state.read_up_to / 1000)
        lane = f"{partition.source} {partition.account_id} {partition.region}"
        state.job = self._scheduler.every(
            source.interval, partial(self._poll_in_turn, source, state, lane), lane=lane
        )
        return checkpoint is None

    def _poll_in_turn(self, source: Source, state: PartitionState, lane: str) -> float | None:
        """Poll so long that each partition of the lane has its turn once an interval."""
        jobs = max(THREADS, self._scheduler.jobs_in(lane))
        return self.poll(source, state, turn=source.interval * THREADS / jobs)

    def _drop(self, of: SourceState, partition: Partition, why: str) -> None:
        self._cancel(of.partitions.pop(partition))
        _log.warning("partition dropped", source=partition.source, partition=partition.key, why=why)

    def _note_failures(self, of: SourceState, failures: dict[Partition, SourceError]) -> None:
        source = of.source.name
        for scope in of.failures.keys() - failures.keys():
            of.discoveries.pop(scope).succeeded()
        for scope, failure in failures.items():
            if scope not in of.discoveries:
                of.discoveries[scope] = Failures("discovery", source=source, scope=scope.key)
            of.discoveries[scope].failed(failure)
            self._telemetry.discovery_failures.labels(
                source, scope.account_id, scope.region, failure.reason
            ).inc()
        of.failures = failures

    def _note_poll(
        self,
        source: Source,
        state: PartitionState,
        poll: Poll,
        error: SourceError | LedgerError | None,
        duration: float,
    ) -> float | None:
        partition = state.partition
        with self._guard:
            if not self._is_polled(state):
                return None
            of = self._sources[source.name]
            state.attempts += 1
            state.events += poll.events
            state.read_up_to, state.error = poll.read_up_to, error
            state.behind = poll.behind and (poll.readings > 0 or error is not None)
            if error is None or poll.readings > 0:
                self._now_ready(of)
            if error is not None:
                state.failed = 1 if poll.caught_up else state.failed + 1
                state.failures.failed(error)
                self._telemetry.failed(partition)
            elif poll.readings or not self._is_late(source, state):
                state.failed = 0
                state.failures.succeeded()
                state.last_success = self._clock.now()
                self._telemetry.succeeded(partition, state.last_success)
        _log.debug(
            "polled",
            source=partition.source,
            partition=partition.key,
            windows=poll.slices,
            pages=poll.readings,
            events=poll.events,
            new=poll.matches,
            behind=poll.behind,
            ms=round(duration * 1000),
        )
        place = (partition.source, partition.account_id, partition.region)
        outcome = "success" if error is None else "error"
        self._telemetry.polls.labels(*place, outcome).inc()
        self._telemetry.poll_duration.labels(partition.source).observe(duration)
        if not state.behind:
            return None
        if error is None:
            return 0.0
        return min(source.interval, _TRY_AGAIN_AFTER * (1 << min(state.failed, 20)))

    def _now_ready(self, state: SourceState) -> None:
        if not state.ready:
            state.ready = True
            _log.info("source is ready", source=state.source.name)

    def _is_late(self, source: Source, state: PartitionState) -> bool:
        """Whether there was something to read: a poll that reads nothing then is no success."""
        if state.read_up_to is None:
            return False
        return self._clock.now() - state.read_up_to / 1000 > 2 * source.interval

    def _forget(self, source: Source) -> None:
        with self._guard:
            state = self._sources.get(source.name)
            if state is None:
                return
            found = dict(state.partitions)
            # What a partition will bring that was not read by the rules in force is unknown.
            known = all(one.read_by is self._pipeline.rules for one in found.values())
            looked_at = state.looked_at if known else None
        try:
            self._ledger.forget(source.name, found, looked_at=looked_at, memory=source.memory)
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("forget").inc()
            state.forgetting.failed(error)
        else:
            state.forgetting.succeeded()


def _internal_error(partition: Partition, error: Exception) -> SourceError:
    """A fault of ours: isolated to its partition, with its frames in the log."""
    # Its message may hold a part of a log event.
    _log.debug("internal error", partition=str(partition), exc_info=error)
    internal = SourceError(
        f"{partition}: internal error ({type(error).__name__}); the log has the frames,"
        " please report it.",
        reason="internal",
    )
    internal.__cause__ = error
    return internal
