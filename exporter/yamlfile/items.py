"""The values of a YAML file, with their locations."""

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
"""YAML's line breaks; Python has more."""


@dataclass(frozen=True)
class YamlFile:
    """The path and text of a file."""

    path: Path
    text: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in _LINE_BREAK.finditer(self.text))]

    @cached_property
    def _lines(self) -> list[str]:
        """Cached, so the problems in a long line share it."""
        return _LINE_BREAK.split(self.text)

    def location(self, index: int) -> Location:
        """Return the location of the character at ``index``, or of the end of the text."""
        line = bisect.bisect_right(self._line_starts, index) - 1
        source = self._lines[line]
        column = min(index - self._line_starts[line], len(source))
        return Location(str(self.path), line + 1, column + 1, source)


@dataclass(frozen=True, eq=False, slots=True)
class Item:
    """A value in a document, with the locations of its parts."""

    file: YamlFile
    start: int
    """Index of its first character."""
    data: Value
    end: int = 0
    """For a scalar: index after its last character."""
    text: str | None = None
    """For a scalar: its text, also for ``null``. None for a mapping or a list."""
    style: str = ""
    """For a scalar: its quote, ``|`` or ``>``, or empty if it is plain."""
    parts: Mapping[Step, Item] = field(default_factory=lambda: MappingProxyType({}))
    """The values of a mapping by key, the elements of a list by index."""
    keys: Mapping[Step, Item] = field(default_factory=lambda: MappingProxyType({}))
    """The keys of a mapping."""
    size: int = 1
    """Number of values, with aliases expanded."""
    depth: int = 0
    """Levels of nesting, with aliases expanded."""

    @property
    def location(self) -> Location:
        """The location of the value's first character."""
        return self.file.location(self.start)

    @property
    def mapping(self) -> dict[str, Value]:
        """The value if it is a mapping, otherwise an empty mapping."""
        return self.data if isinstance(self.data, dict) else {}

    def value_of(self, *path: Step) -> Location:
        """Return the location of the value at a path, or of the last part that exists."""
        return self._walk(path)[0].location

    def key_of(self, *path: Step) -> Location:
        """Return the location of the key (in a list: the element) at the end of a path."""
        key = self._walk(path[:-1])[0].keys.get(path[-1])
        return self.value_of(*path) if key is None else key.location

    def character_of(self, path: tuple[Step, ...], position: int) -> Location | None:
        """Return the location of a character of the text at a path, or None if it is unknown."""
        item, _ = self._walk(path)
        if item.text is None:
            return None
        raw = self.file.text[item.start : item.end]
        offsets = offsets_in_source(raw, item.style, item.text)
        if offsets is None or not 0 <= position < len(offsets):
            return None
        return self.file.location(item.start + offsets[position])

    def elements(self, *path: Step) -> list[Item]:
        """Return the elements of the list at a path; empty if it is not a list."""
        item = self.child(*path)
        return list(item.parts.values()) if isinstance(item.data, list) else []

    def child(self, *path: Step) -> Item:
        """Return the item at a path, or an empty one at the last part that exists."""
        item, is_whole = self._walk(path)
        return item if is_whole else Item(item.file, item.start, None)

    def _walk(self, path: tuple[Step, ...]) -> tuple[Item, bool]:
        """Return the last part of a path that exists, and whether the path ends there."""
        item = self
        for step in path:
            if step not in item.parts:
                return item, False
            item = item.parts[step]
        return item, True
