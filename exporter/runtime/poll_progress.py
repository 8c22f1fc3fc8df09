"""The progress of a poll, also of one that fails."""

from __future__ import annotations

import time

from exporter.ledger.base import Committed
from exporter.runtime.pipeline import Evaluated


class PollProgress:
    """The readings that a poll has committed."""

    def __init__(self, behind: bool) -> None:
        self.behind = behind
        """Whether more was due after the last reading (see Reading.behind)."""
        self.began = time.monotonic()
        self.readings = 0
        """Committed readings, without one that only stores the first position."""
        self.events = 0
        self.matches = 0
        self.slices = 0
        """Slices of time that were read completely."""
        self.caught_up = False
        """Whether one of them was not fresh: progress in a backlog."""

    def note(self, evaluated: Evaluated, committed: Committed) -> None:
        """Take a committed reading."""
        reading = evaluated.reading
        self.behind = reading.behind
        self.readings += not evaluated.begins
        self.events += len(reading.events)
        self.matches += sum(change.matches for change in committed.rules)
        self.slices += reading.completes is not None
        self.caught_up = self.caught_up or reading.completes == "older"
