"""Which feed each source belongs to, and since when."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from exporter.exactness import SHARED_MEMORY
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, FACTS, FEEDS, Fact

_MEMBER: Final = "feed of "
"""Names of facts begin so and end in the name of a source."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A source in its feed."""

    feed: str
    since: int | None = None
    """Earlier events do not count for it, milliseconds; None if all do."""
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
    - A new source, or a queue that comes back, may bring events that the other sources of its feed
      have counted, and that are forgotten.
    """
    known = memberships(transaction)
    loaded: dict[str, Membership] = {}
    for source, feed in feeds.items():
        rows = transaction.read(CHECKPOINTS, [(source,)])
        # Before there were feeds, each source was one.
        before = known.get(source) or (Membership(source) if rows else None)
        comes_once = bool(rows) and all(row.remember_from is None for row in rows)
        if before is None:
            since = _memory_begins(transaction, feed, now)
        elif before.feed != feed:
            since = now
        elif (
            before.has_left
            and comes_once
            and any(other.feed == feed and name != source for name, other in known.items())
        ):
            since = max(_memory_begins(transaction, feed, now) or 0, before.since or 0) or None
        else:
            since = before.since
        loaded[source] = Membership(feed, since)
    gone = {name: replace(one, has_left=True) for name, one in known.items() if name not in feeds}
    changed = {name: one for name, one in (gone | loaded).items() if known.get(name) != one}
    write_memberships(transaction, changed)
    return {source: one.since for source, one in loaded.items() if one.since is not None}


def _memory_begins(transaction: Transaction, feed: str, now: int) -> int | None:
    """Return the time from which all counted events are remembered; None if nothing counted."""
    found = transaction.read(FEEDS, [(feed,)])
    if not found:
        return None
    line = found[0].line
    return now - SHARED_MEMORY if line is None else line


def _text(one: Membership) -> str:
    return json.dumps([one.feed, one.since, one.has_left])
