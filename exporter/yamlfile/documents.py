"""YAML files, read so that each value knows where it stands.

Every scalar stays the text that it is in the file (only ``null`` and ``~`` mean nothing): YAML 1.1
would turn ``no`` into false, ``1:30`` into 90 and ``007`` into 7, and labels want none of it.
"""

from __future__ import annotations

import bisect
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import yaml

from exporter.yamlfile.aliases import find_alias_problem
from exporter.yamlfile.contents import TooLargeError, read_contents
from exporter.yamlfile.positions import offsets_in_source
from exporter.yamlfile.problems import Findings, Location

Value: TypeAlias = "str | list[Value] | dict[str, Value] | None"
Step: TypeAlias = "str | int"

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
)
_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""YAML's, which are not all that Python knows."""
_DEEPEST = 50
"""Levels of nesting; a rule needs 6."""


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

    @cached_property
    def _keys(self) -> dict[int, tuple[yaml.Node, dict[Step, yaml.Node]]]:
        return {}

    def keys_of(self, node: yaml.MappingNode) -> dict[Step, yaml.Node]:
        """The first node of each key, worked out once: a mapping may have many wrong keys."""
        known = self._keys.get(id(node))
        if known is None:
            found = [(key.value, key) for key, _ in pairs(node) if isinstance(key, yaml.ScalarNode)]
            known = self._keys[id(node)] = node, dict(reversed(found))
        return known[1]

    def location(self, index: int) -> Location:
        """The place of the text's character number ``index``, or of the text's end."""
        line = bisect.bisect_right(self._line_starts, index) - 1
        source = self._lines[line]
        column = min(index - self._line_starts[line], len(source))
        return Location(str(self.path), line + 1, column + 1, source)


@dataclass(frozen=True, eq=False)
class Item:
    """A value in a document, with the places of its parts."""

    document: Document
    node: yaml.Node
    data: Value

    @property
    def location(self) -> Location:
        """Where the value begins."""
        return self.document.location(self.node.start_mark.index)

    @property
    def mapping(self) -> dict[str, Value]:
        """The value if it is a mapping, else an empty one."""
        return self.data if isinstance(self.data, dict) else {}

    def value_of(self, *path: Step) -> Location:
        """Where the value at a path begins; where the path ends early, the last part there is."""
        return self.document.location(self._walk(path).start_mark.index)

    def key_of(self, *path: Step) -> Location:
        """Where the key at the end of a path stands (of a list: the element)."""
        parent = self._walk(path[:-1])
        if isinstance(parent, yaml.MappingNode):
            key = self.document.keys_of(parent).get(path[-1])
            if key is not None:
                return self.document.location(key.start_mark.index)
        return self.value_of(*path)

    def character_of(self, path: tuple[Step, ...], position: int) -> Location | None:
        """Where a character of the text at a path stands, or None where that cannot be told."""
        node = self._walk(path)
        if not isinstance(node, yaml.ScalarNode):
            return None
        start = node.start_mark.index
        raw = self.document.text[start : node.end_mark.index]
        offsets = offsets_in_source(raw, node.style, node.value)
        if offsets is None or not 0 <= position < len(offsets):
            return None
        return self.document.location(start + offsets[position])

    def elements(self, *path: Step) -> list[Item]:
        """The elements of the list at a path; empty if there is none."""
        whole = self.child(*path)
        if not isinstance(whole.node, yaml.SequenceNode) or not isinstance(whole.data, list):
            return []
        pairs_ = zip(whole.node.value, whole.data, strict=True)
        return [Item(self.document, node, data) for node, data in pairs_]

    def child(self, *path: Step) -> Item:
        """The value at a path; None at the last part there is, if the path ends early."""
        data: Value = self.data
        for step in path:
            if isinstance(data, dict):
                data = data.get(str(step))
            elif isinstance(data, list) and isinstance(step, int) and step < len(data):
                data = data[step]
            else:
                data = None
        return Item(self.document, self._walk(path), data)

    def _walk(self, path: tuple[Step, ...]) -> yaml.Node:
        node = self.node
        for step in path:
            child = _child(node, step)
            if child is None:
                break
            node = child
        return node


def read_document(path: Path, findings: Findings) -> Item | None:
    """Read a YAML file; what is wrong with it goes to ``findings``, and None is returned."""
    whole = Location(str(path))
    try:
        text = read_contents(path).decode("utf-8-sig")
    except FileNotFoundError:
        findings.error(whole, "there is no such file")
        return None
    except TooLargeError as error:
        findings.error(whole, str(error))
        return None
    except UnicodeDecodeError as error:
        findings.error(
            whole, f"the file is not UTF-8 text (byte {error.start + 1}): save it as such"
        )
        return None
    except OSError as error:
        findings.error(whole, f"the file cannot be read: {error.strerror}")
        return None
    document = Document(path, text)
    node = _compose(document, findings)
    if node is None:
        return None
    before = len(findings.errors)
    data = _Reader(document, findings).read(node)
    return Item(document, node, data) if len(findings.errors) == before else None


