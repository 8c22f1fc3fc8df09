"""The length of slices, and the density of events, that reading has shown."""

from __future__ import annotations

from exporter.sources.pace import PAGES, Pace
from exporter.sources.schedule import Schedule, Window
from exporter.sources.thinning import Thinning

MINUTE = 60_000
OLDER, FRESH = Window(0, MINUTE), Window(10 * MINUTE, 11 * MINUTE)


def pace() -> Pace:
    pace = Pace(Thinning(Schedule(MINUTE, 30 * MINUTE)))
    pace.fresh_from = FRESH.start
    return pace


def test_few_fresh_events_of_a_slow_api_say_nothing_of_older_slices() -> None:
    """CloudTrail shows most events minutes later: fresh windows of a busy account are empty."""
    learning = pace()
    learning.learn(OLDER, 10 * PAGES, 500 * PAGES)
    length, density = learning.slice_length(OLDER), learning.events_per_ms
    assert length == MINUTE // 10
    for _ in range(5):
        learning.learn(FRESH, 1, 3)
    assert learning.slice_length(OLDER) == length
    assert learning.slice_length(FRESH) >= FRESH.length
    assert learning.events_per_ms == density


def test_a_slice_that_is_retried_is_shorter_and_others_are_not() -> None:
    learning = pace()
    learning.shorten(FRESH, 4)
    assert learning.slice_length(FRESH) == FRESH.length // 4
    assert learning.slice_length(OLDER) > OLDER.length
