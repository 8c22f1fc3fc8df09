"""Which feed each source belongs to, and since when."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from exporter.exactness import SHARED_MEMORY
from exporter.ledger.counted import restart_counting
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, FACTS, FEEDS, Fact

_MEMBER: Final = "feed of "
"""Names of facts begin so and end in the name of a source."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A source in its feed."""

    feed: str
    since: int | None = None
    """The source does not count earlier events, milliseconds; None if it counts all."""
    has_left: bool = False
    """Whether the last configuration does not have the source."""


def memberships(transaction: Transaction) -> dict[str, Membership]:
    """Return the memberships of all sources that were ever configured."""
    return {
        one.name.removeprefix(_MEMBER): Membership(*json.loads(one.value))
        for one in transaction.read(FACTS)
        if one.name.startswith(_MEMBER)
    }


def write_memberships(transaction: Transaction, of: Mapping[str, Membership]) -> None:
    """Write memberships."""
    transaction.write(FACTS, [Fact(_MEMBER + source, _text(one)) for source, one in of.items()])


def delete_membership(transaction: Transaction, source: str) -> None:
    """Delete what is known of a source."""
    transaction.delete(FACTS, [(_MEMBER + source,)])


def former_members(transaction: Transaction, feed: str, present: Collection[str]) -> Iterator[str]:
    """Yield the other sources that were in a feed last."""
    for source, one in memberships(transaction).items():
        if one.feed == feed and source not in present:
            yield source


def load_feeds(transaction: Transaction, feeds: Mapping[str, str], *, now: int) -> dict[str, int]:
    """Store the feed of each configured source; return when some of them joined it, milliseconds.

    Events from before that time do not count for the source:

    - A source that moves from one feed to another has counted them in the other one.
    - A new source, or one that comes back, may bring events that the other sources of its feed have
      counted, and that are forgotten. Of two that read by event time, the one that comes back is
      limited by the retention line instead (see ``exactness.py``).
    """
    known = memberships(transaction)
    loaded: dict[str, Membership] = {}
    for source, feed in feeds.items():
        positions = _positions(transaction, source)
        # Before there were feeds, each source was one.
        before = known.get(source) or (Membership(source) if positions else None)
        others = [one for one, of in known.items() if of.feed == feed and not of.has_left]
        others = [one for one in {feed, *others} if one != source]
        is_timed = any(_is_timed(_positions(transaction, one)) for one in others)
        since = None if before is None else before.since
        if before is not None and before.has_left:
            restart_counting(transaction, source, now)
        if before is None:
            since = _memory_begins(transaction, feed, now, is_timed=is_timed)
        elif before.feed != feed:
            since = now
        elif before.has_left and others and not (is_timed and _is_timed(positions)):
            begins = _memory_begins(transaction, feed, now, is_timed=is_timed)
            since = max((one for one in (begins, since) if one is not None), default=None)
        loaded[source] = Membership(feed, since)
    gone = {name: replace(one, has_left=True) for name, one in known.items() if name not in feeds}
    changed = {name: one for name, one in (gone | loaded).items() if known.get(name) != one}
    write_memberships(transaction, changed)
    return {source: one.since for source, one in loaded.items() if one.since is not None}


def _memory_begins(transaction: Transaction, feed: str, now: int, *, is_timed: bool) -> int | None:
    """Return the time from which all counted events are remembered; None if nothing counted.

    ``is_timed``: whether a source of the feed reads by event time, so that the line moves.
    """
    found = transaction.read(FEEDS, [(feed,)])
    if not found:
        return None
    line, fixed = found[0].line, now - SHARED_MEMORY
    if line is None:
        return fixed
    return line if is_timed else max(line, fixed)


def _positions(transaction: Transaction, source: str) -> list[int | None]:
    return [row.remember_from for row in transaction.read(CHECKPOINTS, [(source,)])]


def _is_timed(positions: Iterable[int | None]) -> bool:
    return any(position is not None for position in positions)


def _text(one: Membership) -> str:
    return json.dumps([one.feed, one.since, one.has_left])
