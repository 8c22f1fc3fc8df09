"""Which re-reads are left out if all of them do not fit, and when they return."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.schedule import Schedule
from exporter.sources.thinning import Thinning

MINUTE = 60_000
SCHEDULE = Schedule(MINUTE, 30 * MINUTE)
PAGES = 60
"""In an interval, at the density of these tests."""


class Reading:
    """Polls that read ``PAGES`` an interval of event time."""

    def __init__(self, thinning: Thinning) -> None:
        self.thinning = thinning
        self.now = 0.0

    def poll(
        self,
        page_seconds: float,
        times: int = 1,
        *,
        caught_up: bool = True,
        ahead: bool = False,
        counting: float = 0.0,
        quota_seconds: float = 0.0,
    ) -> None:
        """``page_seconds`` of fetching a page, and so many of counting it."""
        for _ in range(times):
            self.thinning.begin_poll(self.now, caught_up=caught_up, quota_seconds=quota_seconds)
            self.thinning.ahead = ahead
            for _ in range(PAGES):
                self.now += counting
                self.thinning.asks(self.now)
                self.now += 0 if ahead else page_seconds
                self.thinning.called(self.now, page_seconds)
            self.thinning.read(MINUTE, PAGES)


@given(st.integers(1, 120), st.floats(1, 3000), st.sampled_from([1, 1000]))
def test_each_form_of_a_schedule_has_fewer_reads_but_the_fresh_one_and_the_last(
    interval: int, lookback: float, resolution: int
) -> None:
    schedule = Schedule(interval * 1000, round(interval * 1000 * lookback), resolution)
    forms = schedule.thinned
    assert forms[0] == schedule
    reads = [len(form.ages) for form in forms]
    assert reads == sorted(set(reads), reverse=True)
    assert all(form.ages[0] == 0 and form.ages[-1] == schedule.lookback for form in forms)
    assert len(forms[-1].ages) == 2
    factors = [form.factor for form in forms]
    assert factors == sorted(factors)


@given(st.floats(0.001, 2), st.integers(30, 60))
def test_the_smallest_factor_is_chosen_whose_reads_fit(page_seconds: float, polls: int) -> None:
    thinning = Thinning(SCHEDULE)
    Reading(thinning).poll(page_seconds, polls)
    forms = SCHEDULE.thinned
    fitting = [f for f in forms if f.pages(PAGES / MINUTE) * page_seconds <= 0.9 * 60]
    assert thinning.schedule == (fitting or forms[-1:])[0]


def test_one_slow_poll_leaves_out_nothing() -> None:
    thinning = Thinning(SCHEDULE)
    reading = Reading(thinning)
    reading.poll(0.01, 5)
    reading.poll(0.5)
    reading.poll(0.01, 5)
    assert not thinning.rereads.thinned


def test_the_full_schedule_returns_step_by_step_and_only_when_nothing_is_left_to_read() -> None:
    thinning = Thinning(SCHEDULE)
    reading = Reading(thinning)
    reading.poll(0.4, 20)
    assert thinning.rereads.thinned
    reading.poll(0.01, 60, caught_up=False)
    assert thinning.rereads.thinned
    seen = []
    for _ in range(100):
        reading.poll(0.01)
        seen.append(thinning.rereads.reads)
    assert seen == sorted(seen)
    assert not thinning.rereads.thinned


def test_a_quiet_partition_with_slow_calls_is_not_thinned_since_it_would_save_none() -> None:
    thinning = Thinning(SCHEDULE)
    now = 0.0
    for _ in range(20):
        thinning.begin_poll(now, caught_up=True)
        thinning.asks(now)
        now += 70
        thinning.called(now, 70)
        thinning.read(MINUTE, 0.001)
    assert thinning.rereads.short
    assert not thinning.rereads.thinned


def test_the_reason_says_when_there_is_room_again() -> None:
    thinning = Thinning(SCHEDULE)
    reading = Reading(thinning)
    reading.poll(0.4, 20)
    assert "return" not in thinning.rereads.reason
    reading.poll(0.01, 20)
    assert thinning.rereads.thinned
    assert "they return step by step" in str(thinning.rereads)
    after_restart = Thinning(SCHEDULE, thinning.schedule.ages)
    Reading(after_restart).poll(0.01)
    assert "they return step by step" in after_restart.rereads.reason


def test_a_return_that_was_too_early_is_tried_again_later_and_later() -> None:
    """As with a quota that is short only when all of its partitions read everything."""
    thinning = Thinning(SCHEDULE)
    reading = Reading(thinning)
    changes, before = [], False
    for n in range(400):
        reading.poll(0.03 if thinning.rereads.thinned else 0.4)
        if thinning.rereads.thinned != before:
            before = not before
            changes.append(n)
    pauses = [end - begin for begin, end in zip(changes[::2], changes[1::2], strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 4 * pauses[0]


def test_after_a_restart_re_reads_stay_thinned() -> None:
    form = SCHEDULE.thinned[3]
    assert Thinning(SCHEDULE, form.ages).schedule == form
    assert not Thinning(SCHEDULE, Schedule(MINUTE, 20 * MINUTE).ages).rereads.thinned


def test_a_partition_with_more_than_the_least_reads_says_that_it_falls_behind() -> None:
    thinning = Thinning(SCHEDULE)
    Reading(thinning).poll(0.6, 40)
    assert thinning.rereads.reads == 2
    assert thinning.rereads.short
    assert "2 reads an event instead of 11" in str(thinning.rereads)
    assert "It falls behind: 2 reads an event take 120% of the interval" in str(thinning.rereads)


def test_a_partition_whose_reads_all_fit_has_nothing_to_say() -> None:
    thinning = Thinning(SCHEDULE)
    Reading(thinning).poll(0.01, 40)
    assert str(thinning.rereads) == ""


FULL = 60 / SCHEDULE.pages(PAGES / MINUTE)
"""Seconds a page that take all of the interval if nothing is left out."""


def test_a_partition_is_busy_if_its_reads_take_long_one_page_after_the_other() -> None:
    thinning = Thinning(SCHEDULE)
    reading = Reading(thinning)
    reading.poll(FULL / 3, 20)
    assert not thinning.busy
    reading.poll(FULL, 20)
    assert thinning.busy
    reading.poll(FULL, 40, ahead=True)
    assert thinning.busy
    reading.poll(FULL / 10, 40, ahead=True)
    assert not thinning.busy


@pytest.mark.parametrize(
    ("fetching", "counting", "quota_seconds", "thinned"),
    [
        (2 * FULL, 0.1 * FULL, 0.1 * FULL, False),
        (5 * FULL, 0.1 * FULL, 0.1 * FULL, True),
        (2 * FULL, 1.2 * FULL, 0.1 * FULL, True),
        (2 * FULL, 0.1 * FULL, 1.2 * FULL, True),
    ],
    ids=["all fit", "the API is slow or throttles", "counting takes long", "the quota is small"],
)
def test_re_reads_that_are_fetched_ahead_thin_out_by_what_limits_them(
    fetching: float, counting: float, quota_seconds: float, thinned: bool
) -> None:
    thinning = Thinning(SCHEDULE)
    Reading(thinning).poll(fetching, 40, ahead=True, counting=counting, quota_seconds=quota_seconds)
    assert thinning.rereads.thinned == thinned
    assert thinning.rereads.load <= 0.9