def _compose(document: Document, findings: Findings) -> yaml.Node | None:
    whole = Location(str(document.path))
    try:
        too_deep = _find_too_deep(document.text)
        if too_deep is not None:
            place = document.location(too_deep)
            findings.error(place, f"the file is nested deeper than {_DEEPEST} levels here")
            return None
        node: yaml.Node | None = yaml.compose(document.text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        findings.error(_place(document, error), _syntax_sentence(error))
        return None
    except yaml.reader.ReaderError as error:
        place = document.location(error.position)
        findings.error(place, f"the file is not YAML: {error.reason}")
        return None
    if node is None:
        findings.error(whole, "the file is empty")
        return None
    problem = find_alias_problem(node, _DEEPEST)
    if problem is not None:
        findings.error(document.location(problem.node.start_mark.index), problem.message)
        return None
    return node


def _find_too_deep(text: str) -> int | None:
    """Guard the composer, which is recursive C code: depth would crash the process.

    The library's scanner runs ahead of its events, and from libyaml 0.2.6 on it refuses what is
    deeper than 1,000 levels before the first event of it. Whatever it stops at, the text before
    that place is looked at alone, so that the error is the same with every version.
    """
    try:
        return _first_too_deep(text)
    except yaml.MarkedYAMLError as error:
        if error.problem_mark is not None:
            with contextlib.suppress(yaml.YAMLError):
                found = _first_too_deep(text[: error.problem_mark.index])
                if found is not None:
                    return found
        raise


def _first_too_deep(text: str) -> int | None:
    """Return the index of the first collection that is too deep. Raises YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent) and event.start_mark is not None:
            depth += 1
            if depth > _DEEPEST:
                return int(event.start_mark.index)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _place(document: Document, error: yaml.MarkedYAMLError) -> Location:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Location(str(document.path))
    return document.location(mark.index)


def _syntax_sentence(error: yaml.MarkedYAMLError) -> str:
    what = ", ".join(part for part in (error.context, error.problem) if part)
    hint = ""
    if "alias" in what:
        hint = '; a value that begins with * must be quoted: "*"'
    elif "cannot start any token" in what:
        hint = "; indent with blanks, not tabs, and quote values that begin with % @ or `"
    elif "unknown escape" in what:
        hint = "; in double quotes a \\ must be doubled, in single quotes not"
    return f"the file is not YAML: {what}{hint}"


def pairs(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Give a mapping's own pairs, then those that ``<<`` brings in."""
    merged: list[yaml.Node] = []
    for key, value in node.value:
        if key.tag == _MERGE:
            merged.extend(value.value if isinstance(value, yaml.SequenceNode) else [value])
        else:
            yield key, value
    for other in merged:
        if isinstance(other, yaml.MappingNode):
            yield from pairs(other)


def _child(node: yaml.Node, step: Step) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in pairs(node) if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        child: yaml.Node = node.value[step]
        return child
    return None


class _Reader:
    """Turns nodes into values; reports duplicate keys and tags."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self._document = document
        self._findings = findings
        self._done: dict[int, Value] = {}

    def read(self, node: yaml.Node) -> Value:
        key = id(node)
        if key not in self._done:
            self._done[key] = self._build(node)
        return self._done[key]

    def _build(self, node: yaml.Node) -> Value:
        if node.tag not in _PLAIN_TAGS:
            self._error(node, f"the tag {node.tag} is not supported: write the value itself")
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child) for child in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        is_nothing = node.tag == _NULL and isinstance(node, yaml.ScalarNode) and not node.style
        return None if is_nothing else str(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Value]:
        first: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                self._check_merge(value)
            elif not isinstance(key, yaml.ScalarNode):
                self._error(
                    key, "a key must be a plain name; quote a value that begins with { or ["
                )
            elif key.value in first:
                line = first[key.value].start_mark.line + 1
                self._error(key, f"`{key.value}` is given twice, first in line {line}")
            else:
                first[key.value] = key
        result: dict[str, Value] = {}
        for key, value in pairs(node):
            if isinstance(key, yaml.ScalarNode) and key.value not in result:
                result[key.value] = self.read(value)
        return result

    def _check_merge(self, node: yaml.Node) -> None:
        self.read(node)
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(part, yaml.MappingNode) for part in parts):
            self._error(node, "`<<` merges mappings: give it an alias of one")

    def _error(self, node: yaml.Node, message: str) -> None:
        self._findings.error(self._document.location(node.start_mark.index), message)
