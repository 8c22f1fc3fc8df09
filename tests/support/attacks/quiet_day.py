"""A quiet day: the benign automation and the people of one busy account over 24 hours.

Nothing in it is an attack. The same seed makes the same events. Its routines are in
tests/attacks/quiet_day/*.yaml::

    - name: Karpenter starts a node
      times: 60           # a day
      hours: [6, 18]      # between which hours (UTC); default: all day
      pause: 2            # seconds between its steps
      names: 8            # how many things it is about: @NAME@ is one of them, @HEX@ a random id
      each: [maya, jonas] # once for each of them, as @EACH@
      past: false         # it did not happen on the days before
      actor: karpenter-controller
      steps: [{call: ec2:CreateFleet}]  # see steps.py
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import yaml

from tests.support.attacks.actors import filled
from tests.support.attacks.played import Logged
from tests.support.attacks.steps import templates
from tests.support.tools import ROOT

DAY: Final = 86_400
ROUTINES: Final = ROOT / "tests" / "attacks" / "quiet_day"


@dataclass(frozen=True)
class Routine:
    """Something that happens so often a day."""

    name: str
    times: int
    """A day."""
    first: float
    """From which second of the day on it happens."""
    last: float
    """Until which second."""
    names: int
    each: str
    past: bool
    """Whether it happened on the days before, too."""
    steps: Sequence[tuple[float, str]]
    """Seconds after its start, and the template of a log event."""

    def once(self, account: str, at: float, rng: random.Random) -> Iterator[Logged]:
        """Its events, if it starts then."""
        values = {
            "@NAME@": f"{rng.randrange(self.names):02d}",
            "@HEX@": f"0{rng.getrandbits(64):016x}",
            "@EACH@": self.each,
        }
        for after, text in self.steps:
            yield Logged(at + after, account, filled(text, at + after, rng, account, values))


def routines() -> list[Routine]:
    """All routines. Raises ValueError for one that cannot be read."""
    found: list[Routine] = []
    for path in sorted(ROUTINES.glob("*.yaml")):
        for entry in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
            try:
                found += [_routine(entry, each) for each in entry.get("each", [""])]
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: {entry.get('name')}: {error!r}") from error
    return found


def day(account: str, start: float, *, seed: int, is_past: bool = False) -> list[Logged]:
    """The events of a day, in the order of their times.

    ``start``: of the day, seconds since the epoch. ``is_past``: it is one of the days before.
    """
    events: list[Logged] = []
    for routine in routines():
        if is_past and not routine.past:
            continue
        rng = random.Random(f"{seed} {routine.name} {routine.each}")
        length = max(1.0, routine.last - routine.first - routine.steps[-1][0])
        for _ in range(routine.times):
            events += routine.once(account, start + routine.first + rng.random() * length, rng)
    return sorted(events)


def busiest(account: str, start: float, *, seconds: float, is_past: bool = False) -> list[Logged]:
    """Each kind of routine at least once, and as often in so many seconds as in its hours."""
    events: list[Logged] = []
    for name, group in groupby(routines(), attrgetter("name")):
        kind = list(group)
        if is_past and not kind[0].past:
            continue
        rng = random.Random(name)
        share = seconds / (kind[0].last - kind[0].first)
        for _ in range(max(1, round(len(kind) * kind[0].times * share))):
            events += rng.choice(kind).once(account, start + rng.random() * seconds, rng)
    return sorted(events)


def _routine(entry: Mapping[str, Any], each: str) -> Routine:
    first, last = entry.get("hours", (0, 24))
    return Routine(
        entry["name"],
        entry["times"],
        first * 3600,
        last * 3600,
        entry.get("names", 8),
        each,
        entry.get("past", True),
        templates(entry["steps"], entry["actor"], pause=entry.get("pause", 2.0)),
    )
