"""The rendered text of series in sorted order, in blocks; a block is compressed once it changes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, MutableSequence
from itertools import accumulate
from typing import Final, Generic, TypeAlias, TypeVar

from exporter.compression import Deflated, deflate

T = TypeVar("T")

MOST: Final = 64
"""Series in a block; about 44 if they come in any order. If 1 % of all series changes at random, a
third of such blocks change. Larger ones compress better, and more of them change."""


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


Pieces: TypeAlias = tuple[bytes, bytes]
"""A series' lines in both formats: 0.0.4 and OpenMetrics."""


class Lines:
    """The lines of some series in one format, as one text.

    It takes less memory than many texts, and lies in fewer places of it.
    """

    __slots__ = ("bounds", "text")

    def __init__(self, text: bytearray, bounds: array[int]) -> None:
        """``bounds``: 0, and where the lines of each series end."""
        self.text = text
        self.bounds = bounds

    def of(self, index: int) -> bytes:
        """The lines of the series at a place."""
        return bytes(self.text[self.bounds[index] : self.bounds[index + 1]])

    def put(self, first: int, last: int, *lines: bytes) -> None:
        """Replace the series from one place up to another."""
        bounds = self.bounds
        start = bounds[first]
        end = bounds[last]
        self.text[start:end] = b"".join(lines)
        moved = start - end + sum(map(len, lines))
        if moved or len(lines) != last - first:
            ends = [start + length for length in accumulate(map(len, lines))]
            ends += [bound + moved for bound in bounds[last + 1 :]]
            bounds[first + 1 :] = array("I", ends)

    def cut(self, index: int) -> Lines:
        """Take out the series from a place on."""
        at = self.bounds[index]
        rest = array("I", [bound - at for bound in self.bounds[index:]])
        lines = Lines(self.text[at:], rest)
        # A copy, since a text that is shortened in place keeps its memory.
        self.text = self.text[:at]
        self.bounds = self.bounds[: index + 1]
        return lines


