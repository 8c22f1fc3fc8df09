"""Blocks of memory as bytes: sorted entries of a segment, each 17 bytes.

An entry is the event's time within its segment (3), a digest of its id (12), and the number of the
set of rules that have judged it (2).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from struct import Struct
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.tables import BY_READING_TIME, Block

DIGEST_BYTES: Final = 12
OFFSET_BYTES: Final = 3
NAME_BYTES: Final = OFFSET_BYTES + DIGEST_BYTES
ENTRY_BYTES: Final = NAME_BYTES + 2
BLOCK_ENTRIES: Final = 500
"""Limit for a block, 8.3 KiB: SQLite stores it with two full overflow pages and a short rest. A
larger block would cost more to write again for each commit, a smaller one more bytes an entry."""

_ENTRY: Final = Struct(f">{NAME_BYTES}sH")
_NAME: Final = f"{NAME_BYTES}s2x"
_CELL: Final = f"{ENTRY_BYTES}s"
_FEW: Final = 16
"""So many names are searched for; for more, the block is decoded."""


def by_block(
    names: Sequence[bytes], block_of: Callable[[bytes], Block | None]
) -> Iterator[tuple[Block, Sequence[bytes]]]:
    """Yield the blocks for sorted names, each with its names; ends at a name without a block.

    ``block_of`` returns the block that a name belongs to. Raises LedgerError if one is missing
    between others.
    """
    start = 0
    while start < len(names):
        block = block_of(names[start])
        if block is None:
            return
        end = bisect_left(names, block.until) if block.until else len(names)
        if end <= start:
            raise LedgerError(
                f"The ledger's memory of {block.feed} has a gap: table blocks, segment "
                f"{block.segment}. Restore the ledger from a backup."
            )
        yield block, names[start:end]
        start = end


def look_up(entries: bytes, names: Sequence[bytes]) -> dict[bytes, int]:
    """Return the entries with these names (time and digest): the numbers of their sets.

    ``names`` are sorted.
    """
    if not names or names[-1] < entries[:NAME_BYTES] or names[0] > entries[-ENTRY_BYTES:-2]:
        return {}
    if len(names) > _FEW:
        if set(_cells(entries, _NAME)).isdisjoint(names):
            return {}
        numbers: dict[bytes, int] = dict(_ENTRY.iter_unpack(entries))
        return {name: numbers[name] for name in names if name in numbers}
    found = {}
    for name in names:
        at = entries.find(name)
        while at > 0 and at % ENTRY_BYTES:
            at = entries.find(name, at + 1)
        if at >= 0:
            found[name] = int.from_bytes(entries[at + NAME_BYTES : at + ENTRY_BYTES], "big")
    return found


def insert(block: Block, added: Mapping[bytes, int], names: Sequence[bytes]) -> Iterator[Block]:
    """Yield the block with more entries, cut into several if it has too many.

    Entries mostly come in the order of time, forwards or backwards. Then blocks are filled, and not
    cut in halves.

    Args:
        block: the block.
        added: numbers by name; a known name gets another number.
        names: the names of those that belong to this block, sorted.
    """
    before = block.entries
    packed = [_ENTRY.pack(name, added[name]) for name in names]
    old = len(before) // ENTRY_BYTES
    if not old or names[0] > before[-ENTRY_BYTES : len(before) - 2]:
        entries = before + b"".join(packed)
        sizes = _filled(len(entries) // ENTRY_BYTES)
    elif names[-1] < before[:NAME_BYTES]:
        entries = b"".join(packed) + before
        sizes = _filled(len(entries) // ENTRY_BYTES)[::-1]
    else:
        cells = dict(zip(_cells(before, _NAME), _cells(before, _CELL), strict=True))
        cells.update(zip(names, packed, strict=True))
        entries = b"".join(sorted(cells.values()))
        sizes = _halved(len(cells))
    yield from _cut(block, entries, sizes)


def problem_of(block: Block) -> str | None:
    """Return the problem with a block's contents, or None."""
    length = DIGEST_BYTES if block.level in BY_READING_TIME else NAME_BYTES
    starts = range(0, len(block.entries), ENTRY_BYTES)
    names = [block.entries[start : start + length] for start in starts]
    if len(block.entries) % ENTRY_BYTES or names != sorted(set(names)):
        return "entries that are not in order"
    if names and not (block.first <= names[0] and (not block.until or names[-1] < block.until)):
        return "entries that belong to another block"
    return None


def _cells(entries: bytes, cell: str) -> tuple[bytes, ...]:
    """Return a part of each entry."""
    count = len(entries) // ENTRY_BYTES
    # Padded, since compiling the format for each number of entries would take longer.
    cells = _cells_of(cell, -(-count // BLOCK_ENTRIES) * BLOCK_ENTRIES)
    return cells.unpack(entries.ljust(cells.size, b"\0"))[:count]


@cache
def _cells_of(cell: str, count: int) -> Struct:
    return Struct(cell * count)


def _filled(entries: int) -> list[int]:
    full, rest = divmod(entries, BLOCK_ENTRIES)
    return [BLOCK_ENTRIES] * full + [rest] * bool(rest)


def _halved(entries: int) -> list[int]:
    parts = -(-entries // BLOCK_ENTRIES)
    return [entries * (part + 1) // parts - entries * part // parts for part in range(parts)]


def _cut(block: Block, entries: bytes, sizes: Sequence[int]) -> Iterator[Block]:
    start = 0
    for size in sizes:
        end = start + size * ENTRY_BYTES
        yield block._replace(
            first=entries[start : start + NAME_BYTES] if start else block.first,
            until=entries[end : end + NAME_BYTES] if end < len(entries) else block.until,
            entries=entries[start:end],
        )
        start = end
