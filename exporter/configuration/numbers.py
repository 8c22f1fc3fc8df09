"""Numbers as configuration files write them, each within bounds."""

from __future__ import annotations

import re
from decimal import Decimal

from exporter.patterns.syntax import NUMBER, decimal_of

_LARGEST_VALUE = Decimal(2**53)
"""Up to here a float holds every whole number exactly."""
_SMALLEST_VALUE = Decimal("1e-9")
"""Far less than this is lost when it is added to a total."""
VALUES = f"{_SMALLEST_VALUE:g} to {_LARGEST_VALUE} (2^53)"
"""For messages: the values that there are beside 0."""
SMALLEST_SCALE, LARGEST_SCALE = Decimal("1e-15"), Decimal("1e15")
SMALLEST_LIMIT, LARGEST_LIMIT = Decimal("1e-9"), Decimal("1e300")
"""Of ``max_value``."""
MAX_BUCKETS = 200
"""Each is a series more for every series of the rule."""
MAX_SERIES = 1_000_000
"""The largest `max_series`: Prometheus does not take a page of more."""

_WHOLE = re.compile("[+-]?[0-9]+")


def read_number(data: object) -> Decimal | None:
    """A number's exact value; None if the data is no number (NaN and infinity are none)."""
    text = str(data) if isinstance(data, str | int | float) else ""
    return decimal_of(text) if NUMBER.fullmatch(text) else None


def is_value(number: Decimal) -> bool:
    """Whether a series can count in such numbers: 0, or one of VALUES."""
    return not number or _SMALLEST_VALUE <= number <= _LARGEST_VALUE


def check_whole_number(data: object) -> object:
    """Return the data; ValueError where it is not plain digits (Python also reads ``1_000``)."""
    if isinstance(data, str) and not _WHOLE.fullmatch(data):
        raise ValueError("must be a whole number")
    return data