class Block(Generic[T]):
    """Some series in a row."""

    __slots__ = ("_openmetrics", "_plain", "kept", "keys", "states")

    def __init__(
        self,
        plain: Lines,
        openmetrics: Lines,
        states: MutableSequence[T],
        keys: list[bytes] | None,
    ) -> None:
        """``keys``: None if the lines of each series begin with its key."""
        self._plain = plain
        self._openmetrics = openmetrics
        self.states = states
        self.keys = keys
        self.kept: list[Deflated | None] = [None, None]
        """The compressed text in each format (0.0.4, OpenMetrics). A new list for each change, so
        that text of an earlier moment is not kept."""

    def text(self, *, openmetrics: bool) -> Text:
        """The block's text at this moment."""
        lines = self._openmetrics if openmetrics else self._plain
        return Text(bytes(lines.text), self.kept, openmetrics=openmetrics)

    def place(self, key: bytes) -> int:
        """Where a series is or would be inserted."""
        if self.keys is not None:
            return bisect_left(self.keys, key)
        text, bounds, length = self._plain.text, self._plain.bounds, len(key)
        low, high = 0, len(bounds) - 1
        while low < high:
            middle = (low + high) >> 1
            start = bounds[middle]
            if text[start : start + length] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def has(self, key: bytes, index: int) -> bool:
        """Whether the series at this place is that one."""
        if index == len(self.states):
            return False
        if self.keys is not None:
            return self.keys[index] == key
        return self._plain.text.startswith(key, self._plain.bounds[index])

    def key(self, index: int) -> bytes:
        """The key of the series at a place."""
        if self.keys is not None:
            return self.keys[index]
        line = self._plain.of(index)
        return line[: line.rindex(b" ") + 1]

    def replace(self, index: int, pieces: Pieces, state: T) -> None:
        """Set the lines and the state of the series at a place."""
        self._plain.put(index, index + 1, pieces[0])
        self._openmetrics.put(index, index + 1, pieces[1])
        self.states[index] = state
        self.kept = [None, None]

    def insert(self, index: int, key: bytes, pieces: Pieces, state: T) -> None:
        """Insert a series at a place."""
        self._plain.put(index, index, pieces[0])
        self._openmetrics.put(index, index, pieces[1])
        self.states.insert(index, state)
        if self.keys is not None:
            self.keys.insert(index, key)
        self.kept = [None, None]

    def remove(self, index: int) -> None:
        """Take out the series at a place."""
        self._plain.put(index, index + 1)
        self._openmetrics.put(index, index + 1)
        del self.states[index]
        if self.keys is not None:
            del self.keys[index]
        self.kept = [None, None]

    def cut(self, index: int) -> Block[T]:
        """Take out the series from a place on, as a block of their own."""
        keys = None if self.keys is None else self.keys[index:]
        plain, openmetrics = self._plain.cut(index), self._openmetrics.cut(index)
        rest = Block(plain, openmetrics, self.states[index:], keys)
        self.states = self.states[:index]
        if self.keys is not None:
            del self.keys[index:]
        self.kept = [None, None]
        return rest

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the lines."""
        self.keys = [self.key(index) for index in range(len(self.states))]

    def series(self) -> Iterator[tuple[bytes, Pieces, T]]:
        """Each series: its key, its lines, its state."""
        for index, state in enumerate(self.states):
            yield self.key(index), (self._plain.of(index), self._openmetrics.of(index)), state


class Blocks(Generic[T]):
    """Series by their key: the text before the value, which ends in a space.

    No key is the beginning of another one, so lines sort like their keys, and keys need not be
    kept in addition to them.
    """

    def __init__(self, states: MutableSequence[T], *, separate_keys: bool) -> None:
        """``states``: an empty sequence; states are kept in copies of it.

        ``separate_keys``: the lines of a series do not begin with its key.
        """
        self._no_states = states
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
        index = block.place(key)
        return (block, index) if block.has(key, index) else None

    def add(self, key: bytes, pieces: Pieces, state: T) -> None:
        """Insert a series that is not here yet."""
        if not self._blocks:
            keys: list[bytes] | None = [] if self.has_separate_keys else None
            plain, openmetrics = (Lines(bytearray(), array("I", [0])) for _ in range(2))
            self._blocks.append(Block(plain, openmetrics, self._no_states[:], keys))
            self._firsts.append(key)
        number = max(bisect_right(self._firsts, key) - 1, 0)
        block = self._blocks[number]
        index = block.place(key)
        block.insert(index, key, pieces, state)
        if index == 0:
            self._firsts[number] = key
        if len(block.states) > MOST:
            # Series that come in order leave full blocks behind.
            last = number == len(self._blocks) - 1 and index == MOST
            rest = block.cut(MOST if last else MOST // 2)
            self._blocks.insert(number + 1, rest)
            self._firsts.insert(number + 1, rest.key(0))

    def remove(self, key: bytes) -> None:
        """Take a series out, if it is here."""
        found = self.find(key)
        if found is None:
            return
        block, index = found
        block.remove(index)
        if not block.states:
            number = bisect_right(self._firsts, key) - 1
            del self._blocks[number], self._firsts[number]

    def render(self, *, openmetrics: bool, compressed: bool) -> list[Text | Deflated]:
        """The text of all series at this moment; ``compressed``: where it is kept so."""
        if compressed:
            return [
                block.kept[openmetrics] or block.text(openmetrics=openmetrics)
                for block in self._blocks
            ]
        return [block.text(openmetrics=openmetrics) for block in self._blocks]

    def series(self) -> Iterator[tuple[bytes, Pieces, T]]:
        """Each series: its key, its text in pieces, its state."""
        for block in self._blocks:
            yield from block.series()

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the lines."""
        if self.has_separate_keys:
            return
        self.has_separate_keys = True
        for block in self._blocks:
            block.separate_keys()
