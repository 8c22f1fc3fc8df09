"""Reads memory from before it went by event time; nothing is added to it, and it expires.

Its segments are spans of reading time. In each, new entries were buffered (level 0) before they
were merged into blocks sorted by digest (level 1). An entry is a digest, the time that its API
selects by modulo TIME_PERIOD, and the number of a set of rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator
from functools import partial

from exporter.ledger.blocks import DIGEST_BYTES, ENTRY_BYTES, by_block
from exporter.ledger.store import Transaction
from exporter.ledger.tables import BLOCKS, BY_READING_TIME, FIRST_SLOT, SEGMENTS, Block


def entries_by_reading_time(
    transaction: Transaction, feed: tuple[str, bytes], digests: Collection[bytes]
) -> Iterator[tuple[bytes, int, int]]:
    """Yield the entries with these digests: the digest, the number of its set, and its time.

    ``feed``: the feed and the scope.
    """
    left = set(digests)
    segments = [one.segment for one in transaction.read(SEGMENTS, [feed])]
    for segment in sorted((one for one in segments if one < FIRST_SLOT), reverse=True):
        for level in BY_READING_TIME:
            key = (*feed, segment, level)
            for block, names in by_block(sorted(left), partial(_block, transaction, key)):
                for name in names:
                    entry = _entry(block.entries, name)
                    if entry is not None:
                        left.discard(name)
                        yield (
                            name,
                            int.from_bytes(entry[-2:], "big"),
                            int.from_bytes(entry[:-2], "big"),
                        )


def _block(
    transaction: Transaction, key: tuple[str, bytes, int, int], digest: bytes
) -> Block | None:
    return transaction.at_most(BLOCKS, (*key, digest))


def _entry(entries: bytes, digest: bytes) -> bytes | None:
    """Return the rest of the entry with a digest."""
    starts = range(0, len(entries), ENTRY_BYTES)
    at = bisect_left(starts, digest, key=lambda start: entries[start : start + DIGEST_BYTES])
    entry = entries[at * ENTRY_BYTES : (at + 1) * ENTRY_BYTES]
    return entry[DIGEST_BYTES:] if entry.startswith(digest) else None
