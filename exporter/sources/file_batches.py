"""Batches of a file's log events: what the readings of a file are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from exporter.model import LogEvent
from exporter.sources.base import Reading
from exporter.sources.file_position import FilePosition
from exporter.sources.json_records import Found


class Batch:
    """Log events of the next reading."""

    def __init__(self, events: int, characters: int) -> None:
        """It is full with so many events or characters."""
        self._most_events = events
        self._most_characters = characters
        self._events: list[LogEvent] = []
        self._characters = 0
        self.undecodable = 0

    def add(self, found: Found, characters: int) -> int:
        """Add log events with so many characters. Returns the number of those that are not."""
        events = [event for event in found if event is not None]
        self._events += events
        self._characters += characters
        undecodable = len(found) - len(events)
        self.undecodable += undecodable
        return undecodable

    def room(self, lengths: Sequence[int]) -> int:
        """How many messages of these lengths it takes, at least one."""
        room = self._most_events - len(self._events) - self.undecodable
        wanted = self._most_characters - self._characters
        if sum(lengths) >= wanted:
            room = min(room, bisect_left(list(accumulate(lengths)), wanted) + 1)
        return max(1, room)

    @property
    def full(self) -> bool:
        """Whether a reading should be made of it."""
        return (
            len(self._events) + self.undecodable >= self._most_events
            or self._characters >= self._most_characters
        )

    def take(self, position: FilePosition, *, size: int) -> Reading:
        """Its events as a reading, with the position after them; it is empty then."""
        reading = Reading(self._events, position.encode(), size=size, undecodable=self.undecodable)
        self._events, self._characters, self.undecodable = [], 0, 0
        return reading


def after(count: int, lists: Iterable[Found]) -> Iterator[Found]:
    """The log events after the first ``count``."""
    for found in lists:
        if count < len(found):
            yield found[count:] if count else found
        count = max(0, count - len(found))
