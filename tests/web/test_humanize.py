"""Times, durations and sizes on the status page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.web import humanize

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (12, "12 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (5490, "1 h 31 min"),
        (90_000, "1 d 1 h"),
        (90 * 86_400, "90 d"),
    ],
)
def test_durations_show_their_two_largest_units(seconds: float, text: str) -> None:
    assert humanize.duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "now"),
        (12, "12 s ago"),
        (119, "1 min ago"),
        (7200, "2 h ago"),
        (400 * 86_400, "400 d ago"),
        (-48, "in 48 s"),
        (-59.8, "in 1 min"),
    ],
)
def test_times_are_told_as_seen_from_now(seconds: float, text: str) -> None:
    assert humanize.relative(NOW - timedelta(seconds=seconds), NOW) == text


def test_exact_times_are_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=-8)))
    assert humanize.exact(there) == "2026-03-01 12:00:00 UTC"
    assert humanize.iso(there) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_482_752, "1.4 MiB"),
        (2**50, "1,024.0 TiB"),
    ],
)
def test_sizes_are_in_binary_units(count: int, text: str) -> None:
    assert humanize.size(count) == text


@given(st.floats(0, 1e9))
def test_any_duration_has_at_most_two_units(seconds: float) -> None:
    words = humanize.duration(seconds).split()
    assert len(words) in (2, 4)
    assert all(unit in {"d", "h", "min", "s"} for unit in words[1::2])
