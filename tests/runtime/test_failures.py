"""What fails again and again is told once, summed up while it lasts, and told when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from exporter.logs import TELL_EVERY, Failures
from exporter.model import SourceError

Lines = list[Any]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines() -> Iterator[Lines]:
    structlog.reset_defaults()
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def failures(clock: Clock) -> Failures:
    return Failures("poll", clock=clock, source="history")


def denied(text: str = "denied") -> SourceError:
    return SourceError(text, reason="access_denied")


def test_the_same_error_is_one_line(failures: Failures, lines: Lines) -> None:
    for _ in range(50):
        failures.failed(denied())
    assert lines == [
        {"event": "poll failed", "source": "history", "error": "denied", "log_level": "warning"}
    ]


def test_errors_that_alternate_are_a_line_each(failures: Failures, lines: Lines) -> None:
    for _ in range(20):
        failures.failed(denied("throttled"))
        failures.failed(denied("no connection"))
    assert [line["error"] for line in lines] == ["throttled", "no connection"]


def test_errors_that_are_never_the_same_are_few_lines(failures: Failures, lines: Lines) -> None:
    for number in range(1000):
        failures.failed(denied(f"request {number} failed"))
    assert len(lines) == 5


def test_while_it_lasts_a_line_each_ten_minutes_says_how_often(
    failures: Failures, clock: Clock, lines: Lines
) -> None:
    for second in range(0, 1801, 60):
        clock.now = second
        failures.failed(denied())
    assert [(line["event"], line.get("failures"), line.get("lasting")) for line in lines] == [
        ("poll failed", None, None),
        ("poll still fails", 11, "600s"),
        ("poll still fails", 21, "1200s"),
        ("poll still fails", 31, "1800s"),
    ]


def test_when_it_is_over_a_line_says_how_long_it_was(
    failures: Failures, clock: Clock, lines: Lines
) -> None:
    for second in (0, 30, 60):
        clock.now = second
        failures.failed(denied())
    clock.now = 90
    failures.succeeded()
    failures.succeeded()
    assert lines[1:] == [
        {
            "event": "poll succeeds again",
            "source": "history",
            "failures": 3,
            "lasting": "90s",
            "log_level": "info",
        }
    ]
    clock.now = TELL_EVERY * 3
    failures.failed(denied())
    assert lines[-1]["event"] == "poll failed"


def test_success_alone_is_no_line(failures: Failures, lines: Lines) -> None:
    failures.succeeded()
    assert lines == []


def test_of_an_internal_error_the_frames_are_logged_and_not_its_message(
    failures: Failures, lines: Lines
) -> None:
    """The message of an exception may hold a part of a log event."""
    password = "hunter2"
    try:
        float(password)
    except ValueError as cause:
        error = SourceError("internal error (ValueError)", reason="internal")
        error.__cause__ = cause
        failures.failed(error)
    (line,) = lines
    assert "test_failures.py" in line["frames"]
    assert "hunter2" not in str(line)
