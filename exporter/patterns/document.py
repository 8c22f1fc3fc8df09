"""One message, decoded at most once for all the patterns that are matched against it."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, NoReturn

from exporter.patterns.numeric import NumberText
from exporter.patterns.regex import encode

_FIELD = re.compile(r"[^ \t\r\n]+")
_CLOSING = {'"': re.compile(r'"(?![^ \t\r\n])'), "[": re.compile(r"\](?![^ \t\r\n])")}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    parse_int=NumberText, parse_float=NumberText, parse_constant=_no_constant
)


class LineField(NamedTuple):
    """One field of a line, and where it stands with its delimiters."""

    text: str
    start: int
    end: int


class Document:
    """A message and, once asked for, its JSON object and its space-delimited fields."""

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
        """The message as one JSON object, or None where it is none.

        Numbers are NumberText. Of equal keys the last holds. AWS: text before or after the object,
        an array or a plain value make that no JSON pattern matches.
        """
        if self._json is None and self._json_error is None:
            self._decode()
        return self._json

    @property
    def json_error(self) -> str | None:
        """Why ``json`` is None, as the end of a sentence; None where it is not."""
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
    the closing character that white space or the line's end follows, without which it is ordinary
    text. The delimiters are left out of the field's text.
    """
    fields: list[LineField] = []
    # Once there is no closing character to the right, there will be none: no second search.
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
