"""Memory of counted events: for each its digest, and the rules that have judged it.

An entry takes 17 bytes: digest, time, and the number of an interned set of rules. The entries of a
feed and scope are in segments, one for each span of reading time. A segment expires as a whole (see
retention), so nothing is rewritten. In a segment, entries are sorted by digest and cut into blocks;
a full block is split. New entries go to buffers first, because each belongs to another block.
"""

from __future__ import annotations

import hashlib
import json
import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.counting import Remembered
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    BLOCKS,
    FEEDS,
    RULE_SETS,
    SEGMENTS,
    Block,
    Feed,
    RuleSetRow,
    Segment,
)
from exporter.model import Identity, JudgedEvent

DIGEST_BYTES: Final = 12
_TIME_BYTES: Final = 3
_SET_BYTES: Final = 2
_ENTRY_BYTES: Final = DIGEST_BYTES + _TIME_BYTES + _SET_BYTES
_BUFFERS: Final = 0
_SORTED: Final = 1
_BLOCK_ENTRIES: Final = 1920
"""Limit for a block, 32 KiB. Large blocks fill the database's pages better."""
_BUFFERED: Final = 512
"""Limit for a buffer. A full one is merged into the blocks."""
_BELOW: Final = 48
"""A buffer with entries for more blocks is split, so that a commit writes few blocks."""
_SEGMENTS: Final = 8
"""About how many segments a feed has. New events are looked up in each."""
_SETS: Final = 1 << 8 * _SET_BYTES


