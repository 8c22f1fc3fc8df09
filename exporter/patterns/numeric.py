"""Numbers of patterns and messages: their text is kept, their values are compared exactly."""

from __future__ import annotations

import re
from decimal import Decimal

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""AWS: an optional sign, decimals, and an exponent. ASCII digits only."""

_EXPONENT_DIGITS = 15


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


def decimal_of(text: str) -> Decimal:
    """Give the exact value of a text that ``NUMBER`` matches.

    Exponents are cut to 15 digits, which no real number reaches: ``Decimal`` would raise there.
    """
    mantissa, marker, exponent = text.replace("E", "e").partition("e")
    if not marker:
        return Decimal(mantissa)
    digits = exponent.lstrip("+-").lstrip("0")[: _EXPONENT_DIGITS + 1] or "0"
    if len(digits) > _EXPONENT_DIGITS:
        digits = "9" * _EXPONENT_DIGITS
    sign = "-" if exponent.startswith("-") else ""
    return Decimal(f"{mantissa}e{sign}{digits}")


def field_decimal(text: str) -> Decimal | None:
    """Give the value of a space-delimited field, or None where its text is not a number."""
    return decimal_of(text) if NUMBER.fullmatch(text) else None
