"""Reading an API that selects by event time, so that nothing is lost and nothing comes twice."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exporter.events import EventFormat, LogEvent, Partition
from exporter.sources.base import Discovery, Listener, Reading
from exporter.sources.schedule import Schedule, Sweep, Window, merge

_HOUR = 3_600_000
_FEW_PAGES = 4
_MANY_PAGES = 40


@dataclass(frozen=True, slots=True)
class Page:
    """What one API call brought."""

    events: Sequence[LogEvent]
    undecodable: int = 0
    """Records that are no log events: no message, no id."""


class Timeline(Protocol):
    """An API that shows the log events of a partition by their time."""

    resolution: int
    """Milliseconds: the API's times are whole multiples of it."""
    page_size: int
    """Log events that one call is likely to bring at most."""

    def discover(self) -> Discovery:
        """Find the partitions there are now; failures are returned, not raised."""

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible log event with start ≤ time < end, milliseconds, in any order.

        Follows every token, through empty pages; may bring events at ``end`` too. Raises
        SourceError.
        """

    def born(self, partition: Partition) -> int | None:
        """When the partition came into being, milliseconds, where the API knows."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Past that rules with a ``start`` of their own have yet to see."""

    rules: frozenset[str]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Progress:
    """The checkpoint of a partition, as an object."""

    sweep: Sweep
    backfilled: frozenset[str] = frozenset()
    """Rules with a start of their own whose past is read or in ``backfills``. A rule stays here
    when it leaves the configuration: its totals stay too, and must not count that past again."""
    backfills: tuple[Backfill, ...] = ()

    @property
    def remember_from(self) -> int:
        """Events older than this will not be read again."""
        return min([self.sweep[-1], *(backfill.start for backfill in self.backfills)])

    def encode(self, ages: Sequence[int]) -> str:
        """As text. Positions are kept with their age: interval and lookback may change."""
        document: dict[str, object] = {"sweep": list(zip(ages, self.sweep, strict=True))}
        if self.backfilled:
            document["backfilled"] = sorted(self.backfilled)
        if self.backfills:
            document["backfills"] = [[sorted(b.rules), b.start, b.end] for b in self.backfills]
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str, schedule: Schedule, now: int) -> Progress:
        """From text, fitted to the schedule."""
        document = json.loads(text)
        return cls(
            schedule.fit([(age, position) for age, position in document["sweep"]], now),
            frozenset(document.get("backfilled", ())),
            tuple(Backfill(frozenset(r), s, e) for r, s, e in document.get("backfills", ())),
        )


@dataclass(frozen=True, slots=True)
class Timing:
    """When a source is read, in seconds."""

    interval: float
    """Between two polls of a partition."""
    lookback: float
    """How late an event may become visible and still count."""
    start: float = 0
    """How long before it was configured a partition is read from at its first reading."""
    discovery_interval: float = 300
    """Between two looks for partitions."""
    complete: bool = False
    """Whether each poll reads the whole lookback: a single run has no later poll to rely on."""


