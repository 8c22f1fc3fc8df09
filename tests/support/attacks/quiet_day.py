"""A quiet day: the benign automation and the people of one busy account over 24 hours.

Nothing in it is an attack. The same seed makes the same events. ``quiet_routines`` has the
routines; this module spreads them over days.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.support.attacks.actors import filled
from tests.support.attacks.played import Logged

DAY: Final = 86_400


@dataclass(frozen=True)
class Routine:
    """Something that happens so often a day."""

    name: str
    times: float
    """A day."""
    calls: Sequence[str]
    """Templates of the records that one time leaves, in their order."""
    hours: tuple[float, float] = (0, 24)
    """Between which hours of the day (UTC)."""
    pause: float = 2.0
    """Seconds between two of its calls."""
    names: int = 8
    """How many things it is about: ``@NAME@`` is one of so many."""
    first_days: bool = True
    """Whether it also happened on the days before."""


def day(
    routines: Sequence[Routine], account: str, start: float, *, seed: int, is_past: bool = False
) -> list[Logged]:
    """The events of a day, in the order of their times.

    ``start``: of the day, seconds since the epoch. ``is_past``: it is one of the days before.
    """
    events = [
        event
        for routine in routines
        if routine.first_days or not is_past
        for event in _of(routine, account, start, random.Random(f"{seed} {routine.name}"))
    ]
    return sorted(events)


def once(
    routines: Sequence[Routine], account: str, start: float, *, seconds: float
) -> list[Logged]:
    """The short day: each routine as often within so many seconds as at its busiest time."""
    events = []
    for routine in routines:
        first, last = routine.hours
        rate = routine.times / ((last - first) * 3600)
        times = max(1, round(rate * seconds))
        rng = random.Random(routine.name)
        for number in range(times):
            at = start + seconds * (number + rng.random()) / times
            events += list(_one(routine, account, at, rng))
    return sorted(events)


def _of(routine: Routine, account: str, start: float, rng: random.Random) -> Iterator[Logged]:
    first, last = routine.hours
    times = max(1, round(routine.times))
    length = (last - first) * 3600 - routine.pause * len(routine.calls)
    for _ in range(times):
        at = start + first * 3600 + rng.random() * max(1.0, length)
        yield from _one(routine, account, at, rng)


def _one(routine: Routine, account: str, at: float, rng: random.Random) -> Iterator[Logged]:
    number = rng.randrange(routine.names)
    values = {"@NAME@": f"{number:02d}", "@HEX@": f"0{rng.getrandbits(64):016x}"}
    for text in routine.calls:
        yield Logged(at, account, filled(text, at, rng, account, values))
        at += routine.pause
