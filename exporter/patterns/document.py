"""A message as patterns evaluate it: its text, its JSON object, its space-delimited fields."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

from exporter.patterns.regex import encode
from exporter.patterns.syntax import decimal_of

_FIELD = re.compile(r"[^ \t\r\n]+")
_CLOSING = {'"': re.compile(r'"(?![^ \t\r\n])'), "[": re.compile(r"\](?![^ \t\r\n])")}


class NumberText(str):
    """A number of a JSON message, as it was written.

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


def decode_value(text: str) -> Any:
    """Decode any JSON value as ``Document.json`` does. Raises ValueError or RecursionError."""
    return _DECODER.decode(text)


def may_be_object(message: str) -> bool:
    """Whether ``Document.json`` can be an object; false without decoding most other messages."""
    return message.startswith("{") or message.lstrip(" \t\n\r").startswith("{")


class LineField(NamedTuple):
    """A field of a line, and its position with its delimiters."""

    text: str
    start: int
    end: int


class Document:
    """A message that is decoded at most once, when it is first needed."""

    def __init__(self, message: str) -> None:
        self.message = message
        self._json_error: str | None = None

    @cached_property
    def json(self) -> dict[str, Any] | None:
        """The message as one JSON object, or None if it is not one.

        Numbers are NumberText; of equal keys the last wins. AWS: no JSON pattern matches an array,
        a plain value, or an object with text before or after it.
        """
        try:
            value = decode_value(self.message)
        except RecursionError:
            self._json_error = "it is nested too deeply"
        except ValueError as error:
            self._json_error = f"it is not JSON: {error}"
        else:
            if isinstance(value, dict):
                return value
            self._json_error = "it is JSON, but not one object in braces"
        return None

    @property
    def json_error(self) -> str | None:
        """The reason why ``json`` is None, as the end of a sentence; else None."""
        return self._json_error if self.json is None else None

    @cached_property
    def fields(self) -> list[LineField]:
        """The message's space-delimited fields."""
        return split_fields(self.message)

    @cached_property
    def texts(self) -> list[str]:
        """The texts of ``fields``."""
        return [field.text for field in self.fields]

    @cached_property
    def encoded(self) -> bytes:
        """The message for regular expressions."""
        return encode(self.message)


def split_fields(message: str) -> list[LineField]:
    """Split a line into fields, in linear time.

    AWS: fields are separated by white space; a field that starts with ``"`` or ``[`` extends to
    the closing character before white space or the line's end; without one it is ordinary text.
    The delimiters are not part of the field's text.
    """
    fields: list[LineField] = []
    # Without a closing character to the right, later fields cannot have one.
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
    """Text of the result, among values that are not written yet."""

    __slots__ = ()


def json_text(value: object) -> str:
    """A value of ``Document.json``, or a plain Python value, as JSON in one line.

    It uses a stack, because messages may be nested deeper than Python's recursion limit.
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
    # A lone surrogate, which UTF-8 cannot encode, stays escaped.
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()
