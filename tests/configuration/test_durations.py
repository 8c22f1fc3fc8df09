"""Durations are read as Prometheus reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("1h30m", 5400),
        ("30d", 30 * 86400),
        ("1w", 604800),
        ("1y", 365 * 86400),
        ("250ms", 0.25),
        ("1m5ms", 60.005),
        ("1y2w3d4h5m6s7ms", 31536000 + 1209600 + 259200 + 14400 + 300 + 6 + 0.007),
        ("0", 0),
        ("0s", 0),
    ],
)
def test_a_duration_is_its_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "1",
        "1.5h",
        "-1s",
        "1m1h",
        "1s1s",
        "1 s",
        "1H",
        "90 seconds",
        "\u0661s",
        "1d\n",
        "ms5",
    ],
)
def test_what_prometheus_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_number_without_a_unit_says_what_to_write() -> None:
    with pytest.raises(ValueError, match="write 60s for seconds"):
        parse_duration("60")


@pytest.mark.parametrize("text", ["101y", "999999999999999y"])
def test_a_duration_beyond_a_hundred_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=100 * 365 * 86400 * 1000))
def test_formatting_and_parsing_agree_to_the_millisecond(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1000)
    assert round(parse_duration(text) * 1000) == milliseconds
