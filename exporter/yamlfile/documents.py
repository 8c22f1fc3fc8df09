"""YAML files, read into values with locations.

Every scalar except ``null`` and ``~`` stays a text, because YAML 1.1 would turn ``no`` into false,
``1:30`` into 90 and ``007`` into 7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import yaml

from exporter.yamlfile.contents import TooLargeError, read_contents
from exporter.yamlfile.items import Item, Step, Value, YamlFile
from exporter.yamlfile.problems import Findings, Location

__all__ = ["MAX_ALIASED", "Item", "Step", "Value", "read_document"]

MAX_ALIASED = 100_000
"""Values that all aliases of a file may expand to; nested aliases in a few lines can expand to more
than fits in memory."""
_DEEPEST = 50
"""Levels of nesting; a rule needs 6."""

_Event: TypeAlias = Any
"""An event of yaml, whose stubs lack tags and anchors."""

_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "map", "seq")
)
_NULL_TAG = "tag:yaml.org,2002:null"
_NULLS = ("", "~", "null", "Null", "NULL")


class _RefusedError(Exception):
    """A file is not valid YAML, or exceeds a limit."""

    def __init__(self, location: Location, message: str) -> None:
        super().__init__(message)
        self.location = location


class _TooDeepError(_RefusedError):
    pass


def read_document(path: Path, findings: Findings) -> Item | None:
    """Read a YAML file; return None and add to ``findings`` if there are errors."""
    try:
        return _read(path, findings)
    except _RefusedError as error:
        findings.error(error.location, str(error))
        return None


def _read(path: Path, findings: Findings) -> Item | None:
    whole = Location(str(path))
    try:
        file = YamlFile(path, read_contents(path).decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise _RefusedError(whole, "there is no such file") from error
    except TooLargeError as error:
        raise _RefusedError(whole, str(error)) from error
    except UnicodeDecodeError as error:
        sentence = f"the file is not UTF-8 text (byte {error.start + 1}): save it as such"
        raise _RefusedError(whole, sentence) from error
    except OSError as error:
        raise _RefusedError(whole, f"the file cannot be read: {error.strerror}") from error
    try:
        composer = _Composer(file, file.text)
        item = composer.compose()
    except yaml.reader.ReaderError as error:
        location = file.location(error.position)
        raise _RefusedError(location, f"the file is not YAML: {error.reason}") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is None:
            raise _RefusedError(whole, _syntax_sentence(error)) from error
        # The library's scanner is ahead of its events, and since libyaml 0.2.6 it refuses more than
        # 1,000 levels of nesting. With every version, report our own limit instead.
        try:
            _Composer(file, file.text[: mark.index]).compose()
        except _TooDeepError:
            raise
        except (yaml.YAMLError, _RefusedError):
            pass
        raise _RefusedError(file.location(mark.index), _syntax_sentence(error)) from error
    findings.problems += composer.findings.problems
    return None if composer.findings.errors else item


def _syntax_sentence(error: yaml.MarkedYAMLError) -> str:
    problem = ", ".join(part for part in (error.context, error.problem) if part)
    hint = ""
    if "alias" in problem:
        hint = '; a value that begins with * must be quoted: "*"'
    elif "cannot start any token" in problem:
        hint = "; indent with spaces, not tabs, and quote values that begin with % @ or `"
    elif "unknown escape" in problem:
        hint = "; in double quotes a \\ must be doubled, in single quotes not"
    return f"the file is not YAML: {problem}{hint}"


class _Composer:
    """Makes items from the parser's events; the item of an anchor is made once."""

    def __init__(self, file: YamlFile, text: str) -> None:
        self.findings = Findings()
        """Errors in valid YAML, such as duplicate keys."""
        self._file = file
        self._events: Iterator[_Event] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self._anchors: dict[str, Item | None] = {}
        """None until the value has ended."""
        self._aliased = 0

    def compose(self) -> Item:
        """Return the document's item; raises _RefusedError and YAMLError."""
        next(self._events)
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            raise _RefusedError(Location(str(self._file.path)), "the file is empty")
        item = self._item(next(self._events), 1)
        next(self._events)
        after = next(self._events)
        if isinstance(after, yaml.DocumentStartEvent):
            self._refuse(after, "the file has more than one document: keep one")
        return item

    def _item(self, event: _Event, level: int) -> Item:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.anchor in self._anchors:
            self._refuse(event, f"the anchor `{event.anchor}` is given twice")
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        if event.tag not in (None, "!") and event.tag not in _PLAIN_TAGS:
            sentence = f"the tag {event.tag} is not supported: write the value itself"
            self.findings.error(self._location(event), sentence)
        if isinstance(event, yaml.ScalarEvent):
            item = self._scalar(event)
        else:
            if level > _DEEPEST:
                sentence = f"the file is nested deeper than {_DEEPEST} levels here"
                raise _TooDeepError(self._location(event), sentence)
            is_list = isinstance(event, yaml.SequenceStartEvent)
            item = self._list(event, level) if is_list else self._mapping(event, level)
        if event.anchor is not None:
            self._anchors[event.anchor] = item
        return item

    def _scalar(self, event: _Event) -> Item:
        text, style = str(event.value), event.style or ""
        is_implicit = event.implicit[0] and event.tag is None and text in _NULLS
        is_null = not style and (is_implicit or event.tag == _NULL_TAG)
        data = None if is_null else text
        return Item(self._file, event.start_mark.index, data, event.end_mark.index, text, style)

    def _list(self, event: _Event, level: int) -> Item:
        parts: list[Item] = []
        while not isinstance(part := next(self._events), yaml.SequenceEndEvent):
            parts.append(self._item(part, level + 1))
        return self._collection(
            event, [part.data for part in parts], parts, dict(enumerate(parts)), {}
        )

    def _mapping(self, event: _Event, level: int) -> Item:
        keys: dict[Step, Item] = {}
        parts: dict[Step, Item] = {}
        merged: list[Item] = []
        everything: list[Item] = []
        while not isinstance(key_event := next(self._events), yaml.MappingEndEvent):
            key = self._item(key_event, level + 1)
            value = self._item(next(self._events), level + 1)
            everything += key, value
            if key.text is None:
                sentence = "a key must be a plain name; quote a value that begins with { or ["
                self.findings.error(key.location, sentence)
            elif key.text == "<<" and not key.style:
                merged += self._merged(value)
            elif key.text in keys:
                line = keys[key.text].location.line
                sentence = f"`{key.text}` is given twice, first in line {line}"
                self.findings.error(key.location, sentence)
            else:
                keys[key.text], parts[key.text] = key, value
        for other in merged:
            for name, part in other.parts.items():
                if name not in parts:
                    keys[name], parts[name] = other.keys[name], part
        data: dict[str, Value] = {str(name): part.data for name, part in parts.items()}
        return self._collection(event, data, everything, parts, keys)

    def _merged(self, value: Item) -> list[Item]:
        mappings = list(value.parts.values()) if isinstance(value.data, list) else [value]
        if all(isinstance(mapping.data, dict) for mapping in mappings):
            return mappings
        self.findings.error(value.location, "`<<` merges mappings: give it an alias of one")
        return []

    def _collection(
        self,
        event: _Event,
        data: Value,
        everything: list[Item],
        parts: Mapping[Step, Item],
        keys: Mapping[Step, Item],
    ) -> Item:
        """``everything``: all items in the file, also keys and values that others replace."""
        size = 1 + sum(item.size for item in everything)
        depth = 1 + max((item.depth for item in everything), default=0)
        if depth > _DEEPEST:
            self._refuse(event, f"with its aliases this is nested deeper than {_DEEPEST} levels")
        start = event.start_mark.index
        return Item(self._file, start, data, parts=parts, keys=keys, size=size, depth=depth)

    def _alias(self, event: _Event) -> Item:
        if event.anchor not in self._anchors:
            self._refuse(
                event,
                f"there is no anchor `{event.anchor}` before this alias; a value that begins with *"
                ' must be quoted: "*"',
            )
        item = self._anchors[event.anchor]
        if item is None:
            self._refuse(event, "an alias must not be inside the value that it repeats")
        if item.text is None:
            self._aliased += item.size
        if self._aliased > MAX_ALIASED:
            self._refuse(event, f"the file's aliases expand to more than {MAX_ALIASED:,} values")
        return item

    def _refuse(self, event: _Event, sentence: str) -> NoReturn:
        raise _RefusedError(self._location(event), sentence)

    def _location(self, event: _Event) -> Location:
        return self._file.location(event.start_mark.index)
