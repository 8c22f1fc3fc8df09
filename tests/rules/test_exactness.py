"""What counts and what must be remembered: the pure rules, against naive models."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exactness import (
    CLOCK_ERROR,
    RuleVersion,
    Timeline,
    amend,
    backfill,
    first_start,
    may_count,
    origin,
    pruned,
    readable_from,
    versions_needed_from,
    watermark,
)

END = 40
"""The models know what happens at the times 0 … END."""

times = st.integers(0, END)
definitions = st.sampled_from(["A", "B", None])
loads = st.lists(st.tuples(times, definitions), max_size=8)
Steps = list[tuple[int, str | None]]
NAMES = ("a", "b", "c")


def history(rule: str, steps: Steps) -> tuple[RuleVersion, ...]:
    """A rule's versions after loads of configurations at these times."""
    versions: tuple[RuleVersion, ...] = ()
    for now, definition in steps:
        versions = amend(versions, rule, definition, start=now, now=now)
    return versions


def in_force(versions: tuple[RuleVersion, ...], time: int) -> list[str]:
    """The definitions that judge what happened at a time, one version after the other."""
    return [
        one.definition
        for one in versions
        if (one.since is None or one.since <= time) and (one.until is None or time < one.until)
    ]


@settings(deadline=None)
@given(loads)
def test_an_event_is_judged_by_what_was_configured_when_it_happened(steps: Steps) -> None:
    steps = sorted(steps, key=lambda step: step[0])
    model: dict[int, str | None] = {}
    for now, definition in steps:
        model.update(dict.fromkeys(range(now, END + 1), definition))
    versions = history("a", steps)
    for time in range(END + 1):
        expected = model.get(time)
        assert in_force(versions, time) == ([] if expected is None else [expected])


@settings(deadline=None)
@given(loads)
def test_a_clock_that_is_set_back_makes_no_versions_overlap_and_changes_no_past(
    steps: Steps,
) -> None:
    versions: tuple[RuleVersion, ...] = ()
    for now, definition in steps:
        before = versions
        versions = amend(before, "a", definition, start=now, now=now)
        assert all(len(in_force(versions, time)) <= 1 for time in range(END + 1))
        assert {one for one in before if one.until is not None} <= {*versions}
        assert [one.definition for one in versions if one.until is None] == [definition] * (
            definition is not None
        )


@settings(deadline=None)
@given(loads)
def test_a_configuration_that_is_loaded_again_changes_nothing(
    steps: Steps,
) -> None:
    versions = history("a", steps)
    if steps and versions:
        again = amend(versions, "a", steps[-1][1], start=END, now=END)
        assert again == versions


@settings(deadline=None)
@given(loads, times, times)
def test_what_no_event_can_ask_for_any_more_is_dropped_and_all_else_judged_as_before(
    steps: Steps, needed_from: int, later: int
) -> None:
    versions = history("a", sorted(steps, key=lambda step: step[0]))
    left = pruned(versions, needed_from)
    assert all(one.until is None or one.until >= needed_from for one in left)
    for time in range(END + 1):
        before, after = in_force(versions, time), in_force(left, time)
        assert len(after) <= 1
        if time >= needed_from:
            assert after == before
        # The past goes to nobody whom it did not belong to.
        assert before or not after
    assert pruned(left, needed_from) == left
    assert pruned(left, max(needed_from, later)) == pruned(versions, max(needed_from, later))


def test_the_version_after_an_edit_takes_over_the_past_and_one_after_a_gap_does_not() -> None:
    edited = history("a", [(0, "A"), (10, "B")])
    assert pruned(edited, 20) == (RuleVersion("a", 0, None, "B"),)
    back = history("a", [(0, "A"), (10, None), (12, "A")])
    assert pruned(back, 11) == (RuleVersion("a", 12, None, "A"),)
    assert pruned(history("a", [(0, "A"), (10, None)]), 11) == ()


def test_the_past_is_fetched_only_for_a_rule_that_was_loaded_with_a_start_of_its_own() -> None:
    own = amend((), "a", "A", start=2, own_start=True, now=10)
    assert own == (RuleVersion("a", 2, None, "A", own_start=True),)
    edited = amend(own, "a", "B", start=5, own_start=True, now=12)
    assert [one.own_start for one in edited] == [True, False]
    assert pruned(edited, 13) == (RuleVersion("a", 2, None, "B", own_start=True),)
    added = amend(history("a", [(0, "A")]), "a", "A", start=-5, own_start=True, now=10)
    assert added == history("a", [(0, "A")])


