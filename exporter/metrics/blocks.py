"""The rendered text of series in sorted order, in blocks; a block is compressed once it changes."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, MutableSequence
from typing import Final, Generic, TypeAlias, TypeVar

from exporter.compression import Deflated, deflate

T = TypeVar("T")

MOST: Final = 64
"""Series in a block; about 44 if they come in any order. If 1 % of all series changes at random, a
third of such blocks change. Larger ones compress better, and more of them change."""

CONDENSED: Final = 64
"""Blocks that a page looks at to compress them better, if they did not change since the last one:
the quickest level makes the text half as large again, and is good enough for what changes often."""


class Text:
    """A part of a page as it was at one moment."""

    __slots__ = ("_dense", "_kept", "_openmetrics", "raw")

    def __init__(
        self,
        raw: bytes,
        kept: list[Deflated | None] | None = None,
        *,
        openmetrics: bool = False,
        dense: bool = False,
    ) -> None:
        """``kept``: where a block keeps the compressed text of this moment, by format.

        ``dense``: see ``deflate``.
        """
        self.raw = raw
        self._kept = kept
        self._openmetrics = openmetrics
        self._dense = dense

    @property
    def is_of_block(self) -> bool:
        """Whether its compressed text is kept."""
        return self._kept is not None

    def deflated(self) -> Deflated:
        """The text, compressed."""
        deflated = deflate(self.raw, dense=self._dense)
        if self._kept is not None:
            self._kept[self._openmetrics] = deflated
        return deflated


Pieces: TypeAlias = tuple[bytes, bytes]
"""A series' lines in both formats: 0.0.4 and OpenMetrics."""


class Lines:
    """The lines of some series in one format, as one text.

    It takes less memory than many texts, and lies in fewer places of it. It is bytes while it is
    shown, and a bytearray while it changes, so that a page copies only what has changed.
    """

    __slots__ = ("_text", "bounds")

    def __init__(self, text: bytes | bytearray, bounds: array[int]) -> None:
        """``bounds``: 0, and where the lines of each series end."""
        self._text = text
        self.bounds = bounds

    def text(self) -> bytes:
        """All lines."""
        text = self._text
        if isinstance(text, bytearray):
            text = self._text = bytes(text)
        return text

    def begins_with(self, key: bytes, index: int) -> bool:
        """Whether the lines of the series at a place begin with a key."""
        return self._text.startswith(key, self.bounds[index])

    def place(self, key: bytes) -> int:
        """Where a series that is not here belongs."""
        text, bounds, length = self._text, self.bounds, len(key)
        low, high = 0, len(bounds) - 1
        while low < high:
            middle = (low + high) >> 1
            start = bounds[middle]
            if text[start : start + length] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def of(self, index: int) -> bytes:
        """The lines of the series at a place."""
        return bytes(self._text[self.bounds[index] : self.bounds[index + 1]])

    def replace(self, index: int, lines: bytes) -> None:
        """Set the lines of the series at a place."""
        text, bounds = self._text, self.bounds
        if isinstance(text, bytes):
            text = self._text = bytearray(text)
        start, end = bounds[index], bounds[index + 1]
        text[start:end] = lines
        if len(lines) != end - start:
            self._move(index + 1, len(lines) - (end - start))

    def insert(self, index: int, lines: bytes) -> None:
        """Insert the lines of a series at a place."""
        self.bounds.insert(index, self.bounds[index])
        self.replace(index, lines)

    def remove(self, index: int) -> None:
        """Take out the lines of the series at a place."""
        self.replace(index, b"")
        del self.bounds[index]

    def cut(self, index: int) -> Lines:
        """Take out the series from a place on."""
        text, at = self._text, self.bounds[index]
        rest = array("I", [bound - at for bound in self.bounds[index:]])
        self._text = text[:at]
        self.bounds = self.bounds[: index + 1]
        return Lines(text[at:], rest)

    def _move(self, first: int, by: int) -> None:
        bounds = self.bounds
        bounds[first:] = array("I", [bound + by for bound in bounds[first:]])


