"""Groups the increments of events, so that a batch costs little for each.

The evaluator gives the same ``Increment`` to many events. They are grouped by the object first,
which needs no comparison; objects that are equal only are equal groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.ledger.tables import LARGEST
from exporter.model import Increment, JudgedEvent


@dataclass(slots=True)
class Group:
    """The occurrences of one increment in a batch."""

    increment: Increment
    value: float | None
    """The amount as a float; None if it is a value error."""
    count: int
    latest: int | None
    """The latest event time, milliseconds; None if none is known."""
    last: int
    """The number of the last event with the latest time."""


@dataclass(slots=True)
class Tally:
    """The increments of a batch."""

    events: list[JudgedEvent]
    groups: dict[int, Group]
    """By the id of the increment, in the order of their first occurrence."""
    is_timed: bool
    """Whether all event times are known, or none. If not, the last match depends on the order."""

    @classmethod
    def of(cls, events: Iterable[JudgedEvent]) -> Tally:
        """Group the increments of events."""
        kept = list(events)
        groups: dict[int, Group] = {}
        known = 0
        find = groups.get
        for number, event in enumerate(kept):
            time = event_time(event)
            known += time is not None
            for increment in event.increments:
                group = find(id(increment))
                if group is None:
                    value = countable(increment.value)
                    groups[id(increment)] = Group(increment, value, 1, time, number)
                    continue
                group.count += 1
                latest = group.latest
                if latest is None or (time is not None and time >= latest):
                    group.latest, group.last = time, number
        return cls(kept, groups, known in (0, len(kept)))


def event_time(event: JudgedEvent) -> int | None:
    """Return when an event happened, milliseconds; None if unknown, or out of range."""
    time = event.event_time
    return time if time is not None and -LARGEST <= time <= LARGEST else None


def countable(value: float | None) -> float | None:
    """Return the value as a float; None if it is negative, not finite or not exact."""
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number >= 0 and math.isfinite(number) and number == value else None
