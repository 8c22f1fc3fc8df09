"""How many messages wait in a queue."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Final

from exporter.aws.queues import Queue
from exporter.model import SourceError
from exporter.sources.base import Backlog

_ASK_EVERY: Final = 60.0
"""Seconds. AWS: the numbers are estimates, which settle within a minute."""
_NUMBERS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


class QueueDepth:
    """Asks a queue for its number of messages once a minute. One poll at a time."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._asked: float | None = None
        self._messages: int | None = None

    def ask(self) -> None:
        """Ask, if it is time to. A failure only means that the number is unknown."""
        now = time.monotonic()
        if self._asked is not None and now - self._asked < _ASK_EVERY:
            return
        self._asked, self._messages = now, None
        with suppress(SourceError):
            attributes = self._queue.attributes()
            found = [attributes.get(name, "") for name in _NUMBERS]
            if all(number.isdecimal() for number in found):
                self._messages = sum(map(int, found))

    def deleted(self, messages: int) -> None:
        """Take messages off that are deleted."""
        if self._messages is not None:
            self._messages = max(0, self._messages - messages)

    def backlog(self, oldest: int | None) -> Backlog | None:
        """The messages that wait, those that are worked on included; None if unknown.

        ``oldest``: when the oldest of the last receive was sent, milliseconds.
        """
        if self._messages is None:
            return None
        return Backlog(self._messages, oldest=oldest if self._messages else None)
