"""Groups the increments of events by rule and series, so that a batch costs little for each.

A page has thousands of increments of a few series. What is done for each of them is done by
functions that are written in C, over whole lists; Python code runs once for each group.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, repeat
from operator import attrgetter
from typing import Any, Final, TypeAlias

from exporter.ledger.tables import LARGEST
from exporter.model import Increment, JudgedEvent, SeriesKey

GroupKey: TypeAlias = tuple[str, SeriesKey]
"""A rule and a series."""

_UNKNOWN: Final = -LARGEST - 1
"""Stands for an unknown time: earlier than all others."""
_increments = attrgetter("increments")
_event_time = attrgetter("event_time")
_rule = attrgetter("rule")
_series = attrgetter("series")
_value = attrgetter("value")


@dataclass(slots=True)
class Group:
    """The increments of a rule to a series in a batch."""

    values: list[float]
    """The amounts, in the order of the events."""
    increment: Increment
    """The increment of the last match by event time."""
    event: JudgedEvent
    """The event of the last match."""
    latest: int | None
    """The time of that event, milliseconds; None if none is known."""
    position: int
    """The place of that increment among those of the batch."""


@dataclass(slots=True)
class Tally:
    """The increments of a batch."""

    groups: dict[GroupKey, Group]
    """In the order of their first occurrence."""
    errors: list[tuple[str, int | None]]
    """The rules and event times of increments whose values are value errors."""
    is_timed: bool
    """Whether all event times are known, or none. If not, the last match depends on the order."""
    _events: Sequence[JudgedEvent]
    _owners: Sequence[int]
    """For each increment, the number of its event."""
    _keys: Sequence[GroupKey]
    _values: Sequence[float]

    @classmethod
    def of(cls, events: Iterable[JudgedEvent]) -> Tally:
        """Group the increments of events."""
        kept = list(events)
        times, unknown = _times(kept)
        tuples = list(map(_increments, kept))
        increments: list[Increment] = list(chain.from_iterable(tuples))
        owners = list(chain.from_iterable(map(repeat, range(len(kept)), map(len, tuples))))
        values: list[float] = list(map(_value, increments))
        errors: list[tuple[str, int | None]] = []
        wrong = _value_errors(set(values))
        if wrong:
            is_right = [value not in wrong for value in values]
            errors = [
                (one.rule, None if times[owner] == _UNKNOWN else times[owner])
                for one, owner, right in zip(increments, owners, is_right, strict=True)
                if not right
            ]
            increments = list(compress(increments, is_right))
            owners = list(compress(owners, is_right))
            values = list(compress(values, is_right))
        keys = list(zip(map(_rule, increments), map(_series, increments), strict=True))
        by_key: dict[GroupKey, list[float]] = defaultdict(list)
        for key, value in zip(keys, values, strict=True):
            by_key[key].append(value)
        last = _last(keys, list(map(times.__getitem__, owners)))
        groups = {}
        for key, of in by_key.items():
            at = last[key]
            time = times[owners[at]]
            latest = None if time == _UNKNOWN else time
            groups[key] = Group(of, increments[at], kept[owners[at]], latest, at)
        is_timed = unknown in (0, len(kept))
        return cls(groups, errors, is_timed, kept, owners, keys, values)

    def in_order(self) -> Iterator[tuple[GroupKey, float, JudgedEvent]]:
        """Yield the increments one at a time: the group, the amount and the event."""
        for key, value, owner in zip(self._keys, self._values, self._owners, strict=True):
            yield key, float(value), self._events[owner]


def _value_errors(values: set[Any]) -> set[Any]:
    """Return the values that are value errors."""
    if set(map(type, values)) == {float} and min(values) >= 0 and math.isfinite(sum(values)):
        return set()
    return {value for value in values if countable(value) is None}


def _times(events: Sequence[JudgedEvent]) -> tuple[list[int], int]:
    """Return the event times, and how many are unknown."""
    times = list(map(_event_time, events))
    if None not in times and (not times or (min(times) >= -LARGEST and max(times) <= LARGEST)):
        return times, 0
    known = [_UNKNOWN if (time := event_time(event)) is None else time for event in events]
    return known, known.count(_UNKNOWN)


def _last(keys: Sequence[GroupKey], times: Sequence[int]) -> dict[GroupKey, int]:
    """Return the position of the last one of the latest time for each key."""
    positions: Iterable[int] = range(len(keys))
    if sorted(times) == times:
        return dict(zip(keys, positions, strict=True))
    positions = sorted(positions, key=times.__getitem__)
    return dict(zip(map(keys.__getitem__, positions), positions, strict=True))


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
