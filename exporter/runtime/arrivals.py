"""How late log events arrive: the age at which each is first seen."""

from __future__ import annotations

from collections.abc import Iterable

_SAMPLE = 4096


class Arrivals:
    """The first sightings of a partition's log events.

    The reading schedule brings an event many times; only the first tells how late it was. So the
    ids seen are kept, of a sample small enough for memory: events whose hash falls in a share that
    halves whenever more than 4,096 are held.
    """

    def __init__(self, since: int) -> None:
        """``since``: milliseconds; older events may have been seen by an earlier process."""
        self._since = since
        self._share = 1
        self._seen: dict[str, int] = {}

    def first_seen(self, events: Iterable[tuple[str | None, int | None]], now: int) -> list[float]:
        """The ages in seconds of those of the (id, event time) that are seen for the first time."""
        ages = []
        for event_id, event_time in events:
            if event_id is None or event_time is None or event_time < self._since:
                continue
            if hash(event_id) % self._share or event_id in self._seen:
                continue
            self._seen[event_id] = event_time
            ages.append(max(0, now - event_time) / 1000)
            if len(self._seen) > _SAMPLE:
                self._share *= 2
                self._seen = {i: t for i, t in self._seen.items() if hash(i) % self._share == 0}
        return ages

    def forget(self, before: int) -> None:
        """Drop what happened before this time (milliseconds): it will not be read again."""
        self._seen = {i: t for i, t in self._seen.items() if t >= before}
