"""The interest of rules in a source: the patterns that may count one of its events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from exporter.patterns import FilterPattern

_MOST_KEPT: Final = 8
"""Interests without the versions that have ended. All would be the square of those versions."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pattern of a version of a rule."""

    pattern: FilterPattern
    until: int | None = None
    """Milliseconds of event time: the version judges no event from then on. None if it is in
    force."""


class Interest:
    """The patterns of all versions of rules that may judge the events of a source; immutable."""

    def __init__(self, wanted: Iterable[Wanted], *, judged_from: int | None = None) -> None:
        """``judged_from``: milliseconds; versions that ended before are left out. None for all."""
        self._judged_from = judged_from
        self._wanted = tuple(one for one in wanted if not _ended(one, judged_from))
        self.patterns = tuple(dict.fromkeys(one.pattern for one in self._wanted))
        """Each once, in the order of the rules."""
        self._texts = frozenset(pattern.text for pattern in self.patterns)
        self._since: dict[int, Interest] = {}

    def since(self, time: int) -> Interest:
        """The interest in events from a time on, milliseconds: versions that ended are left out."""
        ended = sum(_ended(one, time) for one in self._wanted)
        if not ended:
            return self
        # The versions that ended are the same until another ends.
        found = self._since.get(ended)
        if found is None:
            found = self._since[ended] = Interest(self._wanted, judged_from=time)
            if len(self._since) > _MOST_KEPT:
                del self._since[next(iter(self._since))]
        return found

    def covers(self, other: Interest) -> bool:
        """Whether requests for these rules return all that the other ones may count."""
        return self is other or all(
            one.pattern.text in self._texts or _ended(one, self._judged_from)
            for one in other._wanted
        )


def _ended(one: Wanted, before: int | None) -> bool:
    return one.until is not None and before is not None and one.until < before
