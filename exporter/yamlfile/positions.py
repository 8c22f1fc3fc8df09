"""The places of a YAML scalar's characters in the file."""

from __future__ import annotations

import re

_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)*")
"""An anchor or a tag before the text itself."""
_ESCAPE = re.compile(r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)


def offsets_in_source(raw: str, style: str | None, value: str) -> list[int] | None:
    """Return for each character of ``value``, and its end, the offset in its source ``raw``.

    ``raw`` is the scalar as written in the file, with quotes or a block's ``|``. A block's
    indentation and folded line breaks leave blanks whose offset may be off by some blanks; every
    other character's is right. None if the two do not fit.
    """
    position = _begin(raw, style)
    offsets = []
    for char in value:
        if char.isspace():
            if style == '"' and raw.startswith("\\\n", position):
                position = _skip(raw, position, style)
            offsets.append(position)
            position += _blank_length(raw, position, style)
            continue
        position = _skip(raw, position, style)
        length = _length(raw, position, style, char)
        if length == 0:
            return None
        offsets.append(position)
        position += length
    offsets.append(position)
    return offsets


def _begin(raw: str, style: str | None) -> int:
    properties = _PROPERTIES.match(raw)
    start = properties.end() if properties is not None else 0
    if style in ("|", ">"):
        return raw.find("\n") + 1
    return start + 1 if style in ("'", '"') else start


def _blank_length(raw: str, position: int, style: str | None) -> int:
    escape = _ESCAPE.match(raw, position) if style == '"' else None
    if escape is not None:
        return len(escape[0])
    return 1 if raw[position : position + 1].isspace() else 0


def _skip(raw: str, position: int, style: str | None) -> int:
    """Skip indentation and line breaks, also escaped ones."""
    while position < len(raw):
        if raw[position].isspace():
            position += 1
        elif style == '"' and raw[position : position + 2] == "\\\n":
            position += 2
        else:
            break
    return position


def _length(raw: str, position: int, style: str | None, char: str) -> int:
    """How many characters of the source make this one; 0 if it is another one."""
    escape = _ESCAPE.match(raw, position) if style == '"' else None
    if escape is not None:
        return len(escape[0])
    if style == "'" and char == "'":
        return 2 if raw.startswith("''", position) else 0
    return 1 if raw.startswith(char, position) else 0
