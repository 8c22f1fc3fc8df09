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


def to_give_up(places: Sequence[Place], newcomer: str) -> Place | None:
    """Return the connection that makes room for one from the address ``newcomer``.

    It is one of the address with the most connections, the newcomer counted in: no client can keep
    the others out. Idle ones go first, then those that wait for their client, the longest wait
    first. Connections that wait for the exporter go for the sake of other addresses only. None:
    the newcomer has to go.
    """
    count = Counter(place.address for place in places)
    count[newcomer] += 1
    most = max(count.values())
    candidates = [
        place
        for place in places
        if count[place.address] == most
        and (place.phase != "answering" or place.address != newcomer)
    ]
    return min(candidates, key=lambda place: (_rank(place.phase), place.since), default=None)


def _rank(phase: Phase) -> int:
    return {"idle": 0, "answering": 2}.get(phase, 1)
