"""Reads an API that selects by event time, without losing events or counting them twice."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
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
from exporter.sources.thinning import Thinning
from exporter.yamlfile.durations import format_duration
from exporter.yamlfile.validation import BetweenFieldsError

_ALL_RULES: Final[frozenset[str]] = frozenset()
_HOUR: Final = 3_600_000
_PAGES: Final = 4
"""Target size of a slice, in pages."""
_MANY_PAGES: Final = 4 * _PAGES
"""Pages after which a slice is retried in shorter pieces."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """The answer of one API call."""

    events: Sequence[LogEvent]
    undecodable: int = 0
    """Number of records that are not log events: without message, time or id."""


class TimelineConfig(SourceConfig):
    """A source whose past is read again, because events arrive late."""

    interval: Interval = 60.0
    lookback: Lookback = 1800.0
    """Allowed lateness of events, at least one interval."""
    start: Start = 0.0
    """Seconds before the first run from which rules count."""

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


@dataclass(slots=True)
class _Pace:
    """The event density of a partition, learned from its answers."""

    thinning: Thinning
    caught_up: bool = False
    """Whether the last poll has read everything that was due."""
    events_per_ms: float | None = None
    page_events: float | None = None
    """Events of a full page; None before the first."""
    slice_length: int = _HOUR
    oldest_first: bool = False
    """The end of a backlog that is read first; changes if a poll leaves a backlog or fails."""

    def learn(self, piece: Window, pages: int, events: int) -> None:
        density = events / piece.length
        before = density if self.events_per_ms is None else self.events_per_ms
        self.events_per_ms = (before + density) / 2
        if pages > 1:
            full = max(1.0, events / pages)
            self.page_events = (full + (self.page_events or full)) / 2
        fitting = max(1, _PAGES * piece.length // pages)
        # A short window is no reason for shorter slices.
        choose = min if pages > _PAGES else max
        self.slice_length = choose(self.slice_length, fitting)

    def full_page(self, most: int) -> float:
        """Events of a full page; ``most``: the maximum that the API returns."""
        return min(most, self.page_events or math.inf)

    def shorten(self, piece: Window, by: int) -> None:
        self.slice_length = max(1, piece.length // by)

    def failed(self, piece: Window) -> None:
        """Continue at the other end, in shorter slices: the same slice may fail again."""
        self.shorten(piece, 2)
        self.oldest_first = not self.oldest_first


class TimelineSource(ABC):
    """A source whose API selects by event time; the past is read again by a schedule.

    ``since`` returns the time when a partition was configured, milliseconds (None if it was with
    this source). ``clock`` returns seconds since the epoch and is never ahead of the API's.
    """

    resolution: int
    """Milliseconds; the API's times are multiples of it."""
    page_size: int
    """Maximum number of log events that a call usually returns."""
    discovery_interval = 300.0
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
        self.memory = round(config.lookback * 1000)
        self._schedule = Schedule(round(config.interval * 1000), self.memory, self.resolution)
        self._start = round(config.start * 1000)
        self._since = since
        self._complete = complete
        self._clock = clock
        self._monotonic = monotonic
        self._loaded = self._now()
        self._paces: dict[str, _Pace] = {}

    @abstractmethod
    def discover(self) -> Discovery:
        """See Source."""

    @abstractmethod
    def pages(self, partition: Partition, start: int, end: int) -> Iterator[EventPage]:
        """Every visible log event with start ≤ time < end, milliseconds, in any order.

        Follows every token, through empty pages. May include events at ``end``. Raises SourceError.
        """

    def created_at(self, partition: Partition) -> int | None:  # noqa: ARG002
        """Creation time of the partition, milliseconds, if the API reports it."""
        return None

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int:
        """See ``Source.read_up_to``; the origin if the partition was never read."""
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
        """Read the windows that are due: fresh events, the backlog, then the past for new rules.

        The reading that completes a slice moves the checkpoint past it.
        """
        began, now = self._monotonic(), self._now()
        pace = self._pace(partition, checkpoint)
        if not self._complete:
            pace.thinning.begin_poll(began, caught_up=pace.caught_up)
        pace.caught_up = False
        schedule = pace.thinning.schedule
        if checkpoint is None:
            progress = Progress(schedule.begin(self._origin(partition, own_starts.values(), now)))
            # Stored before anything is read: a partition that fails for days still begins here.
            yield _reading(EventPage(()), progress, progress, pace, behind=True)
        else:
            progress = Progress.decode(checkpoint, schedule, now)
        progress = progress.with_backfills(own_starts)
        if not self._complete:
            progress = progress.detached(schedule, now)
        work = self._work(progress, now, pace)
        # There may be no fresh window: AWS's times are whole seconds, and failed polls retry soon.
        fresh = work[-1] if work and work[-1][0].end > progress.positions[0] else None
        while work:
            window, backfill = due = work.pop()
            rest = window
            again = progress.was_read(window)
            for page, done in self._read(partition, window, pace):
                after = progress
                if done is not None:
                    rest = Window(done.end, window.end)
                    after = (
                        progress.after_backfill(done)
                        if backfill
                        else progress.after(schedule, done, now)
                    )
                behind = bool(work) or rest.length > 0
                reading = _reading(
                    page, progress, after, pace, backfill, behind=behind, again=again
                )
                if done is not None:
                    reading = replace(reading, completes="fresh" if due is fresh else "older")
                yield reading
                progress = after
                if (
                    done is not None
                    and behind
                    and due is not fresh
                    and self._monotonic() >= began + turn
                ):
                    pace.oldest_first = not pace.oldest_first
                    return
        pace.caught_up = True

    def _pace(self, partition: Partition, checkpoint: str | None) -> _Pace:
        pace = self._paces.get(partition.key)
        if pace is None:
            # After a restart, re-reads stay thinned as they were.
            ages = () if checkpoint is None else Progress.ages(checkpoint)
            pace = self._paces[partition.key] = _Pace(Thinning(self._schedule, ages))
        return pace

    def _work(
        self, progress: Progress, now: int, pace: _Pace
    ) -> list[tuple[Window, frozenset[str]]]:
        """A stack of windows, each with the only rules that count in it (all if empty)."""
        windows = progress.windows(pace.thinning.schedule, now, complete=self._complete)
        if pace.events_per_ms is not None:
            windows = merge(windows, pace.events_per_ms, pace.full_page(self.page_size))
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
            created=self.created_at(partition),
            own_starts=own_starts,
            allowed_lateness=self.memory,
            now=now,
        )
        # A little earlier, so the first poll makes a call and shows if it is allowed.
        return origin - self._schedule.resolution

    def _read(
        self, partition: Partition, window: Window, pace: _Pace
    ) -> Iterator[tuple[EventPage, Window | None]]:
        """Read a window in slices, oldest first; yield each page, and the slice that it completes.

        A slice has a few pages, so little is read again after a crash or an error. A slice of many
        more pages is retried in shorter pieces; the pages that were read count.
        """
        start = window.start
        while start < window.end:
            length = max(pace.slice_length, self._schedule.resolution)
            piece = Window(start, min(start + length, window.end))
            page, pages, events, complete = EventPage(()), 0, 0, True
            try:
                for following in self.pages(partition, piece.start, piece.end):
                    pace.thinning.called(self._monotonic())
                    if pages:
                        yield page, None
                    page, pages = following, pages + 1
                    events += len(page.events)
                    if pages > _MANY_PAGES and piece.length > self._schedule.resolution:
                        complete = False
                        break
            except SourceError as error:
                if error.reason == "throttled":
                    pace.thinning.called(self._monotonic())
                pace.failed(piece)
                raise
            if complete:
                pace.learn(piece, max(pages, 1), events)
                used = pages if pages > 1 else min(1, events / pace.full_page(self.page_size))
                pace.thinning.read(piece.length, used)
                yield page, piece
                start = piece.end
            else:
                pace.shorten(piece, _PAGES)
                yield page, None

    def _now(self) -> int:
        return math.floor(self._clock() * 1000)


def _reading(
    page: EventPage,
    before: Progress,
    after: Progress,
    pace: _Pace,
    backfill: frozenset[str] = _ALL_RULES,
    *,
    behind: bool,
    again: bool = False,
) -> Reading:
    return Reading(
        page.events,
        after.encode(pace.thinning.schedule.ages),
        watermark=before.watermark,
        remember_from=after.remember_from,
        backfill=backfill,
        read_up_to=after.read_up_to,
        behind=behind,
        rereads=pace.thinning.rereads,
        undecodable=page.undecodable,
        again=again,
    )
