"""Reading an API that selects by event time, so that nothing is lost and nothing comes twice."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydantic import model_validator

from exporter import exactness
from exporter.aws.quotas import CallCost
from exporter.model import EventFormat, LogEvent, Partition, SourceError
from exporter.sources.base import Discovery, Reading, SourceConfig
from exporter.sources.options import Interval, Lookback, Start
from exporter.sources.progress import Progress
from exporter.sources.schedule import Schedule, Window, merge
from exporter.yamlfile.durations import format_duration
from exporter.yamlfile.validation import BetweenFieldsError

_ALL_RULES: Final[frozenset[str]] = frozenset()
_HOUR: Final = 3_600_000
_PAGES: Final = 4
"""Pages that a slice should have."""
_MANY_PAGES: Final = 4 * _PAGES
"""Pages after which a slice is given up for a shorter one."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one API call brought."""

    events: Sequence[LogEvent]
    undecodable: int = 0
    """Records that are not log events: no message, no id."""


class TimelineConfig(SourceConfig):
    """A source whose events arrive late, so that its past is read again."""

    interval: Interval = 60.0
    lookback: Lookback = 1800.0
    """How late an event may arrive and still be counted; at least one interval."""
    start: Start = 0.0
    """How far back from now the rules of the first run count; 0: from now on."""

    @model_validator(mode="after")
    def _lookback_covers_interval(self) -> TimelineConfig:
        if self.lookback < self.interval:
            # The key that is written is the one to change.
            field = "lookback" if "lookback" in self.model_fields_set else "interval"
            raise BetweenFieldsError(
                field,
                f"`lookback` must be at least one `interval` ({format_duration(self.interval)}):"
                f" it is {format_duration(self.lookback)}",
            )
        return self

    @property
    def looks_every(self) -> float:
        """Seconds between two looks for partitions."""
        return 300.0


@dataclass(slots=True)
class _Pace:
    """What was learned about the density of a partition."""

    events_per_ms: float | None = None
    page_events: float | None = None
    """Events of a full page; None: there was none yet."""
    slice_length: int = _HOUR
    oldest_first: bool = False
    """Which end of a backlog is read first; changes each time that a poll leaves some or fails."""

    def learn(self, piece: Window, pages: int, events: int) -> None:
        """Learn from a slice that was read."""
        density = events / piece.length
        before = density if self.events_per_ms is None else self.events_per_ms
        self.events_per_ms = (before + density) / 2
        if pages > 1:
            full = max(1.0, events / pages)
            self.page_events = (full + (self.page_events or full)) / 2
        fitting = max(1, _PAGES * piece.length // pages)
        # A short window says nothing against longer slices.
        choose = min if pages > _PAGES else max
        self.slice_length = choose(self.slice_length, fitting)

    def shorten(self, piece: Window, by: int) -> None:
        """Make slices shorter than one that was too long."""
        self.slice_length = max(1, piece.length // by)

    def failed(self, piece: Window) -> None:
        """Go on elsewhere and in shorter slices after one that failed: it may fail again."""
        self.shorten(piece, 2)
        self.oldest_first = not self.oldest_first


class TimelineSource(ABC):
    """A source whose API selects by event time: the past is read again by the schedule.

    ``since``: since when a partition is configured, milliseconds (None: since this source was
    made). ``clock`` gives seconds since the epoch and is never ahead of the API's, ``monotonic``
    seconds from any point on.
    """

    resolution: int
    """Milliseconds: the API's times are whole multiples of it."""
    page_size: int
    """Log events that one call is likely to bring at most."""
    place: Partition | None = None

    def __init__(
        self,
        config: TimelineConfig,
        *,
        since: Callable[[Partition], int | None],
        complete: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = config.name
        self.format: EventFormat = config.format
        self.interval = config.interval
        self.discovery_interval = config.looks_every
        self.memory = round(config.lookback * 1000)
        self._schedule = Schedule(round(config.interval * 1000), self.memory, self.resolution)
        self._start = round(config.start * 1000)
        self._since = since
        self._complete = complete
        self._clock = clock
        self._monotonic = monotonic
        self._loaded = self._now()
        self._paces: dict[str, _Pace] = defaultdict(_Pace)

    @abstractmethod
    def discover(self) -> Discovery:
        """See Source."""

    @abstractmethod
    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible log event with start ≤ time < end, milliseconds, in any order.

        Follows every token, through empty pages; may bring events at ``end`` too. Raises
        SourceError.
        """

    def born(self, partition: Partition) -> int | None:  # noqa: ARG002
        """When the partition was created, milliseconds, if the API says so."""
        return None

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int:
        """See ``Source.read_up_to``; of a partition that was never read, where it begins."""
        if checkpoint is None:
            return self._origin(partition, (), self._now())
        return Progress.decode(checkpoint, self._schedule, self._now()).read_up_to

    def size(self, partition: Partition) -> None:  # noqa: B027 - None is the answer
        """Unknown: APIs do not say."""

    @abstractmethod
    def cost(self, partition: Partition) -> CallCost | None:
        """See Source."""

    def release(self, partition: Partition) -> None:
        """See Source."""
        self._paces.pop(partition.key, None)

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read the windows that are due, what is fresh first, then the past that new rules ask for.

        Each slice is progress: the reading that completes it moves the checkpoint past it.
        """
        ends_at = self._monotonic() + turn
        now = self._now()
        if checkpoint is None:
            progress = Progress(
                self._schedule.begin(self._origin(partition, own_starts.values(), now))
            )
            # Kept before anything is read: a partition that fails for days still begins here.
            yield self._reading(Page(()), progress, progress, behind=True)
        else:
            progress = Progress.decode(checkpoint, self._schedule, now)
        progress = progress.with_backfills(own_starts)
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
            page_events = min(self.page_size, pace.page_events or math.inf)
            windows = merge(windows, pace.events_per_ms, page_events)
        fresh, older = windows[:1], windows[1:]
        if pace.oldest_first:
            older.reverse()
        backfills = [(Window(b.start, b.end), b.rules) for b in progress.backfills]
        order = [*((window, _ALL_RULES) for window in (*fresh, *older)), *backfills]
        return order[::-1]

    def _origin(self, partition: Partition, own_starts: Iterable[int], now: int) -> int:
        since = self._since(partition)
        origin = exactness.origin(
            configured=self._loaded if since is None else since,
            start=self._start,
            created=self.born(partition),
            own_starts=own_starts,
            allowed_lateness=self.memory,
            now=now,
        )
        # A little before: the first poll then has something to ask for, and tells whether it may.
        return origin - self._schedule.resolution

    def _read(
        self, partition: Partition, window: Window, pace: _Pace
    ) -> Iterator[tuple[Page, Window | None]]:
        """Read a window slice by slice, oldest first.

        Each page comes with the slice that it completes, or None. A slice has a few pages, so that
        little is read again after a crash or an error; it is longer if the partition is quiet. A
        slice that has many more pages is given up for a shorter one; what was read of it counts.
        """
        start = window.start
        while start < window.end:
            length = max(pace.slice_length, self._schedule.resolution)
            piece = Window(start, min(start + length, window.end))
            page, pages, events, complete = Page(()), 0, 0, True
            try:
                for following in self.pages(partition, piece.start, piece.end):
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
            watermark=before.watermark,
            remember_from=after.remember_from,
            backfill=backfill,
            read_up_to=after.read_up_to,
            behind=behind,
            undecodable=page.undecodable,
        )

    def _now(self) -> int:
        return math.floor(self._clock() * 1000)
