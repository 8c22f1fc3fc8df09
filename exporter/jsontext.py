"""The members of a JSON object and the elements of an array, each as the text that was written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.decoder import scanstring  # type: ignore[attr-defined]

import msgspec

_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def members(text: str) -> dict[str, str] | None:
    """The JSON text of each member of an object, the last one of equal names.

    None if the text is not a JSON object. What msgspec refuses (NaN, lone surrogates), the standard
    library reads.
    """
    try:
        return {name: str(raw, "utf-8") for name, raw in _members(text).items()}
    except _REFUSED:
        pass
    try:
        return dict(_split(text, "{", "}"))
    except (ValueError, RecursionError, IndexError):
        return None


def elements(text: str) -> list[str] | None:
    """The JSON text of each element of an array; None if the text is not a JSON array."""
    try:
        return [str(raw, "utf-8") for raw in _elements(text)]
    except _REFUSED:
        pass
    try:
        return [element for _, element in _split(text, "[", "]")]
    except (ValueError, RecursionError, IndexError):
        return None


def string(text: str | None) -> str | None:
    """The value of a JSON text that is a string; None for any other."""
    if text is None or text[:1] != '"':
        return None
    try:
        value, end = scanstring(text, 1, False)
    except ValueError:
        return None
    return str(value) if end == len(text) else None


def _split(text: str, opening: str, closing: str) -> Iterator[tuple[str, str]]:
    """Names and texts of members, or empty names and texts of elements. Raises ValueError."""
    at = _after_space(text, 0)
    if text[at] != opening:
        raise ValueError
    at = _after_space(text, at + 1)
    if text[at] == closing:
        _require_end(text, at)
        return
    while True:
        name = ""
        if opening == "{":
            if text[at] != '"':
                raise ValueError
            name, at = scanstring(text, at + 1, False)
            at = _after_space(text, at)
            if text[at] != ":":
                raise ValueError
            at = _after_space(text, at + 1)
        _, end = _DECODER.raw_decode(text, at)
        yield name, text[at:end]
        at = _after_space(text, end)
        if text[at] == closing:
            _require_end(text, at)
            return
        if text[at] != ",":
            raise ValueError
        at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _require_end(text: str, at: int) -> None:
    if _after_space(text, at + 1) != len(text):
        raise ValueError
