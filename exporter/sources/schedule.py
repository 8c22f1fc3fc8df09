"""The schedule by which the past of a partition is read again: pure functions of milliseconds.

APIs that select by event time show events late. So each slice of event time is read when it is
fresh, and again at growing ages up to the lookback. The state is one position for each age level:
the event time up to which it has read. After a stop the windows are wider.

An event that becomes visible ``d`` after its time, d ≤ lookback, is found at an age of at most
2·d + 2 intervals, by at most ``len(ages)`` reads of its time (more only if windows are merged).
A thinned schedule has fewer ages between the first and the last: late events are found later, at
the end of the lookback at the latest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

Positions = tuple[int, ...]
"""For each age level, youngest first: event times before this were read at that age or later."""

_FRESH_INTERVALS = 2
"""Age of the oldest fresh slice, in intervals."""
_BACKLOG_INTERVALS = 2
"""Fewer unread intervals before that are not a backlog: the poll was a little late."""
_JOINED_PAGES = 4
"""Maximum pages of merged windows."""
_FACTOR = 1.5
"""Growth of the ages, if the API allows all reads."""
_READS_PER_AGE = 3
"""A level of age ``a`` reads every ``a / 3`` instead of every interval, which saves most calls for
old slices. Three keeps the bound: 1.5·d (the next level) + 0.5·d (its period)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Event time to read: start ≤ time < end."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Milliseconds."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class BacklogSpan:
    """A part of a backlog, with its own positions."""

    positions: Positions
    end: int
    """Exclusive; later event times belong to a younger span."""

    @property
    def done(self) -> bool:
        """Whether the span was read at every age."""
        return self.positions[-1] >= self.end


@dataclass(frozen=True)
class Schedule:
    """The age levels of a partition, and the windows that they have to read.

    ``interval``: between two polls. ``lookback``: allowed lateness of an event. ``resolution``:
    positions are multiples of it. ``factor``: growth of the ages. The first reads after the fresh
    one are left out first.
    """

    interval: int
    lookback: int
    resolution: int = 1
    factor: float = _FACTOR

    @cached_property
    def ages(self) -> tuple[int, ...]:
        """The ages at which a slice is read: 0, the interval, … and the lookback."""
        ages = [0]
        age = self.interval * self.factor / _FACTOR
        while age < self.lookback:
            ages.append(round(age))
            age *= self.factor
        return (*ages, self.lookback)

    @cached_property
    def thinned(self) -> tuple[Schedule, ...]:
        """Itself and its thinned forms, each with fewer ages; the last has 0 and the lookback."""
        forms = [self]
        factor = self.factor
        while len(forms[-1].ages) > len((0, self.lookback)):
            factor *= _FACTOR
            form = replace(self, factor=factor)
            if len(form.ages) < len(forms[-1].ages):
                forms.append(form)
        return tuple(forms)

    def pages(self, pages_per_ms: float, extra: float = 0.0) -> float:
        """The pages to read in an interval, about, at a density of event time.

        ``extra``: pages of each window in addition.
        """
        periods = [max(self.interval, age / _READS_PER_AGE) for age in self.ages]
        windows = sum((max(1, period * pages_per_ms) + extra) / period for period in periods)
        # Windows that overlap are read once, and gaps that need no further page are read too.
        whole = max(1, (self.lookback + self.interval) * pages_per_ms)
        return min(windows * self.interval, whole + extra)

    def begin(self, origin: int) -> Positions:
        """The positions of a new partition, which is read from ``origin``."""
        return (self._floor(origin),) * len(self.ages)

    def due(
        self, positions: Positions, now: int, *, end: int | None = None, complete: bool = False
    ) -> list[Window]:
        """The windows to read now, newest first; no two overlap.

        ``end`` is the end of the span. ``complete`` returns the whole lookback, even if it was just
        read. The fresh window of a span without an end is never joined with older ones, which
        would be read before it.
        """
        last = self._floor(now) if end is None else min(end, self._floor(now))
        if complete:
            windows = [Window(positions[-1], last)]
        else:
            windows = [
                Window(position, min(last, self._floor(now - age)))
                for age, position in zip(self.ages, positions, strict=True)
                if now - age - position >= self._patience(age)
                or (end is not None and now - age >= end)
            ]
        fresh: list[Window] = []
        if end is None and not complete:
            fresh = [window for window in windows[:1] if window.start == positions[0]]
            older = windows[len(fresh) :]
            windows = [replace(window, end=min(window.end, positions[0])) for window in older]
        return [
            *(window for window in fresh if window.length > 0),
            *_joined(window for window in windows if window.length > 0),
        ]

    def detach(self, positions: Positions, now: int) -> tuple[Positions, BacklogSpan | None]:
        """Return the positions for fresh events, and a separate span for the backlog, if any."""
        fresh = self._floor(now - _FRESH_INTERVALS * self.interval)
        if fresh - positions[0] < _BACKLOG_INTERVALS * self.interval:
            return positions, None
        return self.begin(fresh), BacklogSpan(positions, fresh)

    def _patience(self, age: int) -> float:
        """Unread time after which a level is due; half an interval is slack."""
        if age == 0:
            return 0
        return max(self.interval, age / _READS_PER_AGE) - self.interval / 2

    def advance(
        self, positions: Positions, window: Window, read_at: int, *, end: int | None = None
    ) -> Positions:
        """The positions after a window was read completely; the reading began at ``read_at``.

        A level moves only if there is no gap before the window, up to the slices that were old
        enough, and within the span that ends at ``end``.
        """
        last = window.end if end is None else min(window.end, end)
        return tuple(
            max(position, min(last, self._floor(read_at - age)))
            if window.start <= position
            else position
            for age, position in zip(self.ages, positions, strict=True)
        )

    def fit(self, levels: Iterable[tuple[int, int]]) -> Positions:
        """Convert positions, as (age, position), of another interval or lookback.

        A slice that was read at an age counts as read at every younger age. Older levels get the
        position of the oldest level: matches before it may have expired, so it must not be read.
        """
        known = sorted(levels)
        oldest = known[-1][1]
        return tuple(
            max((position for old, position in known if old >= age), default=oldest)
            for age in self.ages
        )

    def take_back(self, positions: Positions, now: int, *, ahead: int) -> Positions:
        """The positions after the clock was found to have been ``ahead``.

        Slices may have been read too young, so each level moves back by that time, at most by a
        lookback. Slices older than two lookbacks were old enough, and their matches may have
        expired.
        """
        back = ahead if ahead <= 2 * self.interval else self.lookback
        certain = self._floor(now - 2 * self.lookback)
        return tuple(
            max(self._floor(min(position, now - age) - back), min(position, certain))
            for age, position in zip(self.ages, positions, strict=True)
        )

    def slice_of(self, window: Window, length: int) -> Window:
        """The first slice of a window, of about this length.

        It ends at a multiple of the resolution. Otherwise the API would return the events of its
        last second again for the next slice, from before the position.
        """
        end = self._floor(window.start + max(length, self.resolution))
        return Window(window.start, min(end, window.end))

    def _floor(self, time: int) -> int:
        return time // self.resolution * self.resolution


def merge(windows: list[Window], events_per_ms: float, page_size: float) -> list[Window]:
    """Join windows, newest first, if reading the gap between them needs no further page.

    A quiet partition then costs one call a poll. Windows of many pages are not joined, so the
    newest does not wait for a backlog.
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
