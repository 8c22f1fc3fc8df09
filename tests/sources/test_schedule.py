"""The reading schedule: nothing lost, nothing read more often than stated, found in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.schedule import Positions, Schedule, Window, merge

SECOND = 1_000
MINUTE = 60 * SECOND
HISTORY = Schedule(interval=MINUTE, lookback=30 * MINUTE, resolution=SECOND)

schedules = st.builds(
    lambda interval, factor, resolution: Schedule(
        interval * SECOND, round(interval * factor) * SECOND, resolution
    ),
    interval=st.integers(1, 120),
    factor=st.floats(1, 50),
    resolution=st.sampled_from([1, SECOND]),
)


def run(schedule: Schedule, polls: list[int], positions: Positions) -> list[tuple[int, Window]]:
    """Poll at the given times; every (time, window) that was read."""
    read = []
    for now in polls:
        for window in schedule.due(positions, now):
            read.append((now, window))
            positions = schedule.advance(positions, window, now)
    return read


def test_the_ages_grow_by_half_from_the_interval_to_the_lookback() -> None:
    assert [age / MINUTE for age in HISTORY.ages[:4]] == [0, 1, 1.5, 2.25]
    assert HISTORY.ages[-1] == HISTORY.lookback


@given(schedules, st.integers(0, 10**6))
def test_an_event_is_found_by_the_age_that_the_bound_states(
    schedule: Schedule, delay_permille: int
) -> None:
    """Late by d, it is found at an age of at most 2·d + 2 intervals, wherever it falls."""
    delay = delay_permille * schedule.lookback // 10**6
    first = 10**9
    polls = range(first, first + 3 * schedule.lookback + 10 * schedule.interval, schedule.interval)
    read = run(schedule, list(polls), schedule.begin(first))
    for offset in (0, 1, schedule.interval // 3, schedule.interval - 1):
        event = first + schedule.interval + offset
        found = [now for now, w in read if w.start <= event < w.end and now >= event + delay]
        assert found, "the event was never read after it became visible"
        slack = schedule.resolution  # window ends are whole multiples of it
        assert found[0] - event <= 2 * delay + 2 * schedule.interval + slack


@given(schedules, st.data())
def test_each_level_reads_a_time_once_however_irregular_the_polls(
    schedule: Schedule, data: st.DataObject
) -> None:
    first = 10**9
    gaps = data.draw(st.lists(st.integers(1, 5 * schedule.interval), min_size=1, max_size=60))
    polls = [first]
    for gap in gaps:
        polls.append(polls[-1] + gap)
    polls.append(polls[-1] + 2 * schedule.lookback + schedule.interval)
    read = run(schedule, polls, schedule.begin(first))
    for event in (first, first + gaps[0] // 2, first + sum(gaps) // 2):
        reads = [now for now, w in read if w.start <= event < w.end]
        assert 1 <= len(reads) <= len(schedule.ages)
        assert reads[-1] - event >= schedule.lookback, "never read at the age of the lookback"


@given(schedules, st.data())
def test_a_stop_of_any_length_only_makes_the_windows_wider(
    schedule: Schedule, data: st.DataObject
) -> None:
    first = 10**9
    positions = schedule.begin(first)
    pause = data.draw(st.integers(schedule.interval, 100 * schedule.lookback))
    windows = schedule.due(positions, first + pause)
    assert windows[-1].start <= first
    covered = [(w.start, w.end) for w in reversed(windows)]
    assert covered == sorted(covered)
    assert windows[0].end >= first + pause - schedule.resolution


def test_a_level_never_moves_over_a_gap() -> None:
    positions = HISTORY.begin(0)
    assert HISTORY.advance(positions, Window(MINUTE, 2 * MINUTE), 10 * MINUTE) == positions


def test_a_single_run_reads_the_whole_lookback_again() -> None:
    now = 100 * MINUTE
    positions = HISTORY.advance(HISTORY.begin(0), Window(0, now), now)
    assert HISTORY.due(positions, now + 5 * SECOND, complete=True) == [
        Window(now - HISTORY.lookback, now + 5 * SECOND)
    ]


def test_a_changed_interval_or_lookback_takes_the_positions_over() -> None:
    now = 1000 * MINUTE
    positions = HISTORY.advance(HISTORY.begin(0), Window(0, now), now)
    kept = list(zip(HISTORY.ages, positions, strict=True))
    longer = Schedule(MINUTE, 60 * MINUTE, SECOND)
    fitted = longer.fit(kept)
    assert fitted[0] == positions[0]
    assert fitted[-1] == positions[-1], "what is older was forgotten: it must not be read again"
    shorter = Schedule(MINUTE, 10 * MINUTE, SECOND)
    for age, position in zip(shorter.ages, shorter.fit(kept), strict=True):
        assert now - position >= age, "a level claims a slice that was not read at its age"


def test_no_level_claims_a_slice_that_a_clock_ahead_made_look_old() -> None:
    now = 1000 * MINUTE
    for ahead in (MINUTE, 10 * MINUTE, 120 * MINUTE):
        positions = HISTORY.advance(HISTORY.begin(0), Window(0, now + ahead), now + ahead)
        for begun in (positions, HISTORY.begin(now + ahead)):
            fitted = HISTORY.take_back(begun, now, ahead=ahead + MINUTE)
            for age, position in zip(HISTORY.ages, fitted, strict=True):
                assert now - 2 * HISTORY.lookback - age <= position <= now - age


def test_a_quiet_partition_is_read_in_one_window() -> None:
    positions = HISTORY.begin(0)
    for now in range(0, 90 * MINUTE, MINUTE):
        windows = HISTORY.due(positions, now)
        for window in windows:
            positions = HISTORY.advance(positions, window, now)
        assert len(merge(windows, 1e-6, 50)) <= 1


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 100)), min_size=1, max_size=8),
    st.floats(0, 10),
    st.integers(1, 100),
)
def test_merging_leaves_nothing_out_and_costs_no_page(
    spans: list[tuple[int, int]], density: float, page_size: int
) -> None:
    windows: list[Window] = []
    for start, length in sorted(spans, reverse=True):
        if not windows or start + length < windows[-1].start:
            windows.append(Window(start, start + length))
    merged = merge(windows, density, page_size)

    def pages(some: list[Window]) -> int:
        return sum(max(1, -int(-w.length * density // page_size)) for w in some)

    assert all(any(m.start <= w.start and w.end <= m.end for m in merged) for w in windows)
    assert pages(merged) <= pages(windows)
