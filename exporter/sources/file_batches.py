"""Batches of a file's messages: what the readings of a file are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from exporter.model import LogEvent
from exporter.sources.base import Reading
from exporter.sources.file_position import FilePosition
from exporter.sources.json_records import BrokenContentError

_IN_LIST = 256

Messages = Sequence[str | None]
"""Messages that follow one another in a file; None for what is not a message."""


class Batch:
    """Log events of the next reading."""

    def __init__(self, now: int, events: int, characters: int) -> None:
        """``now``: the time of all events. It is full with so many events or characters."""
        self._now = now
        self._most_events = events
        self._most_characters = characters
        self._events: list[LogEvent] = []
        self._characters = 0
        self.undecodable = 0

    def add(self, messages: Messages) -> int:
        """Add messages, and count what is not one. Returns how many these are."""
        now = self._now
        texts = [message for message in messages if message is not None]
        self._events += [LogEvent(text, now) for text in texts]
        self._characters += sum(map(len, texts))
        undecodable = len(messages) - len(texts)
        self.undecodable += undecodable
        return undecodable

    def room(self, messages: Messages) -> int:
        """How many of these messages it takes, at least one."""
        room = self._most_events - len(self._events) - self.undecodable
        wanted = self._most_characters - self._characters
        sizes = [len(message or "") for message in messages]
        if sum(sizes) >= wanted:
            room = min(room, bisect_left(list(accumulate(sizes)), wanted) + 1)
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


def in_lists(messages: Iterable[str | None]) -> Iterator[Messages]:
    """Single messages in lists. All that come before an error are passed on before it."""
    gathered: list[str | None] = []
    try:
        for message in messages:
            gathered.append(message)
            if len(gathered) == _IN_LIST:
                yield gathered
                gathered = []
    except BrokenContentError:
        yield gathered
        raise
    yield gathered


def after(count: int, lists: Iterable[Messages]) -> Iterator[Messages]:
    """The messages after the first ``count``."""
    for messages in lists:
        if count < len(messages):
            yield messages[count:] if count else messages
        count = max(0, count - len(messages))
