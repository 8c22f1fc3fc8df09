"""A message as patterns see it: its text, its JSON object, its space-delimited fields."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from exporter.patterns.regex import encode
from exporter.patterns.syntax import decimal_of

_FIELD = re.compile(r"[^ \t\r\n]+")
_CLOSING = {'"': re.compile(r'"(?![^ \t\r\n])'), "[": re.compile(r"\](?![^ \t\r\n])")}


class NumberText(str):
    """A number of a JSON message, as it was written there.

    AWS compares a quoted literal with this text (``"1"`` is not ``1.0``) and an unquoted number
    with the value.
    """

    __slots__ = ()

    @property
    def decimal(self) -> Decimal:
        """The exact value."""
        return decimal_of(self)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    parse_int=NumberText, parse_float=NumberText, parse_constant=_no_constant
)


class LineField(NamedTuple):
    """One field of a line, and its position in the line with its delimiters."""

    text: str
    start: int
    end: int


class Document:
    """A message that is decoded at most once, by whoever needs it first."""

    __slots__ = ("_encoded", "_fields", "_json", "_json_error", "_texts", "message")

    def __init__(self, message: str) -> None:
        self.message = message
        self._json: dict[str, Any] | None = None
        self._json_error: str | None = None
        self._fields: list[LineField] | None = None
        self._texts: list[str] | None = None
        self._encoded: bytes | None = None

    @property
    def json(self) -> dict[str, Any] | None:
        """The message as one JSON object, or None if it is not one.

        Numbers are NumberText; of equal keys the last wins. AWS: no JSON pattern matches an array,
        a plain value, or an object with text before or after it.
        """
        if self._json is None and self._json_error is None:
            self._decode()
        return self._json

    @property
    def json_error(self) -> str | None:
        """Why ``json`` is None, as the end of a sentence; else None."""
        return None if self.json is not None else self._json_error

    @property
    def fields(self) -> list[LineField]:
        """The message's space-delimited fields."""
        if self._fields is None:
            self._fields = split_fields(self.message)
        return self._fields

    @property
    def texts(self) -> list[str]:
        """The texts of ``fields``."""
        if self._texts is None:
            self._texts = [field.text for field in self.fields]
        return self._texts

    @property
    def encoded(self) -> bytes:
        """The message for regular expressions."""
        if self._encoded is None:
            self._encoded = encode(self.message)
        return self._encoded

    def _decode(self) -> None:
        try:
            value = _DECODER.decode(self.message)
        except RecursionError:
            self._json_error = "it is nested too deeply"
        except ValueError as error:
            self._json_error = f"it is not JSON: {error}"
        else:
            if isinstance(value, dict):
                self._json = value
            else:
                self._json_error = "it is JSON, but not one object in braces"


def split_fields(message: str) -> list[LineField]:
    """Split a line into fields, in linear time.

    AWS: fields are separated by white space; a field that starts with ``"`` or ``[`` extends to
    the closing character before white space or the line's end; without one it is ordinary text.
    The delimiters are not part of the field's text.
    """
    fields: list[LineField] = []
    # If there is no closing character to the right, a later field finds none either.
    unclosed: set[str] = set()
    found = _FIELD.search(message)
    while found:
        start, end = found.span()
        text = found[0]
        opening = text[0]
        if opening in _CLOSING and opening not in unclosed:
            close = _CLOSING[opening].search(message, start + 1)
            if close:
                end = close.end()
                text = message[start + 1 : end - 1]
            else:
                unclosed.add(opening)
        fields.append(LineField(text, start, end))
        found = _FIELD.search(message, end)
    return fields


class _Written(str):
    """Text of the answer, among values that are not written yet."""

    __slots__ = ()


def json_text(value: object) -> str:
    """A value of ``Document.json``, or a plain Python value, as JSON in one line.

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
