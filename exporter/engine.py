"""One loaded configuration at work: its partitions are found and polled by a scheduler."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from exporter.errors import PartitionGoneError, SourceError
from exporter.events import Partition
from exporter.failures import Failures
from exporter.ledger.base import Ledger, LedgerError
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.pipeline import Pipeline
from exporter.sources.base import Discovery, Source

_log = structlog.get_logger(__name__)
_FORGET_EVERY = 60.0
_LOOK_AGAIN_AFTER = 5.0
_POLLS_AT_ONCE = 8
"""Threads for each source and region. They wait for AWS or for a quota, not for a core; a region
that hangs keeps its own threads waiting and nobody else's."""


@dataclass(slots=True)
class PartitionState:
    """How the reading of a partition goes."""

    partition: Partition
    attempts: int = 0
    events: int = 0
    """Log events read."""
    last_success: float | None = None
    """Seconds since the epoch."""
    error: SourceError | LedgerError | None = None
    """Why the last attempt failed; None: it did not, or there was none."""
    failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        source, key = self.partition.source, self.partition.key
        self.failures = Failures("poll", source=source, partition=key)


class PartitionLocks:
    """One lock a partition, over all engines: after a reload two know the same partition."""

    def __init__(self) -> None:
        self._locks: dict[Partition, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def of(self, partition: Partition) -> threading.Lock:
        """The partition's lock."""
        with self._guard:
            return self._locks[partition]


class Lanes:
    """The threads that poll: some for each source and region, over all engines."""

    def __init__(self, scheduler: BackgroundScheduler) -> None:
        self._scheduler = scheduler
        self._known: set[str] = set()
        self._guard = threading.Lock()

    def of(self, partition: Partition) -> str:
        """The name of the executor that polls a partition."""
        lane = f"{partition.source} {partition.region}"
        with self._guard:
            if lane not in self._known:
                self._scheduler.add_executor(ThreadPoolExecutor(_POLLS_AT_ONCE), lane)
                self._known.add(lane)
        return lane


class Engine:
    """Polls what a configuration's sources have; thread-safe.

    Made, started once and stopped once; a reload makes another.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        pipeline: Pipeline,
        *,
        locks: PartitionLocks,
        lanes: Lanes,
        scheduler: BackgroundScheduler,
    ) -> None:
        self.sources = sources
        self._pipeline = pipeline
        self._ledger: Ledger = pipeline.ledger
        self._series: SeriesStore = pipeline.series
        self._telemetry: Telemetry = pipeline.telemetry
        self._locks = locks
        self._lanes = lanes
        self._scheduler = scheduler
        self._states: dict[str, dict[Partition, PartitionState]] = {s.name: {} for s in sources}
        self._failures: dict[str, dict[Partition, SourceError]] = {s.name: {} for s in sources}
        self._discoveries: dict[Partition, Failures] = {}
        self._forgetting = {
            s.name: Failures("forgetting of old matches", source=s.name) for s in sources
        }
        self._undiscovered = {source.name for source in sources}
        self._looked: dict[str, float] = {}
        """By source: when the last look for partitions began that could look everywhere."""
        self._guard = threading.RLock()
        self._stopped = False

    def start(self) -> None:
        """Look for partitions at once and from then on; each is polled from when it is found."""
        for source in self.sources:
            self._schedule("discover", source.discovery_interval, self.discover, source)
            self._schedule("forget", _FORGET_EVERY, self._forget, source)

    def stop(self) -> None:
        """Commit nothing more. Returns when a commit that was under way is done."""
        with self._guard:
            self._stopped = True
            for job in self._scheduler.get_jobs():
                if job.id.startswith(self._job_prefix):
                    job.remove()
            for source, states in self._states.items():
                self._telemetry.partitions.remove(source)
                for partition in states:
                    self._telemetry.drop_partition(partition)
        self._pipeline.stop()

    @property
    def attempted(self) -> bool:
        """Whether every partition has finished its first attempt."""
        with self._guard:
            return not self._undiscovered and all(
                state.attempts for states in self._states.values() for state in states.values()
            )

    def states(self, source: str) -> list[PartitionState]:
        """A source's partitions, as they are now."""
        with self._guard:
            return list(self._states[source].values())

    def failures(self, source: str) -> dict[Partition, SourceError]:
        """Where a source's partitions could not be looked for, and why."""
        with self._guard:
            return dict(self._failures[source])

    def next_poll(self, partition: Partition) -> datetime | None:
        """When a partition is polled next."""
        job = self._scheduler.get_job(self._job("poll", partition.source, partition.key))
        moment: datetime | None = getattr(job, "next_run_time", None)
        return moment

    def discover(self, source: Source) -> None:
        """Look for a source's partitions: take in new ones, drop those that are gone."""
        began = time.time()
        try:
            discovery = source.discover()
        except Exception as error:
            scope = Partition(source.name)
            discovery = Discovery((), [(scope, _internal_error(scope, error))])
        failures = dict(discovery.failures)
        with self._guard:
            if self._stopped:
                return
            known = self._states[source.name]
            try:
                if source.place is not None and source.name in self._undiscovered:
                    self._declare(source.place)
                for partition in discovery.partitions:
                    if partition not in known:
                        self._add(source, partition)
            except LedgerError as error:
                self._telemetry.ledger_errors.labels("declare").inc()
                failures[Partition(source.name)] = SourceError(str(error), reason="ledger")
            places = {(s.account_id, s.region) for s in failures if s.log_group is None}
            for partition in set(known).difference(discovery.partitions):
                if not places & {(partition.account_id, partition.region), ("", "")}:
                    self._drop(partition, "it no longer exists")
            self._telemetry.partitions.labels(source.name).set(len(known))
            self._note_failures(source, failures)
            if places:
                self._discover_soon(source)
            else:
                self._looked[source.name] = began
            self._undiscovered.discard(source.name)

    def poll(self, source: Source, partition: Partition) -> None:
        """Read what is due from a partition and note how it went."""
        lock = self._locks.of(partition)
        if not lock.acquire(blocking=False):
            return  # An engine that is being stopped still holds it; the next poll comes.
        began = time.monotonic()
        error: SourceError | LedgerError | None = None
        events = 0
        try:
            events = self._pipeline.poll(source, partition)
        except PartitionGoneError as gone:
            with self._guard:
                self._drop(partition, str(gone))
        except (SourceError, LedgerError) as failure:
            error = failure
        except Exception as failure:
            error = _internal_error(partition, failure)
        finally:
            lock.release()
        if isinstance(error, SourceError) and error.reason == "stopping":
            return
        self._note_poll(partition, events, error, time.monotonic() - began)

    def _add(self, source: Source, partition: Partition) -> None:
        self._declare(partition)
        self._states[source.name][partition] = PartitionState(partition)
        self._telemetry.initialise(
            source.name,
            self._pipeline.listeners[source.name],
            [(partition.account_id, partition.region)],
        )
        self._schedule("poll", source.interval, self.poll, source, partition)
        _log.info("partition found", source=source.name, partition=partition.key)

    def _declare(self, place: Partition) -> None:
        """Let the series stand at 0 that are known before any match. Raises LedgerError."""
        self._series.apply(self._ledger.declare(self._pipeline.rules.static_series(place)))

    def _drop(self, partition: Partition, why: str) -> None:
        if self._states[partition.source].pop(partition, None) is None:
            return
        job = self._scheduler.get_job(self._job("poll", partition.source, partition.key))
        if job is not None:
            job.remove()
        self._telemetry.drop_partition(partition)
        _log.warning("partition dropped", source=partition.source, partition=partition.key, why=why)

    def _note_failures(self, source: Source, failures: dict[Partition, SourceError]) -> None:
        for scope in self._failures[source.name].keys() - failures.keys():
            self._discoveries[scope].succeeded()
        for scope, failure in failures.items():
            if scope not in self._discoveries:
                self._discoveries[scope] = Failures(
                    "discovery", source=source.name, scope=scope.key
                )
            self._discoveries[scope].failed(failure)
            self._telemetry.discovery_failures.labels(
                source.name, scope.account_id, scope.region, failure.reason
            ).inc()
        self._failures[source.name] = failures

    def _note_poll(
        self,
        partition: Partition,
        events: int,
        error: SourceError | LedgerError | None,
        duration: float,
    ) -> None:
        with self._guard:
            state = self._states[partition.source].get(partition)
            if state is None or self._stopped:
                return
            state.attempts += 1
            state.events += events
            state.error = error
            if error is None:
                state.failures.succeeded()
                state.last_success = time.time()
                self._telemetry.succeeded(partition, state.last_success)
            else:
                state.failures.failed(error)
                self._telemetry.failed(partition)
        place = (partition.source, partition.account_id, partition.region)
        outcome = "success" if error is None else "error"
        self._telemetry.polls.labels(*place, outcome).inc()
        self._telemetry.poll_duration.labels(partition.source).observe(duration)

    def _forget(self, source: Source) -> None:
        with self._guard:
            states = self.states(source.name)
            looked = self._looked.get(source.name)
        if not all(state.last_success for state in states):
            looked = None  # What one will bring that was not read yet is unknown.
        try:
            self._ledger.forget(
                source.name,
                [state.partition for state in states],
                looked_at=None if looked is None else round(looked * 1000),
                memory=source.memory,
            )
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("forget").inc()
            self._forgetting[source.name].failed(error)
        else:
            self._forgetting[source.name].succeeded()

    def _discover_soon(self, source: Source) -> None:
        """Look again before the next turn where nobody could look this time."""
        job = self._scheduler.get_job(self._job("discover", source.name))
        pause = max(_LOOK_AGAIN_AFTER, source.interval)
        if job is not None and source.discovery_interval > pause:
            job.modify(next_run_time=datetime.now(UTC) + timedelta(seconds=pause))

    def _schedule(
        self, what: str, seconds: float, call: object, source: Source, *more: Partition
    ) -> None:
        self._scheduler.add_job(
            call,
            "interval",
            seconds=seconds,
            args=(source, *more),
            id=self._job(what, source.name, *(partition.key for partition in more)),
            executor=self._lanes.of(*more) if more else "default",
            next_run_time=datetime.now(UTC),
        )

    @property
    def _job_prefix(self) -> str:
        return f"{id(self)}:"

    def _job(self, *names: str) -> str:
        return self._job_prefix + ":".join(names)


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
