"""Durations in Prometheus's format."""

from __future__ import annotations

import re

_UNITS = {
    "y": 365 * 86400.0,
    "w": 7 * 86400.0,
    "d": 86400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 0.001,
}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,15}}){unit})?" for unit in _UNITS))
_SHOWN = 40
"""Characters of a text that a message quotes."""
_LONGEST = 100 * _UNITS["y"]


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as ``90s``, ``1h30m`` or ``30d``.

    Prometheus: units y, w, d, h, m, s and ms, each at most once, the largest first; ``0`` needs no
    unit. Raises ValueError.
    """
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        shown = repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
        if re.fullmatch("[0-9]{1,15}", text):
            raise ValueError(f"{shown} is not a duration; write {text}s for seconds")
        raise ValueError(
            f"{shown} is not a duration such as 90s, 1h30m or 30d"
            " (units y w d h m s ms, the largest first, each once)"
        )
    seconds = sum(int(match[unit] or 0) * factor for unit, factor in _UNITS.items())
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is too long: a duration has at most 100y")
    return seconds


def format_duration(seconds: float) -> str:
    """Return seconds in the format of ``parse_duration``, to the millisecond."""
    rest = round(seconds * 1000)
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, round(_UNITS[unit] * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
