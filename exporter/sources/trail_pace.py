"""When a trail's folder is listed, and what a poll leaves to the next one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from exporter.model import SourceError
from exporter.sources.trail_objects import Tries
from exporter.sources.trail_positions import Positions, Span

MINUTE: Final = 60_000
"""Milliseconds."""
_FRESH: Final = 10
"""Minutes for which an object is fresh at least. AWS: CloudTrail delivers every 5 minutes."""
_FACTOR: Final = 1.5
"""Growth of the ages at which objects are listed again."""
_LISTS_PER_AGE: Final = 3
_LISTS_PER_LOOKBACK: Final = 12
"""Listings of the whole lookback in a lookback: names are remembered that much longer."""
_LONGEST_PAUSE: Final = 60 * MINUTE
"""Between two tries of an object that fails."""


@dataclass(slots=True)
class Found:
    """An object that was listed and not read."""

    name: str
    minute: int
    size: int
    modified: int
    """Milliseconds."""
    span: Span | None = None
    """The span that it belongs to."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A listing of late objects that is worked off, in one poll or in several."""

    start: int
    """Minute."""
    began: int
    """Milliseconds."""
    is_whole: bool
    """Whether it lists the whole lookback."""
    after: str = ""
    """The last name that was read."""


@dataclass(slots=True)
class FolderState:
    """Facts about a folder that the process keeps between two polls, and can do without."""

    listed: dict[int, int] = field(default_factory=dict)
    """By age, when a pass of this age began, milliseconds."""
    under_way: Pass | None = None
    try_at: dict[str, int] = field(default_factory=dict)
    """When objects that fail are tried again, milliseconds."""
    tries: Tries = field(default_factory=Tries)
    """By name."""
    failure: SourceError | None = None
    """Why an object failed last."""
    behind: bool = False
    """Whether the last poll has left something."""
    read_up_to: int | None = None
    """See Reading."""
    rest: tuple[int, int] | None = None
    """Objects and bytes of the backlog; None if it was not counted."""
    odd: str = ""
    """A name that is not CloudTrail's and was logged."""
    _decoded: tuple[str, Positions] | None = None

    def take(self, checkpoint: str) -> Positions:
        """Decode a checkpoint, if it is not the one that was kept.

        Raises DamagedCheckpointError.
        """
        kept, self._decoded = self._decoded, None
        if kept is not None and kept[0] == checkpoint:
            return kept[1]
        return Positions.decode(checkpoint)

    def keep(self, checkpoint: str, positions: Positions) -> None:
        """Keep positions that were committed with this checkpoint."""
        self._decoded = checkpoint, positions


@dataclass(frozen=True, slots=True)
class Pace:
    """When objects are listed and tried again. Minutes."""

    interval: int
    lookback: int

    @property
    def fresh(self) -> int:
        """Age of the oldest fresh object, which is listed by every poll."""
        return max(_FRESH, 2 * self.interval)

    @property
    def step(self) -> int:
        """By which positions move at least."""
        return max(1, self.lookback // _LISTS_PER_LOOKBACK)

    @property
    def slack(self) -> int:
        """Delay of the listing of the whole lookback, after which the rest is history."""
        return max(self.lookback // 4, 2 * self.fresh)

    @property
    def ages(self) -> list[int]:
        """At which objects are listed again."""
        ages, age = [], self.fresh * _FACTOR
        while age < self.lookback:
            ages.append(round(age))
            age *= _FACTOR
        return [*ages, self.lookback]

    def period(self, age: int) -> int:
        """Between two listings of an age, milliseconds."""
        lists = _LISTS_PER_LOOKBACK if age == self.lookback else _LISTS_PER_AGE
        return age * MINUTE // lists

    def pause(self, failing_for: int) -> int:
        """Before an object is tried again, milliseconds."""
        return min(max(self.interval * MINUTE, failing_for // 2), _LONGEST_PAUSE)
