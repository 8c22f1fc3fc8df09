"""Whether a partition counts events of a time in which it was not read.

An alert that compares a count over 15 minutes with a threshold is held back meanwhile: hours of
events come within seconds. A partition catches up from its first reading after a pause of more than
_PAUSE intervals (_SHORTEST at least), in which its fresh events were not read, until it has read up
to the time of that reading. A partition that falls behind since its reads are slow, or whose
re-reads are thinned out, has no such pause.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from exporter.metrics.partitions import CATCHING_UP_HOLD, Meter
from exporter.model import EventPlace
from exporter.runtime.pipeline import Evaluated
from exporter.sources.base import Reading, Source

_PAUSE: Final = 4
_SHORTEST: Final = 300.0
"""Seconds: a part of 15 minutes that changes a count by a third."""
_DELIVERED_AFTER: Final = 1800.0
"""Seconds after which an event comes that is not late, in a bucket, a queue or a file."""

_MOST_PLACES: Final = 1000
"""Anyone who can write an event can make it look like one of any account."""


class CatchingUp:
    """Sets ``Meter.catching_up_until`` before a commit of a backlog.

    So every page that shows such counts shows 1. It lasts for CATCHING_UP_HOLD after the last of
    them, also if the next reading fails.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._by_time = meter.partition.kind.by_event_time
        self._read_at: float | None = None
        """When fresh events were read last, seconds since the epoch; None since the start."""
        self._polled_at: float | None = None
        self._between = (0.0, 0.0)
        """Seconds between its last polls without failures: one outage is in one of them."""
        self._failed = meter.failed
        """Failed polls until the last one that succeeded."""
        self._is_new = False
        """Whether its first poll is under way."""
        self._target: int | None = None
        """It is caught up once it is read up to here, milliseconds; None if it is."""

    def reads(self, source: Source, one: Evaluated, now: float, steady: float) -> bool:
        """A reading is about to be committed; return whether it is of a backlog.

        Args:
            source: the source.
            one: the reading.
            now: seconds since the epoch.
            steady: seconds of ``clock.elapsed``.
        """
        if one.begins:
            self._is_new = True  # it only stores the position
            return False
        if self._target is None and self._begins(source, one, now, steady):
            self._target = round(now * 1000)
        if self._target is None and not one.reading.backfill:
            return False
        meter = self._meter
        known = meter.catching_up_places if steady < meter.catching_up_until else frozenset()
        meter.catching_up_places = known | _places(one, _MOST_PLACES - len(known))
        meter.catching_up_until = steady + CATCHING_UP_HOLD
        return True

    def read(self, reading: Reading, now: float) -> None:
        """It is committed, and the meter has its position."""
        if reading.completes == "fresh":
            self._read_at = now
        if self._target is not None and self._is_reached(reading, self._target):
            self._target = None

    def polled(self, now: float, *, behind: bool) -> None:
        """A poll ended without an error, and has read all that was due."""
        if self._polled_at is not None and self._meter.failed == self._failed:
            self._between = (self._between[1], now - self._polled_at)
        self._failed = self._meter.failed
        self._read_at = self._polled_at = now
        self._is_new = False
        if self._meter.read_up_to is None and self._meter.backlog is None and not behind:
            self._target = None  # files: read to their ends

    def _begins(self, source: Source, one: Evaluated, now: float, steady: float) -> bool:
        # Polls that wait for the calls of many others come at their own pace.
        pause = max(_PAUSE * source.interval, _SHORTEST, 2 * min(self._between))
        # New partitions are found at a discovery only.
        pause += source.discovery_interval if self._is_new else 0.0
        # A queue returns messages in any order: old ones may follow while it catches up.
        is_sure = self._by_time or steady >= self._meter.catching_up_until
        if is_sure and self._read_at is not None and now - self._read_at <= pause:
            return False
        behind = self._unread_since(one)
        return behind is not None and now - behind > pause

    def _unread_since(self, one: Evaluated) -> float | None:
        """The oldest time that was not read before this reading, seconds; None if unknown."""
        if self._by_time:
            read_up_to, since = self._meter.read_up_to, self._meter.counted_since
            if read_up_to is not None and since is not None and self._is_new:
                read_up_to = max(read_up_to, since)  # before a log group existed, it had no events
            return None if read_up_to is None else read_up_to / 1000
        reading = one.reading
        times = [of.oldest / 1000 for of in (reading.queue, reading.backlog) if of and of.oldest]
        happened = [of.event_time for of in one.evaluation.events if of.event_time is not None]
        if happened:
            times.append(min(happened) / 1000 + _DELIVERED_AFTER)
        return min(times, default=None)

    def _is_reached(self, reading: Reading, target: int) -> bool:
        if reading.read_up_to is not None:
            return reading.read_up_to >= target
        if reading.queue is not None:
            return reading.queue.oldest is None or reading.queue.oldest >= target
        return False


def _places(one: Evaluated, most: int) -> frozenset[EventPlace]:
    """Return where these events happened: a queue or a file has those of any account."""
    series = {of.series for event in one.evaluation.events for of in event.increments}
    places = {EventPlace.of(key) for key in series}
    return frozenset(islice(sorted(places), most))
