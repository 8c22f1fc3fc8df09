"""Space-delimited patterns: ``[host, ..., status = 4*, bytes > 1000]``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from metric_filter_demo.patterns.text import Condition, InvalidPattern, PatternText
from metric_filter_demo.patterns.values import NUMBER, read_test

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_NAME_ONLY: Final = re.compile(r"(?=[A-Za-z0-9_-]+\s*[,\]])", re.ASCII)
_DOCUMENTED_NAME: Final = re.compile(r"(?![0-9]+$)[A-Za-z0-9_]+")
_CLOSING: Final = {'"': '"', "[": "]"}
_SEPARATORS: Final = " \t\r\n\f\v"


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the pattern; ``name`` is empty if it has none."""

    name: str = ""
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a line, and where it starts, its delimiter included."""

    text: str
    start: int


def read_field_pattern(text: PatternText) -> Callable[[str], Mapping[str, str] | None]:
    """Read a space-delimited pattern from its ``[`` on; the result extracts values."""
    text.expect("[")
    entries, gap = _entries(text)
    separators = " \t" if text.doubts.messages else _SEPARATORS

    def match(message: str) -> Mapping[str, str] | None:
        fields = _split(message, separators)
        if len(fields) < len(entries) or (not fields and gap is None):
            return None
        if not entries:
            return {f"${number}": field.text for number, field in enumerate(fields, 1)}
        if gap is None:
            fields = _with_rest(message.rstrip(separators), fields, len(entries))
        placed = list(entries)
        if gap is not None:
            placed[gap:gap] = [_Entry()] * (len(fields) - len(entries))
        pairs = list(zip(placed, (field.text for field in fields), strict=True))
        if not all(entry.condition is None or entry.condition(value) for entry, value in pairs):
            return None
        return {f"${entry.name or number}": value for number, (entry, value) in enumerate(pairs, 1)}

    return match


def _entries(text: PatternText) -> tuple[list[_Entry], int | None]:
    """The entries without the ellipsis, and its place."""
    entries: list[_Entry] = []
    gap: int | None = None
    text.skip_blanks()
    if text.take("]"):
        return entries, gap
    unnamed = []
    while True:
        text.skip_blanks()
        if text.take("..."):
            if gap is not None:
                raise InvalidPattern("Duplicate field '...'")
            gap = len(entries)
        else:
            entry = _entry(text)
            if entry.name and any(entry.name == other.name for other in entries):
                raise InvalidPattern(f"Duplicate field '{entry.name}'")
            if not entry.name:
                unnamed.append(len(entries) + (gap is not None))
            entries.append(entry)
        text.skip_blanks()
        if text.take("]"):
            break
        text.expect(",")
    last = len(entries) + (gap is not None) - 1
    if any(not 1 < place == last for place in unnamed):
        text.doubtful("such an empty entry")
    return entries, gap


def _entry(text: PatternText) -> _Entry:
    if text.sees(",") or text.sees("]"):
        return _Entry()
    names: set[str] = set()

    def name() -> str:
        text.skip_blanks()
        found = text.match(_NAME)
        if found is None:
            raise InvalidPattern("a name is missing")
        if _DOCUMENTED_NAME.fullmatch(found[0]) is None:
            text.doubtful("such a name")
        names.add(found[0])
        return found[0]

    def comparison() -> Condition:
        name()
        test = read_test(text, of_field=True)
        return lambda value: test(value, NUMBER.fullmatch(value) is not None)

    if text.match(_NAME_ONLY):
        return _Entry(name())
    condition = text.condition(comparison, nested=False)
    if len(names) > 1:
        raise InvalidPattern("a condition on another field")
    return _Entry(names.pop(), condition)


def _split(message: str, separators: str) -> list[_Field]:
    fields: list[_Field] = []
    at = 0
    while True:
        while at < len(message) and message[at] in separators:
            at += 1
        if at == len(message):
            return fields
        field, end = _field(message, at, separators)
        fields.append(_Field(field, at))
        at = end


def _field(message: str, start: int, separators: str) -> tuple[str, int]:
    """The field that starts here, and where it ends."""
    if message[start] in _CLOSING:
        end = message.find(_CLOSING[message[start]], start + 1)
        while end >= 0:
            if end + 1 == len(message) or message[end + 1] in separators:
                return message[start + 1 : end], end + 1
            end = message.find(_CLOSING[message[start]], end + 1)
    end = start
    while end < len(message) and message[end] not in separators:
        end += 1
    return message[start:end], end


def _with_rest(message: str, fields: list[_Field], count: int) -> list[_Field]:
    """As many fields as entries: the last is the rest of the line, unchanged."""
    if len(fields) == count:
        return fields
    last = fields[count - 1]
    return [*fields[: count - 1], _Field(message[last.start :], last.start)]
