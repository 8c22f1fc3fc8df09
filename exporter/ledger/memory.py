"""Memory of counted events: for each a digest of its id, and the rules that have judged it.

Entries are kept by the event's own time: a segment has those of a scope and a quarter of an hour,
and its blocks are sorted by time. So the events of a page, which are close in time, are in few
blocks, whatever the size of the memory. A segment expires as a whole (see retention), so nothing is
rewritten.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, TypeAlias

from exporter.ledger.blocks import (
    DIGEST_BYTES,
    ENTRY_BYTES,
    OFFSET_BYTES,
    by_block,
    insert,
    look_up,
)
from exporter.ledger.judging import Remembered, key_of
from exporter.ledger.reading_time import entries_by_reading_time
from exporter.ledger.rule_sets import RuleSets
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    BLOCKS,
    BY_EVENT_TIME,
    FEEDS,
    FIRST_SLOT,
    LARGEST,
    SEGMENTS,
    Block,
    Feed,
    Segment,
)
from exporter.model import EventKey, JudgedEvent

SLOT: Final = 15 * 60 * 1000
"""Milliseconds of event time in a segment."""
SLOTS: Final = 1 << 15
"""Segments of a scope at most: event times 341 days apart have the same. So neither an archive of
many years nor forged times make more of them. Memory of a lookback of 90 days ends before."""
_CYCLE: Final = SLOT * SLOTS
_TIMELESS: Final = FIRST_SLOT
"""From here on are segments of events without a time, one for each day of reading time."""
_TIMELESS_SPAN: Final = 24 * 3600 * 1000
_TIMELESS_END: Final = FIRST_SLOT + FIRST_SLOT // 2
_EPOCH: Final = FIRST_SLOT * 2
"""From here on are segments of events with a time."""
_NEVER: Final = LARGEST * 4
"""No event is in the segment that begins here."""
_BLOCKS_KEPT: Final = 64
"""Blocks that a transaction keeps after it has read them."""

_Place: TypeAlias = tuple[str, int]
"""A scope and a segment."""


class Found(NamedTuple):
    """Entries of memory, by the keys of their events."""

    judged: Mapping[EventKey, frozenset[str]]
    """The rules that have judged each event."""
    by_reading_time: Mapping[EventKey, Remembered]
    """Entries from before memory went by event time."""


class Memory:
    """A feed's memory in a transaction."""

    def __init__(
        self,
        transaction: Transaction,
        feed: str,
        secret: bytes,
        now: int,
        sets: RuleSets,
        *,
        begun_as: str | None = None,
    ) -> None:
        """Read the state of a feed.

        ``secret`` keys the digests, so no one can choose ids that collide. ``now`` is the reading
        time, milliseconds. ``begun_as``: the first name of a feed that was renamed.
        """
        self._transaction = transaction
        self._sets = sets
        self.now = now
        found = transaction.read(FEEDS, [(feed,)])
        self.feed = found[0] if found else Feed(feed, "", -1, 0, -1, None, None, None)
        self._is_stored = bool(found)
        name = f"{begun_as or feed}\0".encode("utf-8", "surrogatepass")
        self._state = hashlib.blake2b(name, digest_size=DIGEST_BYTES, key=secret)
        self._read: dict[_Place, list[Block]] = {}
        self._last_places: dict[_Place, dict[bytes, EventKey]] = {}
        """Of the last ``look_up``: making digests is dear."""

    def use_format(self, name: str) -> None:
        """Note a change of the source's format, and the end of memory from before it."""
        if name == self.feed.format and self._is_stored:
            return
        feed = self.feed
        if feed.format and name != feed.format:
            newest = max((one.newest for one in self.segments()), default=-LARGEST)
            feed = feed._replace(changed=FIRST_SLOT, opened=newest)
        self.save(feed._replace(format=name))

    def save(self, feed: Feed) -> None:
        """Write the state of the feed."""
        if feed != self.feed or not self._is_stored:
            self.feed = feed
            self._is_stored = True
            self._transaction.write(FEEDS, [feed])

    def find(self, events: Sequence[JudgedEvent]) -> Found:
        """Return the entries of events, by their keys and aliases.

        Aliases are looked up only after a change of the format, until memory from before it has
        expired.
        """
        keys: dict[EventKey, None] = dict.fromkeys(map(key_of, events))
        if not all(key[1] for key in keys):
            keys = dict.fromkeys(key for key in keys if key[1] is not None)
        if self.feed.changed >= 0:
            keys |= dict.fromkeys(alias for event in events for alias in event.aliases)
        return self.look_up(keys)

    def look_up(self, keys: Collection[EventKey]) -> Found:
        """Return the entries of events."""
        found: dict[EventKey, frozenset[str]] = {}
        sets: dict[int, frozenset[str]] = {}
        self._last_places = self._places(keys)
        for place, names in self._last_places.items():
            for segment in self._candidates(place):
                for block, part in self._blocks((place[0], segment), names):
                    for name, number in look_up(block.entries, part).items():
                        rules = sets.get(number)
                        if rules is None:
                            rules = sets[number] = self._sets.rules(number)
                        found[names[name]] = rules
        if self.feed.segment < 0 or len(found) == len(keys):
            return Found(found, {})
        left = [key for key in keys if key not in found]
        return Found(found, self._look_up_by_reading_time(left))

    def remember(
        self, changes: Mapping[EventKey, frozenset[str]], times: Mapping[EventKey, int]
    ) -> None:
        """Write new and changed entries.

        Args:
            changes: the rules that have judged each event.
            times: the times of the events for retention, milliseconds.
        """
        numbers = {rules: self._sets.number(rules) for rules in set(changes.values())}
        places = self._places_of(changes)
        rows = {
            place: Segment(self.feed.feed, _scope(place[0]), place[1], -LARGEST, 0, "[]")
            for place in places
        }
        stored = self._transaction.read(SEGMENTS, [row[:3] for row in rows.values()])
        by_key = {row[:3]: row for row in stored}
        for place, names in places.items():
            entries = {name: numbers[changes[key]] for name, key in names.items()}
            row = by_key.get(rows[place][:3], rows[place])
            used = {*json.loads(row.sets), *entries.values()}
            rows[place] = row._replace(
                newest=max(row.newest, *map(times.__getitem__, names.values())),
                entries=row.entries + self._merge(place, entries),
                sets=json.dumps(sorted(used)),
            )
        self._transaction.write(SEGMENTS, rows.values())

    def segments(self) -> list[Segment]:
        """Return all segments of the feed."""
        return self._transaction.read(SEGMENTS, [(self.feed.feed,)])

    def delete(self, segments: Iterable[Segment]) -> None:
        """Delete segments."""
        keys = [one[:3] for one in segments]
        self._transaction.delete(BLOCKS, keys)
        self._transaction.delete(SEGMENTS, keys)
        self._read.clear()

    def settle(self, left: Collection[Segment], is_over: Callable[[Segment, int], bool]) -> None:
        """Note that nothing by reading time, or from before a change of the format, is left.

        Args:
            left: the segments of the feed.
            is_over: says whether memory of a segment's events up to a time has expired.
        """
        feed = self.feed
        if feed.segment >= 0 and not any(one.segment < FIRST_SLOT for one in left):
            feed = feed._replace(segment=-1)
        if 0 <= feed.changed < FIRST_SLOT:
            earlier = (one.newest for one in left if one.segment <= feed.changed)
            feed = feed._replace(changed=FIRST_SLOT, opened=max(earlier, default=-LARGEST))
        if feed.changed >= 0 and all(is_over(one, feed.opened) for one in left):
            feed = feed._replace(changed=-1)
        if self._is_stored:
            self.save(feed)

    def drop_sets(self) -> None:
        """Delete the sets of rules that no segment refers to."""
        everything = self._transaction.scan(SEGMENTS)
        self._sets.keep_only({n for one in everything for n in json.loads(one.sets)})

    def _places(self, keys: Iterable[EventKey]) -> dict[_Place, dict[bytes, EventKey]]:
        """Return the names of entries and their keys, by scope and segment."""
        places: dict[_Place, dict[bytes, EventKey]] = {}
        names: dict[bytes, EventKey] = {}
        copy = self._state.copy
        scope: str | None = None
        begin = _NEVER
        for key in keys:
            if key[0] != scope:
                scope, begin = key[0], _NEVER
                state = self._state.copy()
                state.update(_scope(scope) + b"\0")
                copy = state.copy
            time = key[2]
            offset = -1 if time is None else time - begin
            # Most events are in the segment of the one before.
            if not 0 <= offset < SLOT:
                segment, offset = slot_of(time, self.now)
                names = places.setdefault((scope, segment), {})
                begin = _NEVER if time is None or abs(time) > LARGEST else time - offset
            digest = copy()
            digest.update(key[1].encode("utf-8", "surrogatepass"))
            names[offset.to_bytes(OFFSET_BYTES, "big") + digest.digest()] = key
        return places

    def _places_of(self, keys: Mapping[EventKey, object]) -> dict[_Place, dict[bytes, EventKey]]:
        """Return the places of keys; usually all of them were just looked up."""
        places = {
            place: {name: key for name, key in names.items() if key in keys}
            for place, names in self._last_places.items()
        }
        if sum(map(len, places.values())) < len(keys):
            return self._places(keys)
        return {place: names for place, names in places.items() if names}

    def _candidates(self, place: _Place) -> list[int]:
        """Return the segments in which to look for the entries of a place."""
        scope, segment = place
        if not _TIMELESS <= segment < _TIMELESS_END:
            return [segment]
        rows = self._transaction.read(SEGMENTS, [(self.feed.feed, _scope(scope))])
        return sorted(row.segment for row in rows if _TIMELESS <= row.segment < _TIMELESS_END)

    def _blocks(
        self, place: _Place, names: Iterable[bytes]
    ) -> Iterator[tuple[Block, Sequence[bytes]]]:
        """Yield the blocks of a place for these names, with their names."""
        return by_block(sorted(names), partial(self._block, place))

    def _block(self, place: _Place, name: bytes) -> Block:
        read = self._read.setdefault(place, [])
        for block in reversed(read):
            if block.first <= name and (not block.until or name < block.until):
                return block
        key = (self.feed.feed, _scope(place[0]), place[1], BY_EVENT_TIME)
        block = self._transaction.at_most(BLOCKS, (*key, name)) or Block(*key, b"", b"", b"")
        if len(read) < _BLOCKS_KEPT:
            read.append(block)
        return block

    def _merge(self, place: _Place, entries: Mapping[bytes, int]) -> int:
        """Write entries into a segment's blocks; return how many of them are new."""
        before = after = 0
        changed: list[Block] = []
        for block, names in self._blocks(place, entries):
            parts = list(insert(block, entries, names))
            before += len(block.entries)
            after += sum(len(part.entries) for part in parts)
            changed += parts
        self._transaction.write(BLOCKS, changed)
        self._read.pop(place, None)
        return (after - before) // ENTRY_BYTES

    def _look_up_by_reading_time(self, keys: Iterable[EventKey]) -> dict[EventKey, Remembered]:
        by_scope: dict[str, dict[bytes, list[EventKey]]] = {}
        for (scope, _), names in self._places(keys).items():
            digests = by_scope.setdefault(scope, {})
            for name, key in names.items():
                digests.setdefault(name[OFFSET_BYTES:], []).append(key)
        found: dict[EventKey, Remembered] = {}
        for scope, digests in by_scope.items():
            feed = (self.feed.feed, _scope(scope))
            for digest, number, time in entries_by_reading_time(self._transaction, feed, digests):
                one = Remembered(self._sets.rules(number), time)
                found |= dict.fromkeys(digests[digest], one)
        return found


def slot_of(time: int | None, now: int) -> tuple[int, int]:
    """Return the segment of an event and its time within it.

    Args:
        time: when the event happened, milliseconds; None if unknown.
        now: reading time, milliseconds.
    """
    if time is None:
        return _TIMELESS + now // _TIMELESS_SPAN, 0
    slot, offset = divmod(time % _CYCLE, SLOT)
    return _EPOCH + slot, offset


def _scope(scope: str) -> bytes:
    return scope.encode("utf-8", "surrogatepass")
