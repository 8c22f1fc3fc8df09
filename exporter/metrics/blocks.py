"""The rendered text of series in sorted order, in blocks; a block is compressed once it changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from exporter.compression import Deflated, deflate

T = TypeVar("T")

MOST: Final = 64
"""Series in a block. If 1 % of all series changes at random, 40 % of such blocks change. Larger
ones compress better, and more of them change."""


class Text:
    """A part of a page as it was at one moment."""

    __slots__ = ("_kept", "_openmetrics", "raw")

    def __init__(
        self, raw: bytes, kept: list[Deflated | None] | None = None, *, openmetrics: bool = False
    ) -> None:
        """``kept``: where a block keeps the compressed text of this moment, by format."""
        self.raw = raw
        self._kept = kept
        self._openmetrics = openmetrics

    @property
    def is_of_block(self) -> bool:
        """Whether its compressed text is kept."""
        return self._kept is not None

    def deflated(self) -> Deflated:
        """The text, compressed; ``raw`` is freed for the next one's."""
        raw, self.raw = self.raw, b""
        deflated = deflate(raw)
        if self._kept is not None:
            self._kept[self._openmetrics] = deflated
        return deflated


class Block(Generic[T]):
    """Some series in a row.

    The text of a series is in two columns (counters: the sample, and what OpenMetrics has after
    it, the end of the line included) or in four (see ``families.histogram_pieces``).
    """

    __slots__ = ("columns", "kept", "keys", "states")

    def __init__(self, keys: list[bytes] | None, columns: list[list[bytes]], states: list[T]):
        """``keys``: None if the first column begins with them."""
        self.keys = columns[0] if keys is None else keys
        self.columns = columns
        self.states = states
        self.kept: list[Deflated | None] = [None, None]
        """The compressed text in each format (0.0.4, OpenMetrics). A new list for each change, so
        that text of an earlier moment is not kept."""

    def text(self, *, openmetrics: bool) -> Text:
        """The block's text at this moment."""
        if openmetrics:
            raw = _interleaved(self.columns)
        elif len(self.columns) == 2:
            raw = b"\n".join((*self.columns[0], b""))
        else:
            raw = _interleaved(self.columns[0::2])
        return Text(raw, self.kept, openmetrics=openmetrics)

    def replace(self, index: int, pieces: Sequence[bytes], state: T) -> None:
        """Set the text and the state of the series at a place."""
        for column, piece in zip(self.columns, pieces, strict=True):
            column[index] = piece
        self.states[index] = state
        self.kept = [None, None]


class Blocks(Generic[T]):
    """Series by their key: the text before the value, which ends in a space.

    No key is the beginning of another one, so lines sort like their keys, and keys need not be
    kept in addition to them.
    """

    def __init__(self, columns: int, *, separate_keys: bool) -> None:
        """``separate_keys``: the first column does not begin with the key."""
        self._columns = columns
        self.has_separate_keys = separate_keys
        self._blocks: list[Block[T]] = []
        self._firsts: list[bytes] = []
        """The first key of each block."""

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def __iter__(self) -> Iterator[Block[T]]:
        return iter(self._blocks)

    def find(self, key: bytes) -> tuple[Block[T], int] | None:
        """Where a series is: its block and its place in it."""
        number = bisect_right(self._firsts, key) - 1
        if number < 0:
            return None
        block = self._blocks[number]
        index = bisect_left(block.keys, key)
        if index < len(block.keys) and block.keys[index].startswith(key):
            return block, index
        return None

    def add(self, key: bytes, pieces: Sequence[bytes], state: T) -> None:
        """Insert a series that is not here yet."""
        if not self._blocks:
            keys: list[bytes] | None = [] if self.has_separate_keys else None
            self._blocks.append(Block(keys, [[] for _ in range(self._columns)], []))
            self._firsts.append(key)
        number = max(bisect_right(self._firsts, key) - 1, 0)
        block = self._blocks[number]
        index = bisect_left(block.keys, key)
        if self.has_separate_keys:
            block.keys.insert(index, key)
        for column, piece in zip(block.columns, pieces, strict=True):
            column.insert(index, piece)
        block.states.insert(index, state)
        block.kept = [None, None]
        if index == 0:
            self._firsts[number] = key
        if len(block.states) > MOST:
            # Series that come in order leave full blocks behind.
            last = number == len(self._blocks) - 1 and index == MOST
            self._split(number, MOST if last else MOST // 2, key if last else None)

    def remove(self, key: bytes) -> None:
        """Take a series out, if it is here."""
        found = self.find(key)
        if found is None:
            return
        block, index = found
        number = bisect_right(self._firsts, key) - 1
        if self.has_separate_keys:
            del block.keys[index]
        for column in block.columns:
            del column[index]
        del block.states[index]
        block.kept = [None, None]
        if not block.states:
            del self._blocks[number], self._firsts[number]

    def render(self, *, openmetrics: bool, compressed: bool) -> list[Text | Deflated]:
        """The text of all series at this moment; ``compressed``: where it is kept so."""
        if compressed:
            return [
                block.kept[openmetrics] or block.text(openmetrics=openmetrics)
                for block in self._blocks
            ]
        return [block.text(openmetrics=openmetrics) for block in self._blocks]

    def series(self) -> Iterator[tuple[bytes, tuple[bytes, ...], T]]:
        """Each series: its key, its text in pieces, its state."""
        for block in self._blocks:
            for line, pieces, state in zip(
                block.keys, zip(*block.columns, strict=True), block.states, strict=True
            ):
                yield key_of(line), pieces, state

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the first column."""
        if self.has_separate_keys:
            return
        self.has_separate_keys = True
        for block in self._blocks:
            block.keys = [key_of(line) for line in block.columns[0]]

    def _split(self, number: int, at: int, first: bytes | None) -> None:
        block = self._blocks[number]
        keys = block.keys[at:] if self.has_separate_keys else None
        columns = [column[at:] for column in block.columns]
        rest = Block(keys, columns, block.states[at:])
        self._firsts.insert(number + 1, first or key_of(rest.keys[0]))
        self._blocks.insert(number + 1, rest)
        if self.has_separate_keys:
            del block.keys[at:]
        for column in block.columns:
            del column[at:]
        del block.states[at:]


def key_of(line: bytes) -> bytes:
    """The key of a series, from the line that begins with it."""
    return line[: line.rindex(b" ") + 1]


def _interleaved(columns: Sequence[list[bytes]]) -> bytes:
    """The first pieces of all columns, then the second ones, and so on."""
    count = len(columns)
    pieces = [b""] * (count * len(columns[0]))
    for number, column in enumerate(columns):
        pieces[number::count] = column
    return b"".join(pieces)
