"""Writes decoded JSON, with each number as it was written in its message."""

from __future__ import annotations

import json

from exporter.patterns.numeric import NumberText


class _Written(str):
    """Text of the answer, among values that are yet to be written."""

    __slots__ = ()


def json_text(value: object) -> str:
    """A value as JSON in one line: what ``Document.json`` holds, and plain Python values.

    A stack instead of recursion: a message may be nested deeper than Python's goes.
    """
    out: list[str] = []
    pending: list[object] = [value]
    while pending:
        one = pending.pop()
        if isinstance(one, _Written | NumberText):
            out.append(str(one))
        elif isinstance(one, dict):
            pending.append(_Written("}"))
            for index, (key, inner) in reversed(list(enumerate(one.items()))):
                pending += [inner, _Written(f"{', ' if index else ''}{_scalar(key)}: ")]
            out.append("{")
        elif isinstance(one, list | tuple):
            pending.append(_Written("]"))
            for index, inner in reversed(list(enumerate(one))):
                pending += [inner, _Written(", " if index else "")]
            out.append("[")
        else:
            out.append(_scalar(one))
    return "".join(out)


def _scalar(value: object) -> str:
    # A lone surrogate, which UTF-8 has no bytes for, stays the escape that it was.
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
