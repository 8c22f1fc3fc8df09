"""Values of a typed message: which are exact as they are, and how the others become so."""

from __future__ import annotations

from typing import Any

import msgspec

from exporter.patterns import NumberText
from exporter.patterns.document import decode_value

_LARGEST = 10**18
"""Larger integers have their text from the exact decoder."""
_LONGEST_KEPT = 64
_MOST_KEPT = 4096

_kept: dict[bytes, str] = {}
"""Strings and numbers by their JSON text."""


class InexactError(Exception):
    """The typed decoder did not keep how this value was written; the exact decoder has to."""


def settled(value: Any) -> Any:
    """A value of a typed message as the exact decoder gives it. Numbers become NumberText.

    An object is a Struct here. Raises InexactError for a number whose text is not known: a float,
    and 0, which may have been ``-0``.
    """
    kind = value.__class__
    if kind is str:
        return value
    if kind is msgspec.Raw:
        return _decoded(bytes(value))
    if kind is int:
        if value and -_LARGEST < value < _LARGEST:
            return NumberText(value)
        raise InexactError
    if kind is float:
        raise InexactError
    return value


def is_object(value: object) -> bool:
    """Whether a value of a typed message is a JSON object."""
    if isinstance(value, msgspec.Raw):
        return bytes(value).lstrip().startswith(b"{")
    return isinstance(value, msgspec.Struct | dict)


def _decoded(text: bytes) -> object:
    if len(text) > _LONGEST_KEPT:
        return _decode(text)
    kept = _kept.get(text)
    if kept is not None:
        return kept
    value = _decode(text)
    if isinstance(value, str):
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[text] = value
    return value


def _decode(text: bytes) -> object:
    try:
        return decode_value(text.decode())
    except (ValueError, RecursionError) as error:
        raise InexactError from error