class Block(Generic[T]):
    """Some series in a row."""

    __slots__ = ("_hashes", "_openmetrics", "_plain", "kept", "keys", "states")

    def __init__(
        self,
        plain: Lines,
        openmetrics: Lines,
        states: MutableSequence[T],
        keys: list[bytes] | None,
        hashes: array[int],
    ) -> None:
        """``keys``: None if the lines of each series begin with its key. ``hashes``: of the keys.

        All are in the order of the series.
        """
        self._plain = plain
        self._openmetrics = openmetrics
        self.states = states
        self.keys = keys
        self._hashes = hashes
        self.kept: list[Deflated | None] = [None, None]
        """The compressed text in each format (0.0.4, OpenMetrics). A new list for each change, so
        that text of an earlier moment is not kept."""

    def text(self, *, openmetrics: bool, dense: bool = False) -> Text:
        """The block's text at this moment."""
        lines = self._openmetrics if openmetrics else self._plain
        return Text(lines.text(), self.kept, openmetrics=openmetrics, dense=dense)

    def find(self, key: bytes) -> int | None:
        """The place of a series. Hashes are quicker to search than text."""
        number, index = hash(key), -1
        try:
            while True:
                index = self._hashes.index(number, index + 1)
                if self._is_at(index, key):
                    return index
        except ValueError:
            return None

    def place(self, key: bytes) -> int:
        """Where a series that is not here belongs."""
        if self.keys is not None:
            return bisect_left(self.keys, key)
        return self._plain.place(key)

    def key(self, index: int) -> bytes:
        """The key of the series at a place."""
        if self.keys is not None:
            return self.keys[index]
        line = self._plain.of(index)
        return line[: line.rindex(b" ") + 1]

    def replace(self, index: int, pieces: Pieces, state: T) -> None:
        """Set the lines and the state of the series at a place."""
        self._plain.replace(index, pieces[0])
        self._openmetrics.replace(index, pieces[1])
        self.states[index] = state
        self.kept = [None, None]

    def insert(self, index: int, key: bytes, pieces: Pieces, state: T) -> None:
        """Insert a series at a place."""
        self._plain.insert(index, pieces[0])
        self._openmetrics.insert(index, pieces[1])
        self.states.insert(index, state)
        if self.keys is not None:
            self.keys.insert(index, key)
        self._hashes.insert(index, hash(key))
        self.kept = [None, None]

    def remove(self, index: int) -> None:
        """Take out the series at a place."""
        self._plain.remove(index)
        self._openmetrics.remove(index)
        del self.states[index]
        if self.keys is not None:
            del self.keys[index]
        del self._hashes[index]
        self.kept = [None, None]

    def cut(self, index: int) -> Block[T]:
        """Take out the series from a place on, as a block of their own."""
        rest = Block(
            self._plain.cut(index),
            self._openmetrics.cut(index),
            self.states[index:],
            None if self.keys is None else self.keys[index:],
            self._hashes[index:],
        )
        self.states = self.states[:index]
        if self.keys is not None:
            del self.keys[index:]
        self._hashes = self._hashes[:index]
        self.kept = [None, None]
        return rest

    def separate_keys(self) -> None:
        """Keep the keys from now on in addition to the lines."""
        self.keys = [self.key(index) for index in range(len(self.states))]

    def series(self) -> Iterator[tuple[bytes, Pieces, T]]:
        """Each series: its key, its lines, its state."""
        for index, state in enumerate(self.states):
            yield self.key(index), (self._plain.of(index), self._openmetrics.of(index)), state

    def _is_at(self, index: int, key: bytes) -> bool:
        if self.keys is not None:
            return self.keys[index] == key
        return self._plain.begins_with(key, index)


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
        self._condensed = 0
        """The block at which the next page continues to compress better."""

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
        index = block.find(key)
        return None if index is None else (block, index)

    def add(self, key: bytes, pieces: Pieces, state: T) -> None:
        """Insert a series that is not here yet."""
        if not self._blocks:
            keys: list[bytes] | None = [] if self.has_separate_keys else None
            plain, openmetrics = (Lines(b"", array("I", [0])) for _ in range(2))
            self._blocks.append(Block(plain, openmetrics, self._no_states[:], keys, array("q")))
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
            parts = [
                block.kept[openmetrics] or block.text(openmetrics=openmetrics)
                for block in self._blocks
            ]
            self._condense(parts, openmetrics=openmetrics)
            return parts
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

    def _condense(self, parts: list[Text | Deflated], *, openmetrics: bool) -> None:
        """Choose a few blocks that did not change to be compressed better, in turn."""
        begin = self._condensed if self._condensed < len(parts) else 0
        self._condensed = begin + CONDENSED
        for number in range(begin, min(self._condensed, len(parts))):
            part = parts[number]
            if isinstance(part, Deflated) and not part.dense:
                parts[number] = self._blocks[number].text(openmetrics=openmetrics, dense=True)
