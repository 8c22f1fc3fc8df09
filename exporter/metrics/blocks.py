"""The rendered text of series in sorted order, in blocks; a block is compressed once it changes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, MutableSequence, Sequence
from typing import Final, Generic, TypeVar

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


class Block(Generic[T]):
    """Some series in a row, as one text.

    A series has two pieces of it (counters: the sample, and what OpenMetrics has after it, the end
    of the line included) or four (see ``families.histogram_pieces``). Every second piece is
    OpenMetrics' only. One text takes less memory than many, and is in few places of it.
    """

    __slots__ = ("_bounds", "_text", "_width", "kept", "keys", "states")

    def __init__(
        self,
        width: int,
        text: bytearray,
        bounds: array[int],
        states: MutableSequence[T],
        keys: list[bytes] | None,
    ) -> None:
        """``width``: pieces of a series. ``bounds``: 0, and where each piece ends.

        ``keys``: None if the text of each series begins with its key.
        """
        self._width = width
        self._text = text
        self._bounds = bounds
        self.states = states
        self.keys = keys
        self.kept: list[Deflated | None] = [None, None]
        """The compressed text in each format (0.0.4, OpenMetrics). A new list for each change, so
        that text of an earlier moment is not kept."""

    def text(self, *, openmetrics: bool) -> Text:
        """The block's text at this moment."""
        raw = bytes(self._text)
        if not openmetrics:
            bounds = self._bounds
            shown = map(raw.__getitem__, map(slice, bounds[:-1:2], bounds[1::2]))
            raw = b"\n".join((*shown, b"")) if self._width == 2 else b"".join(shown)
        return Text(raw, self.kept, openmetrics=openmetrics)

    def place(self, key: bytes) -> int:
        """Where a series is or would be inserted."""
        if self.keys is not None:
            return bisect_left(self.keys, key)
        text, bounds, width, length = self._text, self._bounds, self._width, len(key)
        low, high = 0, len(self.states)
        while low < high:
            middle = (low + high) >> 1
            start = bounds[middle * width]
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
        return self._text.startswith(key, self._bounds[index * self._width])

    def key(self, index: int) -> bytes:
        """The key of the series at a place."""
        if self.keys is not None:
            return self.keys[index]
        first = index * self._width
        line = self._text[self._bounds[first] : self._bounds[first + 1]]
        return bytes(line[: line.rindex(b" ") + 1])

    def replace(self, index: int, pieces: Sequence[bytes], state: T) -> None:
        """Set the text and the state of the series at a place."""
        self._put(index * self._width, (index + 1) * self._width, pieces)
        self.states[index] = state

    def insert(self, index: int, key: bytes, pieces: Sequence[bytes], state: T) -> None:
        """Insert a series at a place."""
        self._put(index * self._width, index * self._width, pieces)
        self.states.insert(index, state)
        if self.keys is not None:
            self.keys.insert(index, key)

    def remove(self, index: int) -> None:
        """Take out the series at a place."""
        self._put(index * self._width, (index + 1) * self._width, ())
        del self.states[index]
        if self.keys is not None:
            del self.keys[index]

    def cut(self, index: int) -> Block[T]:
        """Take out the series from a place on, as a block of their own."""
        first = index * self._width
        at = self._bounds[first]
        rest = Block(
            self._width,
            self._text[at:],
            array("I", [bound - at for bound in self._bounds[first:]]),
            self.states[index:],
            None if self.keys is None else self.keys[index:],
        )
        # A copy, since a text that is shortened in place keeps its memory.
        self._text = self._text[:at]
        self._bounds = self._bounds[: first + 1]
        self.states = self.states[:index]
        self.keys = None if self.keys is None else self.keys[:index]
        self.kept = [None, None]
        return rest

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the text."""
        self.keys = [self.key(index) for index in range(len(self.states))]

    def series(self) -> Iterator[tuple[bytes, list[bytes], T]]:
        """Each series: its key, its text in pieces, its state."""
        text, bounds = bytes(self._text), self._bounds
        for index, state in enumerate(self.states):
            places = range(index * self._width, (index + 1) * self._width)
            yield self.key(index), [text[bounds[at] : bounds[at + 1]] for at in places], state

    def _put(self, first: int, last: int, pieces: Sequence[bytes]) -> None:
        """Replace the pieces from one place up to another."""
        bounds = self._bounds
        start = bounds[first]
        end = bounds[last]
        self._text[start:end] = b"".join(pieces)
        ends = []
        for piece in pieces:
            start += len(piece)
            ends.append(start)
        if start != end:
            moved = start - end
            ends += [bound + moved for bound in bounds[last + 1 :]]
            bounds[first + 1 :] = array("I", ends)
        elif ends:
            bounds[first + 1 : last + 1] = array("I", ends)
        self.kept = [None, None]


class Blocks(Generic[T]):
    """Series by their key: the text before the value, which ends in a space.

    No key is the beginning of another one, so lines sort like their keys, and keys need not be
    kept in addition to them.
    """

    def __init__(self, width: int, states: MutableSequence[T], *, separate_keys: bool) -> None:
        """``width``: pieces of text of a series. ``states``: an empty sequence to keep states in.

        ``separate_keys``: the text of a series does not begin with its key.
        """
        self._width = width
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

    def add(self, key: bytes, pieces: Sequence[bytes], state: T) -> None:
        """Insert a series that is not here yet."""
        if not self._blocks:
            keys: list[bytes] | None = [] if self.has_separate_keys else None
            states = self._no_states[:]
            self._blocks.append(Block(self._width, bytearray(), array("I", [0]), states, keys))
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

    def series(self) -> Iterator[tuple[bytes, list[bytes], T]]:
        """Each series: its key, its text in pieces, its state."""
        for block in self._blocks:
            yield from block.series()

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the text."""
        if self.has_separate_keys:
            return
        self.has_separate_keys = True
        for block in self._blocks:
            block.separate_keys()
