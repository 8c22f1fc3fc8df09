"""The configured sources at work: their partitions are found and polled by a scheduler."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import structlog

from exporter.ledger.base import LedgerError, Member, SeriesTotal
from exporter.logs import Failures
from exporter.model import (
    DamagedCheckpointError,
    Partition,
    PartitionGoneError,
    SeriesKey,
    SourceError,
)
from exporter.planning.forecast import to_text
from exporter.rules import RuleSet
from exporter.runtime.finding import found, remember
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader
from exporter.runtime.scheduling import Request, Scheduler
from exporter.sources.base import Discovery, Source

_log = structlog.get_logger(__name__)
_FORGET_EVERY = 60.0
_LOOK_AGAIN_AFTER = 5.0
_EXAMPLES = 5
"""Partitions that a log line names."""
_DECLARED_TOGETHER = 5_000
"""Series declared in one transaction: commits wait no longer than that takes."""


@dataclass(slots=True)
class _SourceState:
    """A source at work."""

    source: Source
    ready: bool
    discovery: Request | None = None
    housekeeping: Request | None = None
    readers: dict[Partition, Reader] = field(default_factory=dict)
    failures: dict[Partition, str] = field(default_factory=dict)
    """Where discovery failed, and why."""
    discoveries: dict[Partition, Failures] = field(default_factory=dict)
    discovered: bool = False
    looked_at: int | None = None
    """Milliseconds: when the last look for partitions began that could look everywhere."""
    forgetting: Failures = field(init=False)

    def __post_init__(self) -> None:
        self.forgetting = Failures("forgetting of old matches", source=self.source.name)

    @property
    def unread_because(self) -> str:
        """Why nothing was read from it yet."""
        readers = list(self.readers.values())
        errors = [*list(self.failures.values()), *(r.error for r in readers if r.error)]
        return errors[0] if errors else "it has not been read yet."


class Engine:
    """Polls the partitions of the configured sources; thread-safe.

    It outlives configurations: ``apply`` changes only the differences. The guard is never held
    during I/O, and methods for HTTP handlers do not take it.
    """

    def __init__(self, pipeline: Pipeline, scheduler: Scheduler) -> None:
        self._pipeline = pipeline
        self._ledger = pipeline.ledger
        self._series = pipeline.series
        self._telemetry = pipeline.telemetry
        self._clock = pipeline.clock
        self._scheduler = scheduler
        self._sources: dict[str, _SourceState] = {}
        self._guard = threading.RLock()

    @property
    def sources(self) -> list[Source]:
        """The sources at work."""
        return [state.source for state in list(self._sources.values())]

    def apply(
        self,
        sources: Mapping[str, Source],
        rules: RuleSet,
        ended: Collection[SeriesKey] = (),
        *,
        carried: Collection[SeriesTotal] = (),
        read_before: Collection[str] = (),
    ) -> None:
        """Work by another configuration: its sources by name, and its rules.

        ``ended``: series that edits of rules have ended. ``carried``: the series that
        some of them have become. ``read_before``: sources that were read before.

        A source that is the same object as before continues undisturbed. Partitions of the others
        are discovered at once and polled from then on; the reader of a known partition is kept.
        """
        with self._guard:
            before = self._pipeline.rules
            self._pipeline.rules = rules
            known = [state for name, state in self._sources.items() if name in sources]
            for name in self._sources.keys() - sources.keys():
                self._remove(self._sources.pop(name))
            for name, source in sources.items():
                state = self._sources.get(name)
                if state is None:
                    state = self._sources[name] = _SourceState(source, ready=name in read_before)
                    self._begin(state)
                elif state.source is not source:
                    self._replace(state, source)
                self._telemetry.initialise(name, rules.listening(name))
        self._series.end(ended, carried)
        places = [
            place
            for state in known
            for place in ([state.source.place] if state.source.place else list(state.readers))
        ]
        try:
            self._declare(places, rules, before, ended)
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("declare").inc()
            _log.warning("declaring new series failed", error=str(error))

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

    def readers(self, source: str) -> list[Reader]:
        """The readers of a source's partitions."""
        state = self._sources.get(source)
        return list(state.readers.values()) if state else []

    @property
    def partitions(self) -> int:
        """How many partitions are read."""
        return sum(len(state.readers) for state in list(self._sources.values()))

    def failures(self, source: str) -> dict[Partition, str]:
        """Where discovery of a source's partitions failed, and why."""
        state = self._sources.get(source)
        return dict(state.failures) if state else {}

    def discover(self, source: Source) -> float | None:
        """Look for a source's partitions: take in new ones, drop those that are gone.

        Returns in how many seconds to look again, if that is sooner than usual.
        """
        began = round(self._clock.now() * 1000)
        discovery = found(source, self._ledger, self._telemetry)
        failures = dict(discovery.failures)
        while True:
            rules = self._pipeline.rules
            state = self._sources.get(source.name)
            if state is None or state.source is not source:
                return None
            known = state.readers
            new = [p for p in discovery.partitions if p not in known or known[p].source is None]
            places = [source.place] if source.place and not state.discovered else new
            try:
                self._declare(places, rules)
            except LedgerError as error:
                self._telemetry.ledger_errors.labels("declare").inc()
                failures[Partition(source.name)] = SourceError(str(error), reason="ledger")
                new = []
            made = self._made(state, [p for p in new if p not in known])
            with self._guard:
                # Else their series may be other ones by now.
                if self._pipeline.rules is rules:
                    if self._sources.get(source.name) is not state or state.source is not source:
                        return None
                    state.readers.update(made)
                    self._take(state, new, discovery, failures)
                    break
        unseen = any(not scope.resource for scope in failures)
        if not unseen:
            state.looked_at = began
        pause = max(_LOOK_AGAIN_AFTER, source.interval)
        return pause if unseen and pause < source.discovery_interval else None

    def _take(
        self,
        state: _SourceState,
        new: Collection[Partition],
        discovery: Discovery,
        failures: dict[Partition, SourceError],
    ) -> None:
        """Read new partitions, and drop those that are gone."""
        source = state.source
        readers = [state.readers[partition] for partition in new]
        for reader in readers:
            self._begin_reading(reader, source)
        if readers:
            unread = [reader.partition.key for reader in readers if not reader.begun]
            _log.info(
                "partitions found",
                source=source.name,
                found=len(readers),
                never_read=len(unread),
                examples=", ".join(unread[:_EXAMPLES]) or None,
            )
        for partition in state.readers.keys() - set(discovery.partitions):
            failure = _unseen(partition, failures)
            if failure is None:
                self._drop(state, partition, "it no longer exists")
            elif state.readers[partition].source is None:
                state.readers[partition].cannot_begin(str(failure))
        self._telemetry.partitions.labels(source.name).set(len(state.readers))
        if discovery.accounts:
            self._telemetry.accounts.set(source.name, discovery.accounts)
        self._note_failures(state, failures)
        state.discovered = True
        if not (state.readers or failures):
            self._now_ready(state)

    def _begin(self, state: _SourceState) -> None:
        """Look for a source's partitions, at once and from then on."""
        source, every = state.source, self._scheduler.every
        queue = f"housekeeping of {source.name}"
        state.discovery = every(
            source.discovery_interval, partial(self.discover, source), queue=queue
        )
        state.housekeeping = every(_FORGET_EVERY, partial(self._forget, source), queue=queue)

    def _end(self, state: _SourceState) -> None:
        for request in (state.discovery, state.housekeeping):
            if request is not None:
                request.cancel()

    def _replace(self, state: _SourceState, source: Source) -> None:
        """Continue with a changed source; its partitions are not read until found again."""
        self._end(state)
        for reader in state.readers.values():
            reader.suspend()
        state.source, state.discovered, state.looked_at = source, False, None
        self._begin(state)

    def _remove(self, state: _SourceState) -> None:
        self._end(state)
        for reader in state.readers.values():
            reader.release()
        state.readers.clear()
        self._telemetry.partitions.remove(state.source.name)
        self._telemetry.accounts.set(state.source.name, {})

    def _declare(
        self,
        places: Iterable[Partition],
        rules: RuleSet,
        before: RuleSet | None = None,
        ended: Collection[SeriesKey] = (),
    ) -> None:
        """Let the series be 0 that are known before any match. Raises LedgerError.

        ``before``: rules whose series exist already, except those that have ``ended``.
        """
        series: list[tuple[str, SeriesKey]] = []
        for place in places:
            known = before.static_series(place) if before else {}
            series += [
                (rule, key)
                for rule, key in rules.static_series(place).items()
                if known.get(rule) != key or key in ended
            ]
        for start in range(0, len(series), _DECLARED_TOGETHER):
            part = series[start : start + _DECLARED_TOGETHER]
            self._series.apply(self._ledger.declare(part))

    def _made(
        self, state: _SourceState, partitions: Sequence[Partition]
    ) -> dict[Partition, Reader]:
        """Readers of new partitions."""
        checkpoints: dict[Partition, str] = {}
        try:
            checkpoints = self._ledger.checkpoints(partitions)
        except LedgerError:  # their polls report the error
            self._telemetry.ledger_errors.labels("read").inc()
        made = {}
        for partition in partitions:
            reader = made[partition] = Reader(partition, self._pipeline, on_end=self._polled)
            checkpoint = checkpoints.get(partition)
            reader.begun = checkpoint is not None
            with suppress(DamagedCheckpointError):  # its polls report the error
                reader.meter.read_up_to = state.source.read_up_to(partition, checkpoint)
        remember(state.source, made, self._pipeline)
        return made

    def _begin_reading(self, reader: Reader, source: Source) -> None:
        partition = reader.partition
        reader.source = source
        self._telemetry.read.add(reader.meter)
        reader.request = self._scheduler.every(
            source.interval,
            reader.step,
            queue=f"{partition.source} {partition.account_id} {partition.region}",
            cost=source.cost(partition),
        )

    def _drop(self, state: _SourceState, partition: Partition, why: str) -> None:
        state.readers.pop(partition).release()
        self._telemetry.partitions.labels(partition.source).set(len(state.readers))
        _log.warning("partition dropped", source=partition.source, partition=partition.key, why=why)

    def _polled(self, reader: Reader, error: SourceError | LedgerError | None) -> None:
        """Apply a poll's outcome to the source."""
        with self._guard:
            state = self._sources.get(reader.partition.source)
            if state is None or state.readers.get(reader.partition) is not reader:
                return
            if isinstance(error, PartitionGoneError):
                self._drop(state, reader.partition, str(error))
                return
            changed = isinstance(error, SourceError) and error.reason == "account_changed"
            if changed and state.discovery is not None:
                state.discovery.run_within(max(_LOOK_AGAIN_AFTER, state.source.interval))
            if reader.was_read:
                self._now_ready(state)

    def _note_failures(self, of: _SourceState, failures: dict[Partition, SourceError]) -> None:
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
            # Its frames, which have AWS's answer, would be freed by garbage collection only.
            failure.__cause__ = failure.__context__ = None
            failure.with_traceback(None)
        of.failures = {scope: str(failure) for scope, failure in failures.items()}

    def _now_ready(self, state: _SourceState) -> None:
        if not state.ready:
            state.ready = True
            _log.info("source is ready", source=state.source.name)

    def _forget(self, source: Source) -> None:
        with self._guard:
            rules = self._pipeline.rules
            feed = rules.feed(source.name)
            state = self._sources.get(source.name)
            # One of its sources does it for the feed.
            if state is None or feed.sources[0] != source.name:
                return
            members = [self._member(name, rules) for name in feed.sources]
        try:
            self._ledger.expire(feed.name, members)
        except LedgerError as error:
            self._telemetry.ledger_errors.labels("forget").inc()
            state.forgetting.failed(error)
        else:
            state.forgetting.succeeded()

    def _member(self, name: str, rules: RuleSet) -> Member:
        state = self._sources[name]
        # The events of a partition that was not read by the current rules are unknown.
        known = all(reader.read_by is rules for reader in state.readers.values())
        looked_at = state.looked_at if known else None
        seen = to_text(reader.rates for reader in state.readers.values() if reader.meter.plan)
        return Member(name, list(state.readers), looked_at, state.source.memory, seen)


def _unseen(partition: Partition, failures: Mapping[Partition, SourceError]) -> SourceError | None:
    """Why discovery could not look for a partition; None if it could."""
    source, account_id, region = partition.source, partition.account_id, partition.region
    for scope in (
        Partition(source, account_id, region),
        Partition(source, account_id),
        Partition(source, region=region),
        Partition(source),
    ):
        if scope in failures:
            return failures[scope]
    return None