class TimelineSource:
    """A source over a Timeline: reads each partition's past again by the schedule.

    ``since``: since when a partition is configured, milliseconds (None: since this source was
    made).
    """

    def __init__(
        self,
        timeline: Timeline,
        timing: Timing,
        *,
        name: str,
        format: EventFormat,
        since: Callable[[Partition], int | None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self.format: EventFormat = format
        self.interval = timing.interval
        self.discovery_interval = timing.discovery_interval
        self.place: Partition | None = None
        self.memory = round(timing.lookback * 1000)
        self._timeline = timeline
        self._schedule = Schedule(round(timing.interval * 1000), self.memory, timeline.resolution)
        self._start = round(timing.start * 1000)
        self._since = since
        self._complete = timing.complete
        self._clock = clock
        self._loaded = self._now()
        self._events_per_ms: dict[str, float] = {}
        self._lock = threading.Lock()

    def discover(self) -> Discovery:
        """Find the partitions there are now."""
        return self._timeline.discover()

    def poll(
        self, partition: Partition, checkpoint: str | None, *, rules: Mapping[str, Listener]
    ) -> Iterator[Reading]:
        """Read the windows that are due, freshest first, then the past that new rules ask for."""
        now = self._now()
        if checkpoint is None:
            progress = Progress(self._schedule.begin(self._origin(partition, rules, now)))
            # Kept before anything is read: a partition that fails for days still begins here.
            yield self._reading(Page(()), progress, progress)
        else:
            progress = Progress.decode(checkpoint, self._schedule, now)
        progress = _with_backfills(progress, rules)
        windows = self._schedule.due(progress.sweep, now, complete=self._complete)
        density = self._events_per_ms.get(partition.key)
        if density is not None:
            windows = merge(windows, density, self._timeline.page_size)
        for window in windows:
            for page, swept in self._read(partition, window):
                after = progress
                if swept is not None:
                    sweep = self._schedule.advance(progress.sweep, swept, now)
                    after = replace(progress, sweep=sweep)
                yield self._reading(page, progress, after)
                progress = after
        while progress.backfills:
            backfill, *others = progress.backfills
            for page, swept in self._read(partition, Window(backfill.start, backfill.end)):
                after = progress
                if swept is not None:
                    left = replace(backfill, start=swept.end)
                    rest = (left, *others) if left.start < left.end else tuple(others)
                    after = replace(progress, backfills=rest)
                yield self._reading(page, progress, after, backfill.rules)
                progress = after

    def _origin(self, partition: Partition, rules: Mapping[str, Listener], now: int) -> int:
        """From where a partition is read that was never read.

        ``start`` before it was configured; not before it came into being (less the lookback: its
        first events may be older). A rule with an earlier start of its own has its past read once,
        as a backfill; within the lookback that is not enough, for events that are yet to arrive.
        """
        since = self._since(partition)
        origin = (self._loaded if since is None else since) - self._start
        born = self._timeline.born(partition)
        if born is not None:
            origin = max(origin, born - self.memory)
        own = [rule.start for rule in rules.values() if rule.backfill and rule.start is not None]
        if own:
            origin = min(origin, max(min(own), now - self.memory))
        # A little before: the first poll then has something to ask for, and tells whether it may.
        return origin - self._schedule.resolution

    def _read(self, partition: Partition, window: Window) -> Iterator[tuple[Page, Window | None]]:
        """Read a window slice by slice, oldest first.

        Each page comes with the slice that it completes, or None. Slices keep what a crash or a
        failing API makes us read again small; they grow where the partition is quiet.
        """
        start, length, events = window.start, _HOUR, 0
        while start < window.end:
            piece = Window(start, min(start + length, window.end))
            page, pages = Page(()), 0
            for following in self._timeline.pages(partition, piece.start, piece.end):
                if pages:
                    yield page, None
                page, pages = following, pages + 1
                events += len(page.events)
            yield page, piece
            start = piece.end
            if pages <= _FEW_PAGES:
                length *= 4
            elif pages > _MANY_PAGES:
                length = max(length // 2, self._timeline.resolution)
        self._learn(partition, events / window.length)

    def _learn(self, partition: Partition, events_per_ms: float) -> None:
        with self._lock:
            before = self._events_per_ms.get(partition.key, events_per_ms)
            self._events_per_ms[partition.key] = (before + events_per_ms) / 2

    def _reading(
        self,
        page: Page,
        before: Progress,
        after: Progress,
        backfill: frozenset[str] = frozenset(),
    ) -> Reading:
        return Reading(
            page.events,
            after.encode(self._schedule.ages),
            horizon=before.sweep[-1],
            remember_from=after.remember_from,
            backfill=backfill,
            undecodable=page.undecodable,
        )

    def _now(self) -> int:
        return round(self._clock() * 1000)


def _with_backfills(progress: Progress, rules: Mapping[str, Listener]) -> Progress:
    """Ask for the past of rules that have a start of their own and are new to the partition."""
    new = {
        name: rule.start
        for name, rule in rules.items()
        if rule.backfill and rule.start is not None and name not in progress.backfilled
    }
    if not new:
        return progress
    end = progress.sweep[0]
    start = min(new.values())
    past = () if start >= end else (Backfill(frozenset(new), start, end),)
    return replace(
        progress,
        backfilled=progress.backfilled | new.keys(),
        backfills=(*progress.backfills, *past),
    )
