"""When which part of a partition's past is read again: pure functions of times.

An API that selects by event time shows an event late: CloudTrail minutes later, a log agent that
was offline hours later. So each slice of event time is read when it is fresh and again at ages that
grow by a factor, up to the lookback. The state is one position for each age level: the event time
up to which it has read. After a stop of any length the windows are wider.

An event that becomes visible ``d`` after its time, d ≤ lookback, is found at an age of at most
2·d + 2 intervals, by at most ``len(ages)`` reads of its time (more only if windows are merged).

All times are milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

Sweep = tuple[int, ...]
"""For each age level, youngest first: event times before this were read at that age or later."""

_FRESH_INTERVALS = 2
"""What is fresh is at most so many intervals old."""
_BACKLOG_INTERVALS = 2
"""Less than so many unread intervals before that are no backlog: the poll came a little late."""

_JOINED_PAGES = 4
"""Pages that windows may take when they are read as one."""

_SWEEPS_PER_AGE = 3
"""A level of age ``a`` reads every ``a / 3``, not every interval: far fewer calls for old slices.
Three keeps the bound: 1.5·d (the next level) + 0.5·d (its period)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Event time to read: start ≤ time < end."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Its length in milliseconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a backlog, with its own positions."""

    sweep: Sweep
    end: int
    """Exclusive; what is younger belongs to a younger span."""

    @property
    def done(self) -> bool:
        """Whether it was read for the last time."""
        return self.sweep[-1] >= self.end


@dataclass(frozen=True)
class Schedule:
    """The age levels of a partition, and what they have to read.

    ``interval``: between two polls. ``lookback``: how late an event may become visible.
    ``resolution``: positions are whole multiples of it. ``factor``: growth of the ages.
    """

    interval: int
    lookback: int
    resolution: int = 1
    factor: float = 1.5

    @cached_property
    def ages(self) -> tuple[int, ...]:
        """The ages at which a slice is read: 0, the interval, … and the lookback."""
        ages = [0]
        age = float(self.interval)
        while age < self.lookback:
            ages.append(round(age))
            age *= self.factor
        return (*ages, self.lookback)

    def begin(self, origin: int) -> Sweep:
        """The positions of a new partition: everything from ``origin`` is due."""
        return (self._floor(origin),) * len(self.ages)

    def due(
        self, sweep: Sweep, now: int, *, end: int | None = None, complete: bool = False
    ) -> list[Window]:
        """The windows to read now, newest first; no two touch.

        ``end``: of the positions' span. ``complete``: the whole lookback, even if it was just read.
        """
        last = self._floor(now) if end is None else min(end, self._floor(now))
        if complete:
            windows = [Window(sweep[-1], last)]
        else:
            windows = [
                Window(position, min(last, self._floor(now - age)))
                for age, position in zip(self.ages, sweep, strict=True)
                if now - age - position >= self._patience(age)
                or (end is not None and now - age >= end)
            ]
        return _joined(window for window in windows if window.length > 0)

    def detach(self, sweep: Sweep, now: int) -> tuple[Sweep, Span | None]:
        """Split off a backlog, so that fresh events need not wait for it.

        Returns the positions for what is fresh, and the backlog's span if there is one.
        """
        fresh = self._floor(now - _FRESH_INTERVALS * self.interval)
        if fresh - sweep[0] < _BACKLOG_INTERVALS * self.interval:
            return sweep, None
        return self.begin(fresh), Span(sweep, fresh)

    def _patience(self, age: int) -> float:
        """How much must be unread at a level before it is due; half an interval is slack."""
        if age == 0:
            return 0
        return max(self.interval, age / _SWEEPS_PER_AGE) - self.interval / 2

    def advance(
        self, sweep: Sweep, window: Window, read_at: int, *, end: int | None = None
    ) -> Sweep:
        """The positions after a window was read completely, beginning at ``read_at``.

        A level moves only if the window leaves no gap before it, as far as the slices were old
        enough for it, within the span that ends at ``end``.
        """
        last = window.end if end is None else min(window.end, end)
        return tuple(
            max(position, min(last, self._floor(read_at - age)))
            if window.start <= position
            else position
            for age, position in zip(self.ages, sweep, strict=True)
        )

    def fit(self, levels: Iterable[tuple[int, int]]) -> Sweep:
        """Take over positions, as (age, position), of another interval or lookback.

        A slice that was read at an age counts as read at every younger age. Older levels get the
        position of the oldest: what is before it is no longer remembered, so it must not be read.
        """
        known = sorted(levels)
        oldest = known[-1][1]
        return tuple(
            max((position for old, position in known if old >= age), default=oldest)
            for age in self.ages
        )

    def take_back(self, sweep: Sweep, now: int, *, ahead: int) -> Sweep:
        """The positions after AWS's clock turned out to have been ``ahead``.

        Slices may have been read at a younger age than their level's, so each level goes back by as
        much, at most by a lookback. Older than two lookbacks a slice was old enough in any case,
        and may no longer be remembered.
        """
        back = ahead if ahead <= 2 * self.interval else self.lookback
        certain = self._floor(now - 2 * self.lookback)
        return tuple(
            max(self._floor(min(position, now - age) - back), min(position, certain))
            for age, position in zip(self.ages, sweep, strict=True)
        )

    def _floor(self, time: int) -> int:
        return time // self.resolution * self.resolution


def merge(windows: list[Window], events_per_ms: float, page_size: float) -> list[Window]:
    """Join windows, newest first, if reading the gap between them costs no further page.

    A quiet partition then costs one call a poll. Windows of many pages are not joined: the newest
    must not wait for a backlog.
    """

    def pages(window: Window) -> int:
        return max(1, math.ceil(window.length * events_per_ms / page_size))

    merged: list[Window] = []
    for window in windows:
        if merged:
            joined = Window(min(window.start, merged[-1].start), merged[-1].end)
            if pages(joined) <= min(_JOINED_PAGES, pages(window) + pages(merged[-1])):
                merged[-1] = joined
                continue
        merged.append(window)
    return merged


def _joined(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch; newest first."""
    joined: list[Window] = []
    for window in sorted(windows, key=lambda window: window.end, reverse=True):
        if joined and window.end >= joined[-1].start:
            joined[-1] = Window(min(window.start, joined[-1].start), joined[-1].end)
        else:
            joined.append(window)
    return joined
