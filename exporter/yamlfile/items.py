"""A YAML file as values that know their place in it."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from exporter.yamlfile.positions import offsets_in_source
from exporter.yamlfile.problems import Location

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
Step: TypeAlias = "str | int"

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""YAML's, which are not all that Python knows."""


@dataclass(frozen=True)
class Document:
    """A file's text."""

    path: Path
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    @cached_property
    def _lines(self) -> list[str]:
        """Kept, so that the problems of a long line share it."""
        return _LINE_BREAK.split(self.text)

    def location(self, index: int) -> Location:
        """The place of the text's character number ``index``, or of the text's end."""
        line = bisect.bisect_right(self._line_starts, index) - 1
        source = self._lines[line]
        column = min(index - self._line_starts[line], len(source))
        return Location(str(self.path), line + 1, column + 1, source)


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """A value in a document, with the places of its parts."""

    document: Document
    start: int
    """Index of its first character."""
    data: Value
    end: int = 0
    """Of a scalar: index after its last character."""
    text: str | None = None
    """Of a scalar: what is written, of ``null`` too. None: a mapping or a list."""
    style: str = ""
    """Of a scalar: its quote, ``|`` or ``>``; empty: plain."""
    parts: Mapping[Step, Item] = field(default_factory=lambda: MappingProxyType({}))
    """The values of a mapping by key, the elements of a list by index."""
    keys: Mapping[Step, Item] = field(default_factory=lambda: MappingProxyType({}))
    """The keys of a mapping."""
    size: int = 1
    """How many values it is, aliases written out."""
    depth: int = 0
    """Levels of nesting, aliases written out."""

    @property
    def location(self) -> Location:
        """Where the value begins."""
        return self.document.location(self.start)

    @property
    def mapping(self) -> dict[str, Value]:
        """The value if it is a mapping, else an empty one."""
        return self.data if isinstance(self.data, dict) else {}

    def value_of(self, *path: Step) -> Location:
        """Where the value at a path begins; if the path ends early, the last part there is."""
        return self._walk(path)[0].location

    def key_of(self, *path: Step) -> Location:
        """Where the key at the end of a path begins (of a list: the element)."""
        key = self._walk(path[:-1])[0].keys.get(path[-1])
        return self.value_of(*path) if key is None else key.location

    def character_of(self, path: tuple[Step, ...], position: int) -> Location | None:
        """The place of a character of the text at a path; None if it cannot be determined."""
        item, _ = self._walk(path)
        if item.text is None:
            return None
        raw = self.document.text[item.start : item.end]
        offsets = offsets_in_source(raw, item.style, item.text)
        if offsets is None or not 0 <= position < len(offsets):
            return None
        return self.document.location(item.start + offsets[position])

    def elements(self, *path: Step) -> list[Item]:
        """The elements of the list at a path; empty if there is none."""
        item = self.child(*path)
        return list(item.parts.values()) if isinstance(item.data, list) else []

    def child(self, *path: Step) -> Item:
        """The value at a path; if the path ends early, nothing at the last part there is."""
        item, is_whole = self._walk(path)
        return item if is_whole else Item(item.document, item.start, None)

    def _walk(self, path: tuple[Step, ...]) -> tuple[Item, bool]:
        """The last part of a path, and whether the path ends there."""
        item = self
        for step in path:
            part = item.parts.get(step)
            if part is None:
                return item, False
            item = part
        return item, True
