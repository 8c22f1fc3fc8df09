"""Who has to go when there are too many connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Phase = Literal["handshake", "request", "answering", "stalled", "idle", "closing"]
"""``request``: one is being sent. ``stalled``: the client takes nothing of its answer."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an open connection takes."""

    holder: object
    """The connection."""
    address: str
    """The client's, or its group (``addresses.group_of``)."""
    phase: Phase
    since: float
    """When the phase began, on the monotonic clock."""
    leave: Callable[[], object]
    """Ends the connection."""


def to_give_up(places: Sequence[Place], newcomer: str) -> Place:
    """Return which of the connections (one at least) makes room for one from ``newcomer``.

    It is one of the address that has the most, with the newcomer counted: no client can keep the
    others out. Idle ones go first, then the others, each the one that has been so for longest: a
    client that behaves has its answer before its turn comes.
    """
    count = Counter(place.address for place in places)
    count[newcomer] += 1
    most = max(count[place.address] for place in places)
    candidates = (place for place in places if count[place.address] == most)
    return min(candidates, key=lambda place: (place.phase != "idle", place.since))
