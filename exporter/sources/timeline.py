"""Reading an API that selects by event time, so that nothing is lost and nothing comes twice."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from exporter.aws.quotas import CallCost
from exporter.model import EventFormat, LogEvent, Partition, SourceError
from exporter.sources.base import Discovery, Listener, Reading
from exporter.sources.progress import Progress
from exporter.sources.schedule import Schedule, Window, merge

_ALL_RULES: Final[frozenset[str]] = frozenset()
_HOUR: Final = 3_600_000
_PAGES: Final = 4
"""Pages that a slice shall hold."""
_MANY_PAGES: Final = 4 * _PAGES
"""Pages after which a slice is given up for a shorter one."""


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

    def cost(self, partition: Partition) -> CallCost | None:
        """What each call for a partition takes of a quota; None: nothing."""

    def born(self, partition: Partition) -> int | None:
        """When the partition came into being, milliseconds, where the API knows."""


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


@dataclass(slots=True)
class _Pace:
    """What was learned of how much a partition holds."""

    events_per_ms: float | None = None
    page_events: float | None = None
    """Events of a page; None: none was full yet."""
    slice_length: int = _HOUR
    oldest_first: bool = False
    """Of what is not fresh: changes each time that a poll leaves something or fails, so that
    neither end of a backlog waits for the other."""

    def learn(self, piece: Window, pages: int, events: int) -> None:
        """Take in a slice that was read."""
        density = events / piece.length
        before = density if self.events_per_ms is None else self.events_per_ms
        self.events_per_ms = (before + density) / 2
        if pages > 1:
            full = max(1.0, events / pages)
            self.page_events = (full + (self.page_events or full)) / 2
        fitting = max(1, _PAGES * piece.length // pages)
        # A window may be shorter than a slice: what fits into it tells nothing against longer ones.
        choose = min if pages > _PAGES else max
        self.slice_length = choose(self.slice_length, fitting)

    def shorten(self, piece: Window, by: int) -> None:
        """Make slices shorter than one that was too long."""
        self.slice_length = max(1, piece.length // by)

    def failed(self, piece: Window) -> None:
        """Go on elsewhere and in shorter slices after one that failed: it may fail again."""
        self.shorten(piece, 2)
        self.oldest_first = not self.oldest_first


class TimelineSource:
    """A source over a Timeline: reads each partition's past again by the schedule.

    ``since``: since when a partition is configured, milliseconds (None: since this source was
    made). ``clock`` gives seconds since the epoch and is never ahead of the API's, ``monotonic``
    seconds from any point on.
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
        monotonic: Callable[[], float] = time.monotonic,
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
        self._monotonic = monotonic
        self._loaded = self._now()
        self._paces: dict[str, _Pace] = defaultdict(_Pace)

    def discover(self) -> Discovery:
        """Find the partitions there are now."""
        return self._timeline.discover()

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int:
        """See ``Source.read_up_to``; of a partition that was never read, where it begins."""
        if checkpoint is None:
            return self._origin(partition, {}, self._now())
        return Progress.decode(checkpoint, self._schedule, self._now()).read_up_to

    def size(self, partition: Partition) -> None:
        """Unknown: an API does not tell."""

    def cost(self, partition: Partition) -> CallCost | None:
        """See ``Source.cost``."""
        return self._timeline.cost(partition)

    def release(self, partition: Partition) -> None:
        """See ``Source.release``."""
        self._paces.pop(partition.key, None)

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        rules: Mapping[str, Listener],
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read the windows that are due, what is fresh first, then the past that new rules ask for.

        Each slice is progress: the reading that completes it moves the checkpoint past it.
        """
        ends_at = self._monotonic() + turn
        now = self._now()
        if checkpoint is None:
            progress = Progress(self._schedule.begin(self._origin(partition, rules, now)))
            # Kept before anything is read: a partition that fails for days still begins here.
            yield self._reading(Page(()), progress, progress, behind=True)
        else:
            progress = Progress.decode(checkpoint, self._schedule, now)
        progress = progress.with_backfills(rules)
        if not self._complete:
            progress = progress.detached(self._schedule, now)
        pace = self._paces[partition.key]
        work = self._work(progress, now, pace)
        # Nothing may be fresh: AWS's times are whole seconds, and a failed poll is tried sooner.
        fresh = work[-1] if work and work[-1][0].end > progress.sweep[0] else None
        while work:
            window, backfill = due = work.pop()
            rest = window
            for page, swept in self._read(partition, window, pace):
                after = progress
                if swept is not None:
                    rest = Window(swept.end, window.end)
                    after = (
                        progress.after_backfill(swept)
                        if backfill
                        else progress.after(self._schedule, swept, now)
                    )
                behind = bool(work) or rest.length > 0
                reading = self._reading(page, progress, after, backfill, behind=behind)
                if swept is not None:
                    reading = replace(reading, completes="fresh" if due is fresh else "older")
                yield reading
                progress = after
                if (
                    swept is not None
                    and behind
                    and due is not fresh
                    and self._monotonic() >= ends_at
                ):
                    pace.oldest_first = not pace.oldest_first
                    return

    def _work(
        self, progress: Progress, now: int, pace: _Pace
    ) -> list[tuple[Window, frozenset[str]]]:
        """The windows to read, and for which rules only (empty: all); the next one is the last."""
        windows = progress.windows(self._schedule, now, complete=self._complete)
        if pace.events_per_ms is not None:
            page_events = min(self._timeline.page_size, pace.page_events or math.inf)
            windows = merge(windows, pace.events_per_ms, page_events)
        fresh, older = windows[:1], windows[1:]
        if pace.oldest_first:
            older.reverse()
        backfills = [(Window(b.start, b.end), b.rules) for b in progress.backfills]
        order = [*((window, _ALL_RULES) for window in (*fresh, *older)), *backfills]
        return order[::-1]

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
        return min(origin, now) - self._schedule.resolution

    def _read(
        self, partition: Partition, window: Window, pace: _Pace
    ) -> Iterator[tuple[Page, Window | None]]:
        """Read a window slice by slice, oldest first.

        Each page comes with the slice that it completes, or None. Slices hold a few pages each, so
        that a crash or a failing API makes us read little again; they grow where the partition is
        quiet. A slice that turns out to hold many more is given up for a shorter one: what it has
        brought is counted and is not lost.
        """
        start = window.start
        while start < window.end:
            length = max(pace.slice_length, self._schedule.resolution)
            piece = Window(start, min(start + length, window.end))
            page, pages, events, complete = Page(()), 0, 0, True
            try:
                for following in self._timeline.pages(partition, piece.start, piece.end):
                    if pages:
                        yield page, None
                    page, pages = following, pages + 1
                    events += len(page.events)
                    if pages > _MANY_PAGES and piece.length > self._schedule.resolution:
                        complete = False
                        break
            except SourceError:
                pace.failed(piece)
                raise
            if complete:
                pace.learn(piece, max(pages, 1), events)
                yield page, piece
                start = piece.end
            else:
                pace.shorten(piece, _PAGES)
                yield page, None

    def _reading(
        self,
        page: Page,
        before: Progress,
        after: Progress,
        backfill: frozenset[str] = _ALL_RULES,
        *,
        behind: bool,
    ) -> Reading:
        return Reading(
            page.events,
            after.encode(self._schedule.ages),
            horizon=before.horizon,
            remember_from=after.remember_from,
            backfill=backfill,
            read_up_to=after.read_up_to,
            behind=behind,
            undecodable=page.undecodable,
        )

    def _now(self) -> int:
        return math.floor(self._clock() * 1000)