@settings(deadline=None)
@given(st.tuples(loads, loads, loads), times, st.integers(0, 5))
def test_the_last_version_in_force_while_an_event_can_have_happened_judges_it(
    histories: tuple[Steps, ...], earliest: int, span: int
) -> None:
    latest = earliest + span
    versions = {
        name: history(name, sorted(steps, key=lambda step: step[0]))
        for name, steps in zip(NAMES, histories, strict=True)
    }
    timeline = Timeline(one for of in versions.values() for one in of)
    judging = timeline.judges(timeline.stretch(earliest, latest))
    expected = {}
    for name, of in versions.items():
        found = [d for time in range(earliest, latest + 1) for d in in_force(of, time)]
        if found:
            expected[name] = found[-1]
    assert {one.rule: one.definition for one in judging} == expected
    latest_ones = timeline.judges(timeline.latest)
    assert {one for of in versions.values() for one in of if one.until is None} == {*latest_ones}


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1_000), st.lists(st.integers(0, 10_000), max_size=4))
def test_versions_are_kept_as_long_as_any_partition_can_bring_an_event_of_their_time(
    now: int, lateness: int, positions: list[int]
) -> None:
    needed = versions_needed_from(now, lateness, positions)
    assert needed <= now - lateness - CLOCK_ERROR
    assert all(needed <= position - CLOCK_ERROR for position in positions)


@settings(deadline=None)
@given(
    start=st.integers(0, 5_000),
    created=st.none() | st.integers(0, 20_000),
    own_starts=st.lists(st.integers(0, 20_000), max_size=3),
    lateness=st.integers(1, 3_000),
    since=st.integers(0, 9_000),
)
def test_reading_begins_where_the_first_event_that_can_count_is(
    start: int, created: int | None, own_starts: list[int], lateness: int, since: int
) -> None:
    now = 10_000
    begin = origin(
        configured=now - since,
        start=start,
        created=created,
        own_starts=own_starts,
        allowed_lateness=lateness,
        now=now,
    )
    assert begin <= now
    wanted = now - since - start
    # Nothing that the source's start asks for is left out, but what is older than the partition.
    assert begin <= max(wanted, created - lateness if created is not None else wanted)
    # What a rule's own start asks for and may still arrive is read by the schedule.
    assert all(begin <= max(own, now - lateness) for own in own_starts)
    # Without such rules nothing older is read.
    if not own_starts:
        assert begin >= min(wanted, now)


@settings(deadline=None)
@given(st.lists(st.integers(), min_size=1), st.lists(st.integers()))
def test_nothing_counts_that_is_older_than_what_every_span_was_read_to_for_the_last_time(
    final: list[int], starts: list[int]
) -> None:
    mark = watermark(final)
    assert all(mark <= position for position in final)
    assert readable_from(mark, starts) == min([mark, *starts])
    assert may_count(mark, mark, frozenset({"new"})) is None
    assert may_count(mark - 1, mark, frozenset({"new"})) == frozenset({"new"})
    assert may_count(mark - 1, None, frozenset()) is None


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), times), st.sets(st.sampled_from(NAMES)), times)
def test_each_rule_asks_once_for_its_past(
    own_starts: dict[str, int], asked: set[str], read_up_to: int
) -> None:
    rules, start = backfill(own_starts, asked, read_up_to)
    assert rules == own_starts.keys() - asked
    earlier = [own_starts[rule] for rule in rules if own_starts[rule] < read_up_to]
    assert start == min(earlier, default=None)
    assert backfill(own_starts, asked | rules, read_up_to) == (frozenset(), None)


@pytest.mark.parametrize(
    ("source", "own", "read_before", "start"),
    [
        (0, None, False, 1000),
        (300, None, False, 700),
        (300, None, True, 1000),  # A source's start is for the rules of its first run.
        (300, 50, False, 950),
        (300, 500, True, 500),
        (None, None, True, None),
        (None, 50, False, None),
    ],
)
def test_since_when_a_rule_counts_that_is_new_to_a_source(
    source: int | None, own: int | None, read_before: bool, start: int | None
) -> None:
    assert first_start(source=source, own=own, read_before=read_before, now=1000) == start
