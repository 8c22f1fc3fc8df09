"""Fields of a record as AWS sends it, or as something else does."""

from __future__ import annotations

from datetime import datetime

_LAST = 253_402_300_799_999
"""The end of the year 9999, in milliseconds."""


def text(value: object) -> str | None:
    """The value, if it is a text."""
    return value if isinstance(value, str) else None


def identifier(value: object) -> str | None:
    """The value, if it is an id: AWS's are ASCII."""
    return value if isinstance(value, str) and value and value.isascii() else None


def milliseconds(value: object, unit: int) -> int | None:
    """A time since the epoch in milliseconds, if it is one; ``unit``: milliseconds of a unit."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * unit) if 0 <= value <= _LAST / unit else None
