"""A backlog is followed: how much is left, how fast it shrinks, and how long that will take."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from exporter.model import Partition
from exporter.runtime.backlog import BacklogProgress
from exporter.sources.base import Backlog

NOW = 1_700_000_000.0


class Watched:
    """The progress of a backlog, on a clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 0.0
        self.progress = BacklogProgress(Partition("trail"), clock=lambda: self.at)

    def note(self, objects: int, *, after: float = 0, size: int | None = None) -> list[str]:
        """Take a backlog, and return the log lines."""
        self.at += after
        oldest = round((NOW - 7200) * 1000) if objects else None
        with capture_logs() as lines:
            self.progress.note(Backlog(objects, size, oldest), NOW)
        return [line["event"] for line in lines]

    @property
    def text(self) -> str:
        return self.progress.text(NOW)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_a_backlog_that_shrinks_says_how_long_it_will_take(watched: Watched) -> None:
    watched.note(10_000, size=5 * 2**20)
    assert watched.text == "10,000 objects wait (5.0 MiB); the oldest for 2 h"
    for left in (9_000, 8_000, 7_000):
        watched.note(left, after=60)
    assert watched.progress.rate == pytest.approx(1000 / 60)
    assert watched.text.endswith("16.7 a second less, 7 min left")


def test_the_rate_is_that_of_the_last_minutes(watched: Watched) -> None:
    watched.note(100_000)
    for _ in range(10):
        watched.note(100_000, after=60)
    for step in range(1, 11):
        watched.note(100_000 - 6_000 * step, after=60)
    assert watched.progress.rate == pytest.approx(100)


def test_a_backlog_that_grows_says_so(watched: Watched) -> None:
    watched.note(10_000)
    watched.note(16_000, after=60)
    assert watched.text.endswith("100.0 a second more")


def test_a_backlog_is_logged_every_five_minutes_and_when_it_is_over(watched: Watched) -> None:
    lines = [watched.note(10_000)]
    lines += [watched.note(10_000 - 10 * step, after=10) for step in range(1, 61)]
    assert [at * 10 for at, logged in enumerate(lines) if logged] == [0, 300, 600]
    assert watched.note(0, after=10) == ["the backlog is worked off"]
    assert watched.note(0, after=1000) == []


def test_a_few_messages_of_a_busy_queue_are_no_backlog_worth_telling(watched: Watched) -> None:
    assert [watched.note(20, after=400) for _ in range(3)] == [[], [], []]
    assert watched.text == ""
