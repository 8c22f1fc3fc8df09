"""The positions of a YAML scalar's characters in the file."""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor or a tag before the text."""
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_BLANKS = re.compile(r"\s*")
_BLANKS_IN_QUOTES = re.compile(r"(?:\s|\\\n)*")
"""With escaped line breaks."""


def offsets_in_source(raw: str, style: str | None, value: str) -> list[int] | None:
    """Return the offset in the source ``raw`` of each character of ``value``, and of its end.

    ``raw`` is the scalar as written in the file, with quotes or a block's ``|``. The offset of a
    blank can be wrong by some blanks after a block's indentation or a folded line break; all other
    offsets are exact. None if ``raw`` and ``value`` do not agree.
    """
    blanks = _BLANKS_IN_QUOTES if style == '"' else _BLANKS
    position = _begin(raw, style)
    offsets = []
    for char in value:
        is_blank = char.isspace()
        if not is_blank or (style == '"' and raw.startswith("\\\n", position)):
            position = _end(blanks, raw, position)
        length = _length(raw, position, style, char)
        if length == 0 and not is_blank:
            return None
        offsets.append(position)
        position += length
    offsets.append(position)
    return offsets


def _begin(raw: str, style: str | None) -> int:
    if style in ("|", ">"):
        return raw.find("\n") + 1
    return _end(_PROPERTIES, raw, 0) + (style in ("'", '"'))


def _end(pattern: re.Pattern[str], raw: str, position: int) -> int:
    match = pattern.match(raw, position)
    return match.end() if match else position


def _length(raw: str, position: int, style: str | None, char: str) -> int:
    """Return how many characters of the source make this one; 0 if they make another."""
    if style == '"' and (escape := _ESCAPE.match(raw, position)):
        return len(escape[0])
    if style == "'" and char == "'":
        return 2 if raw.startswith("''", position) else 0
    if char.isspace():
        return int(raw[position : position + 1].isspace())
    return int(raw.startswith(char, position))
