"""What reading has shown of a partition: its density, its pages and how much they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from exporter.aws.quotas import CallCost
from exporter.aws.uses import Use
from exporter.model import LogEvent
from exporter.planning.plan import Request
from exporter.planning.planner import Planner
from exporter.sources.ahead import Ahead
from exporter.sources.base import Reading
from exporter.sources.progress import Progress
from exporter.sources.schedule import Window
from exporter.sources.thinning import Rereads, Thinning

PAGES: Final = 12
"""Target size of a slice, in pages."""
_HOUR: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class EventPage:
    """The answer of one API call."""

    events: Sequence[LogEvent]
    undecodable: int = 0
    """Number of records that are not log events: without message, time or id."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, and which request returned it."""

    page: EventPage
    request: Request
    is_probe: bool = False
    """Whether it is read to know the cost of its request, in addition to the plan."""


@dataclass(slots=True)
class Pace:
    """The event density of a partition, learned from its answers."""

    thinning: Thinning
    complete: bool = False
    """Whether it is polled only once, so that no schedule applies."""
    caught_up: bool = False
    """Whether the last poll has read everything that was due."""
    events_per_ms: float | None = None
    page_events: float | None = None
    """Events of a full page; None before the first."""
    fresh_from: float = math.inf
    """Start of the fresh window of the poll, milliseconds. AWS shows most events of CloudTrail
    minutes later, so few fresh ones say nothing of older slices."""
    _slice_lengths: dict[bool, int] = field(
        default_factory=lambda: dict.fromkeys((True, False), _HOUR)
    )
    """Of fresh slices, and of older ones."""
    ahead: Ahead[Answer] | None = None
    """The slices of the poll that is under way."""
    planner: Planner = field(default_factory=Planner)
    calls: int = 1
    """Calls that a window costs at least."""
    oldest_first: bool = False
    """The end of a backlog that is read first; changes if a poll leaves a backlog or fails."""
    cost: CallCost | None = None
    """Of its calls, as of the last poll."""
    use: Use | None = None
    """Of the next call, during a poll."""

    def begin_poll(self, now: float, cost: CallCost | None) -> None:
        """A poll begins, whose calls have a cost. ``now``: seconds of any clock."""
        self.cost = cost
        quota_seconds = 0.0 if cost is None else cost.seconds
        self.thinning.begin_poll(now, caught_up=self.caught_up, quota_seconds=quota_seconds)
        self.caught_up = False
        if cost is not None:
            cost.need(self.thinning.needs)

    def release(self) -> None:
        """Nothing more is read of the partition."""
        if self.cost is not None:
            self.cost.need(None)

    def reading(
        self, page: EventPage, before: Progress, after: Progress, *, behind: bool
    ) -> Reading:
        """A page with the progress after it."""
        return Reading(
            page.events,
            after.encode(self.thinning.schedule.ages),
            watermark=before.watermark,
            remember_from=after.remember_from,
            read_up_to=after.read_up_to,
            behind=behind,
            rereads=self.rereads,
            undecodable=page.undecodable,
        )

    @property
    def rereads(self) -> Rereads | None:
        """How often events are read; None if it is polled only once."""
        return None if self.complete else self.thinning.rereads

    def learn(self, piece: Window, pages: int, events: int) -> None:
        """A slice was read completely, with so many pages and log events."""
        density = events / piece.length
        before = density if self.events_per_ms is None else self.events_per_ms
        if self._is_fresh(piece):
            density = max(density, before)
        self.events_per_ms = (before + density) / 2
        if pages > self.calls:
            # All requests but one may have needed one page only.
            full = max(1.0, events / (pages - self.calls + 1))
            self.page_events = (full + (self.page_events or full)) / 2
        fitting = max(1, PAGES * self.calls * piece.length // pages)
        # A short window is no reason for shorter slices.
        choose = min if pages > PAGES * self.calls else max
        self._slice_lengths[self._is_fresh(piece)] = choose(self.slice_length(piece), fitting)

    def slice_length(self, window: Window) -> int:
        """Milliseconds of the slices of a window."""
        return self._slice_lengths[self._is_fresh(window)]

    def full_page(self, most: int) -> float:
        """Events of a full page; ``most``: the maximum that the API returns."""
        return min(most, self.page_events or math.inf)

    def shorten(self, piece: Window, by: int) -> None:
        """Divide a slice by a number for the next ones."""
        self._slice_lengths[self._is_fresh(piece)] = max(1, piece.length // by)

    def failed(self, piece: Window) -> None:
        """Continue at the other end, in shorter slices: the same slice may fail again."""
        self.shorten(piece, 2)
        self.oldest_first = not self.oldest_first

    def _is_fresh(self, window: Window) -> bool:
        return window.start >= self.fresh_from
