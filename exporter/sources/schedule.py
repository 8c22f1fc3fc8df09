"""When which part of a partition's past is read again: pure functions of times.

An API that selects by event time does not show an event at once: CloudTrail minutes later, a log
agent that was offline hours later. So each slice of event time is read when it is fresh and again
at ages that grow by a factor, up to the lookback. What is kept is one position per age level: the
event time up to which this level has swept. A stop of any length makes the windows wider, nothing
else.

An event that becomes visible ``d`` after its time, d ≤ lookback, is found at an age of at most
2·d + 2 intervals, by at most ``len(ages)`` reads of its time (more only where windows are merged).

All times are milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

Sweep = tuple[int, ...]
"""For each age level, youngest first: event times before this were read at that age or later."""

_SWEEPS_PER_AGE = 3
"""A level of age ``a`` is swept every ``a / 3``, not every interval: as exact, and far fewer calls
for old slices. Three keeps the bound: 1.5·d (the next level) + 0.5·d (its period)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of event time to read: from ``start``, up to and without ``end``."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Its length in milliseconds."""
        return self.end - self.start

    def slices(self, length: int) -> Iterator[Window]:
        """Cut the window into windows of at most ``length``, oldest first."""
        for start in range(self.start, self.end, length):
            yield Window(start, min(start + length, self.end))


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
        """The ages at which a slice is read: at once, after an interval, … and at the lookback."""
        ages = [0]
        age = float(self.interval)
        while age < self.lookback:
            ages.append(round(age))
            age *= self.factor
        return (*ages, self.lookback)

    def begin(self, origin: int) -> Sweep:
        """The positions of a partition that nobody has read: everything from ``origin`` is due."""
        return (self._floor(origin),) * len(self.ages)

    def due(self, sweep: Sweep, now: int, *, complete: bool = False) -> list[Window]:
        """The windows to read now, newest first, none touching another.

        ``complete``: read the whole lookback, however lately that was done.
        """
        if complete:
            windows = [Window(sweep[-1], self._floor(now))]
        else:
            windows = [
                Window(position, self._floor(now - age))
                for age, position in zip(self.ages, sweep, strict=True)
                if now - age - position >= self._patience(age)
            ]
        return _joined(window for window in windows if window.length > 0)

    def _patience(self, age: int) -> float:
        """How much must be unswept at a level before it is due.

        Half an interval of slack, since polls come a little early or late.
        """
        if age == 0:
            return 0
        return max(self.interval, age / _SWEEPS_PER_AGE) - self.interval / 2

    def advance(self, sweep: Sweep, window: Window, read_at: int) -> Sweep:
        """The positions after a window was wholly read, the reading having begun at ``read_at``.

        A level moves only where the window leaves no gap behind it, and only as far as the slices
        were old enough for it.
        """
        return tuple(
            max(position, min(window.end, self._floor(read_at - age)))
            if window.start <= position
            else position
            for age, position in zip(self.ages, sweep, strict=True)
        )

    def fit(self, levels: Iterable[tuple[int, int]], now: int) -> Sweep:
        """Take over positions that were kept as (age, position) under another interval or lookback.

        A slice that was read at some age was read at every younger age. Beyond the oldest level
        there was, its position holds: matches before it are forgotten, so it must not be read
        again. Positions in the future (the clock was set back) fall back to where they can be.
        """
        known = sorted(levels)
        oldest = known[-1][1]
        sweep = (
            max((position for old, position in known if old >= age), default=oldest)
            for age in self.ages
        )
        return tuple(
            min(position, self._floor(max(now - age, 0))) if known[0][1] > now else position
            for age, position in zip(self.ages, sweep, strict=True)
        )

    def _floor(self, time: int) -> int:
        return time // self.resolution * self.resolution


def merge(windows: list[Window], events_per_ms: float, page_size: int) -> list[Window]:
    """Join windows where reading the gap between them costs no further page.

    A quiet partition then costs one call a poll. ``windows`` newest first, and so is the answer.
    """

    def pages(window: Window) -> int:
        return max(1, math.ceil(window.length * events_per_ms / page_size))

    merged: list[Window] = []
    for window in windows:
        if merged:
            joined = Window(window.start, merged[-1].end)
            if pages(joined) <= pages(window) + pages(merged[-1]):
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
