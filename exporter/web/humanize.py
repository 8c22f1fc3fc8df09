"""Times, durations and numbers as text for people."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float, units: int = 2) -> str:
    """Return a duration in seconds as text: ``12 s``, ``1 min 30 s``, ``2 h``."""
    left = round(seconds)
    if left < 1:
        return f"{seconds:.1f} s" if seconds >= 0.1 else "0 s"
    parts: list[str] = []
    for size, unit in _UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count:,} {unit}")
        elif parts:
            break
    return " ".join(parts[:units])


def relative(time: datetime, now: datetime) -> str:
    """Return a time relative to ``now``: ``12 s ago``, ``in 3 min``, ``now``."""
    seconds = (now - time).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{duration(seconds, 1)} ago" if seconds > 0 else f"in {duration(-seconds, 1)}"


def exact(time: datetime) -> str:
    """Return a time to the second in UTC: ``2026-01-31 09:05:00 UTC``."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(time: datetime) -> str:
    """Return a time in ISO 8601: ``2026-01-31T09:05:00Z``."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(count: int) -> str:
    """Return a number of bytes: ``1.4 MiB``."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TiB"


def short(count: float) -> str:
    """Return a number in at most four digits: ``1,234``, ``123k``, ``4.56M``."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if count >= size:
            return f"{count / size:.3g}{unit}" if count < 1000 * size else f"{count:.2e}"
    return f"{count / 1000:.3g}k" if count >= 100_000 else f"{count:,.0f}"
