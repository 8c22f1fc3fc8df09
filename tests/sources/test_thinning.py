"""Which re-reads are left out if all of them do not fit, and when they return."""

from __future__ import annotations

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

    def poll(self, page_seconds: float, times: int = 1, *, caught_up: bool = True) -> None:
        for _ in range(times):
            self.thinning.begin_poll(self.now, caught_up=caught_up)
            for _ in range(PAGES):
                self.now += page_seconds
                self.thinning.called(self.now)
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