class Memory:
    """A feed's memory in a transaction."""

    def __init__(self, transaction: Transaction, feed: str, secret: bytes, now: int) -> None:
        """Read the state of a feed, or write that of a new one.

        ``secret`` keys the digests, so no one can choose ids that collide. ``now`` is the reading
        time, milliseconds.
        """
        self._transaction = transaction
        self._secret = secret
        self.now = now
        found = transaction.read(FEEDS, [(feed,)])
        self.feed = found[0] if found else Feed(feed, "", 0, now, -1, None, None, None)
        if not found:
            transaction.write(FEEDS, [self.feed])
        self._sets: dict[int, str] | None = None

    def use_format(self, name: str) -> None:
        """Start another segment if the source's format has changed."""
        if name == self.feed.format:
            return
        feed = self.feed
        if feed.format:
            feed = feed._replace(changed=feed.segment, segment=feed.segment + 1, opened=self.now)
        self.save(feed._replace(format=name))

    def save(self, feed: Feed) -> None:
        """Write the state of the feed."""
        if feed != self.feed:
            self.feed = feed
            self._transaction.write(FEEDS, [feed])

    def find(self, events: Iterable[JudgedEvent]) -> dict[Identity, Remembered]:
        """Return the entries of events, by identity or alias.

        Aliases are looked up in segments from before the last change of the format only.
        """
        own: set[Identity] = set()
        aliases: set[Identity] = set()
        for event in events:
            if event.event_id is not None:
                own.add((event.scope, event.event_id))
                aliases.update(event.aliases)
        found = dict(self._find(own))
        if self.feed.changed >= 0:
            found |= self._find(aliases - own, up_to=self.feed.changed)
        return found

    def find_identities(self, identities: Iterable[Identity]) -> dict[Identity, Remembered]:
        """Return the entries with these identities."""
        return dict(self._find(identities))

    def remember(
        self, changes: Mapping[Identity, Remembered], times: Mapping[Identity, int]
    ) -> None:
        """Write new and changed entries.

        ``times``: the times of their events for retention, milliseconds.
        """
        numbers = {judged: self._number(judged) for judged in {c.judged for c in changes.values()}}
        by_segment: dict[tuple[bytes, int], list[Identity]] = defaultdict(list)
        for identity, change in changes.items():
            segment = self.feed.segment if change.segment is None else change.segment
            by_segment[_scope(identity), segment].append(identity)
        for key, identities in by_segment.items():
            entries: dict[bytes, bytes] = {}
            for identity in identities:
                change = changes[identity]
                entries[self._digest(identity)] = change.time.to_bytes(
                    _TIME_BYTES, "big"
                ) + numbers[change.judged].to_bytes(_SET_BYTES, "big")
            self._merge(*key, entries)
            added = sum(changes[identity].segment is None for identity in identities)
            newest = max(times[identity] for identity in identities)
            found = self._transaction.read(SEGMENTS, [(self.feed.feed, *key)])
            row = found[0] if found else Segment(self.feed.feed, *key, newest, 0, "[]")
            used = {*json.loads(row.sets), *(numbers[changes[one].judged] for one in identities)}
            row = row._replace(
                newest=max(newest, row.newest),
                entries=row.entries + added,
                sets=json.dumps(sorted(used)),
            )
            self._transaction.write(SEGMENTS, [row])

    def segments(self) -> list[Segment]:
        """Return all segments of the feed."""
        return self._transaction.read(SEGMENTS, [(self.feed.feed,)])

    def delete(self, segments: Iterable[Segment]) -> None:
        """Delete segments, and the rule sets that no other segment refers to."""
        keys = [(one.feed, one.scope, one.segment) for one in segments]
        if not keys:
            return
        self._transaction.delete(BLOCKS, keys)
        self._transaction.delete(SEGMENTS, keys)
        used = {n for one in self._transaction.read(SEGMENTS) for n in json.loads(one.sets)}
        unused = self._all_sets().keys() - used
        self._transaction.delete(RULE_SETS, [(number,) for number in unused])
        self._sets = None

    def rotate(self, memory: int) -> None:
        """Start another segment if the current one has been open for its time span.

        ``memory``: how long events are remembered, milliseconds. If a partition delays their
        expiry, the span of segments grows, which limits their number.
        """
        feed, segments = self.feed, self.segments()
        numbers = {one.segment for one in segments}
        if feed.changed >= 0 and not any(number <= feed.changed for number in numbers):
            feed = feed._replace(changed=-1)
        span = max(1, memory // (_SEGMENTS // 2)) * 2 ** max(0, len(numbers) - _SEGMENTS)
        if feed.segment in numbers and self.now - feed.opened >= span:
            feed = feed._replace(segment=feed.segment + 1, opened=self.now)
        self.save(feed)

    def _find(
        self, identities: Iterable[Identity], *, up_to: float = math.inf
    ) -> Iterator[tuple[Identity, Remembered]]:
        by_scope: dict[bytes, dict[bytes, Identity]] = defaultdict(dict)
        for identity in identities:
            by_scope[_scope(identity)][self._digest(identity)] = identity
        for scope, names in by_scope.items():
            left = set(names)
            segments = self._transaction.read(SEGMENTS, [(self.feed.feed, scope)])
            for segment in sorted(segments, key=lambda one: -one.segment):
                if not left or segment.segment > up_to:
                    continue
                for level in (_BUFFERS, _SORTED):
                    for block, digests in self._blocks((scope, segment.segment, level), left):
                        for digest in digests:
                            entry = _entry(block.entries, digest)
                            if entry is not None:
                                left.discard(digest)
                                yield names[digest], self._remembered(entry, segment.segment)

    def _blocks(
        self, key: tuple[bytes, int, int], digests: Iterable[bytes]
    ) -> Iterator[tuple[Block, list[bytes]]]:
        """Yield the blocks of a (scope, segment, level) for these digests, with their digests."""
        rest = sorted(digests)
        start = 0
        while start < len(rest):
            block = self._transaction.at_most(BLOCKS, (self.feed.feed, *key, rest[start]))
            if block is None:
                block = Block(self.feed.feed, *key, b"", b"", b"")
            end = bisect_left(rest, block.until) if block.until else len(rest)
            if end <= start:
                raise LedgerError(
                    f"The ledger's memory of {self.feed.feed} has a gap: table blocks, segment "
                    f"{block.segment}. Restore the ledger from a backup."
                )
            yield block, rest[start:end]
            start = end

    def _merge(self, scope: bytes, segment: int, entries: Mapping[bytes, bytes]) -> None:
        """Write entries into a segment's buffers; merge full buffers into its blocks."""
        for buffer, digests in list(self._blocks((scope, segment, _BUFFERS), entries)):
            content = _unpacked(buffer.entries)
            _insert(content, [digest + entries[digest] for digest in digests])
            if len(content) <= _BUFFERED:
                self._transaction.write(BLOCKS, [buffer._replace(entries=b"".join(content))])
                continue
            by_digest = {one[:DIGEST_BYTES]: one for one in content}
            below = list(self._blocks((scope, segment, _SORTED), by_digest))
            for block, names in below:
                merged = _unpacked(block.entries)
                _insert(merged, [by_digest[name] for name in names])
                self._transaction.write(BLOCKS, _cut(block, merged))
            middle = below[len(below) // 2][0].first
            emptied = buffer._replace(entries=b"")
            if len(below) > _BELOW:
                self._transaction.write(BLOCKS, [emptied._replace(first=middle)])
                emptied = emptied._replace(until=middle)
            self._transaction.write(BLOCKS, [emptied])

    def _remembered(self, entry: bytes, segment: int) -> Remembered:
        number = int.from_bytes(entry[_TIME_BYTES:], "big")
        rules = self._all_sets().get(number)
        if rules is None:
            raise LedgerError(
                f"The ledger's memory refers to rule set {number}, which is not in table rule_sets."
                " Restore the ledger from a backup."
            )
        time = int.from_bytes(entry[:_TIME_BYTES], "big")
        return Remembered(_rules(rules), time, segment)

    def _number(self, judged: frozenset[str]) -> int:
        """Return the number of a set of rules; a new one gets the lowest free number."""
        sets, rules = self._all_sets(), json.dumps(sorted(judged), separators=(",", ":"))
        for number, known in sets.items():
            if known == rules:
                return number
        number = next((one for one in range(_SETS) if one not in sets), -1)
        if number < 0:
            raise LedgerError(
                f"The ledger's memory has {_SETS} different sets of rules, which is the limit. "
                "Change the rules less often, or shorten the lookback of sources."
            )
        sets[number] = rules
        self._transaction.write(RULE_SETS, [RuleSetRow(number, rules)])
        return number

    def _all_sets(self) -> dict[int, str]:
        if self._sets is None:
            self._sets = {one.id: one.rules for one in self._transaction.read(RULE_SETS)}
        return self._sets

    def _digest(self, identity: Identity) -> bytes:
        name = "\0".join((self.feed.feed, *identity)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(name, digest_size=DIGEST_BYTES, key=self._secret).digest()


def check_block(block: Block) -> str | None:
    """Return the problem with a block's contents, or None."""
    digests = [entry[:DIGEST_BYTES] for entry in _unpacked(block.entries)]
    if len(block.entries) % _ENTRY_BYTES or digests != sorted(set(digests)):
        return "entries that are not in order"
    if digests and not (
        block.first <= digests[0] and (not block.until or digests[-1] < block.until)
    ):
        return "entries that belong to another block"
    return None


def _scope(identity: Identity) -> bytes:
    return identity[0].encode("utf-8", "surrogatepass")


def _entry(entries: bytes, digest: bytes) -> bytes | None:
    """Return the rest of the entry with a digest."""
    starts = range(0, len(entries), _ENTRY_BYTES)
    at = bisect_left(starts, digest, key=lambda start: entries[start : start + DIGEST_BYTES])
    entry = entries[at * _ENTRY_BYTES : (at + 1) * _ENTRY_BYTES]
    return entry[DIGEST_BYTES:] if entry.startswith(digest) else None


def _unpacked(entries: bytes) -> list[bytes]:
    return [entries[at : at + _ENTRY_BYTES] for at in range(0, len(entries), _ENTRY_BYTES)]


def _insert(content: list[bytes], entries: Iterable[bytes]) -> None:
    """Insert entries into sorted ones, replacing those with the same digest."""
    for entry in entries:
        digest = entry[:DIGEST_BYTES]
        at = bisect_left(content, digest)
        if at < len(content) and content[at].startswith(digest):
            content[at] = entry
        else:
            content.insert(at, entry)


def _cut(block: Block, content: Sequence[bytes]) -> Iterator[Block]:
    """Yield the block with new content, cut into equal parts if it is too much for one."""
    parts = -(-len(content) // _BLOCK_ENTRIES)
    size = -(-len(content) // parts)
    for start in range(0, len(content), size):
        after = start + size
        yield block._replace(
            first=content[start][:DIGEST_BYTES] if start else block.first,
            until=content[after][:DIGEST_BYTES] if after < len(content) else block.until,
            entries=b"".join(content[start:after]),
        )


@lru_cache(maxsize=1024)
def _rules(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))
