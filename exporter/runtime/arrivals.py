"""How late log events arrive: the age at which each is first seen."""

from __future__ import annotations

from collections.abc import Iterable


class Arrivals:
    """The first sightings of a partition's log events.

    The reading schedule brings an event several times; only the first shows how late it was. The
    hashes of the events seen are kept, of a sample: events whose hash falls in a share that halves
    whenever the sample is full.
    """

    def __init__(self, since: int) -> None:
        """``since``: milliseconds; older events may have been seen by an earlier process."""
        self._since = since
        self._share = 1
        self._seen: dict[int, int] = {}

    def first_seen(
        self, events: Iterable[tuple[str | None, int | None]], now: int, *, room: int
    ) -> list[float]:
        """The ages in seconds of those of the (id, event time) that are seen for the first time.

        ``room``: how many events are kept at most.
        """
        ages = []
        for event_id, event_time in events:
            if event_id is None or event_time is None or event_time < self._since:
                continue
            name = hash(event_id)
            if name % self._share or name in self._seen:
                continue
            self._seen[name] = event_time
            ages.append(max(0, now - event_time) / 1000)
            while len(self._seen) > room:
                self._share *= 2
                self._seen = {n: t for n, t in self._seen.items() if n % self._share == 0}
        return ages

    def forget(self, before: int) -> None:
        """Drop events before this time (milliseconds): it will not be read again."""
        self._seen = {n: t for n, t in self._seen.items() if t >= before}
