"""``Judge`` and ``Placement`` against models of a few lines; no database."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.ledger.counting import Placement, RuleSpec
from exporter.ledger.judging import TIME_PERIOD, Judge, Remembered
from exporter.ledger.sums import sum_exactly
from exporter.ledger.tally import Tally
from exporter.model import EventKey, Increment, JudgedEvent, SeriesKey
from tests.support.counting import METRIC, SOURCE, key

RULES = ("a", "b", "c")
LANES = ("east", "west")
BOUNDS = (1.0, 5.0)
OVER = key("__overflow__")
VALUES = (
    *(1.0, 1.0, 1.0, 0.0, 3.0, 0.1, 0.25, 1e-9, 2.0**53, 2.0**53 - 1, 1e300),
    *(None, -1.0, float("nan"), 10**400),
)
POOL = {
    rule: [Increment(rule, key(user), OVER, value) for user in "uvw" for value in VALUES]
    for rule in RULES
}
"""As the evaluator makes them: many matches have the same object."""


@st.composite
def judged_events(draw: st.DrawFn) -> JudgedEvent:
    """An event that some rules judged, of which some matched."""
    matched, more = draw(st.integers(1, 7)), draw(st.integers(0, 7))
    rules = [rule for bit, rule in enumerate(RULES) if matched >> bit & 1]
    judged = frozenset(rules) | {rule for bit, rule in enumerate(RULES) if more >> bit & 1}
    increments = tuple(draw(st.sampled_from(POOL[rule])) for rule in rules)
    event_id = draw(st.sampled_from([None, "1", "2", "3"]))
    aliases = draw(st.sampled_from(ALIASES))
    time, event_time = draw(st.sampled_from(TIMES))
    return JudgedEvent(
        event_id, draw(st.sampled_from(["", "p"])), time, event_time, judged, increments, aliases
    )


ALIASES: list[tuple[EventKey, ...]] = [
    (),
    *((("old", name, 5),) for name in "123x"),
    (("old", "1", 5), ("old", "x", 5)),
]
TIMES = [(time, at) for time in (5, 6, 5 + TIME_PERIOD) for at in (5, 6, 7, None)]

batches = st.lists(st.lists(judged_events(), max_size=6), max_size=6)


@given(batches=batches, together=st.booleans())
def test_a_rule_judges_an_event_once_in_whatever_batches_it_comes(
    batches: list[list[JudgedEvent]], together: bool
) -> None:
    known: dict[EventKey, frozenset[str]] = {}
    model: dict[EventKey, set[str]] = {}
    judge = Judge(known)
    for number, events in enumerate(batches):
        events = [replace(event, aliases=()) for event in events]  # noqa: PLW2901
        new = judge.new(events, read_at=None)
        expected: list[tuple[str | None, str]] = []
        for event in events:
            rules = [one.rule for one in event.increments]
            if event.event_id is None:
                expected += [(None, rule) for rule in rules]
                continue
            own = (event.scope, event.event_id, event.event_time)
            seen = model.setdefault(own, set())
            expected += [(event.event_id, rule) for rule in rules if rule not in seen]
            seen |= event.judged
        counted = [(event.event_id, one.rule) for event in new for one in event.increments]
        assert counted == expected, number
        if not together:
            known |= judge.remember
            judge = Judge(known)
    known |= judge.remember
    assert {own: set(rules) for own, rules in known.items()} == model


@given(
    events=st.lists(judged_events(), max_size=6),
    known=st.sets(st.sampled_from("123x")),
    by_event_time=st.booleans(),
)
def test_an_alias_is_the_event_unless_an_older_entry_has_another_time(
    events: list[JudgedEvent], known: set[str], by_event_time: bool
) -> None:
    memory: list[EventKey] = [("old", name, 5) for name in known]
    if by_event_time:
        judge = Judge(dict.fromkeys(memory, frozenset(RULES)))
    else:
        judge = Judge({}, dict.fromkeys(memory, Remembered(frozenset(RULES), 5)))
    new = judge.new(events, read_at=None)
    counted = [(one.scope, one.event_id, one.event_time) for one in new]
    keys = [(event.scope, event.event_id, event.event_time) for event in events]
    for event, own in zip(events, keys, strict=True):
        is_known = event.event_id is not None and any(
            alias in memory
            and (by_event_time or event.time % TIME_PERIOD == 5 or alias[1] == event.event_id)
            for alias in event.aliases
        )
        if keys.count(own) == 1:
            assert (own in counted) != is_known
        elif event.event_id is None:
            assert own in counted


@dataclass
class OneByOne:
    """The counts of increments that are added one after the other."""

    limit: int
    buckets: bool
    members: dict[str, set[SeriesKey]] = field(default_factory=dict)
    totals: dict[tuple[SeriesKey, str], float] = field(default_factory=dict)
    observed: dict[tuple[SeriesKey, str], list[int]] = field(default_factory=dict)
    last: dict[tuple[SeriesKey, str], tuple[str | None, float, int | None]] = field(
        default_factory=dict
    )
    rules: dict[tuple[str, str], tuple[int, int, int]] = field(default_factory=dict)

    def add(self, lane: str, event: JudgedEvent) -> None:
        for one in event.increments:
            overflow = error = False
            try:
                value = float(one.value) if one.value is not None else -1.0
            except OverflowError:
                value = -1.0
            if value >= 0:
                members = self.members.setdefault(one.rule, set())
                if one.series not in members:
                    overflow = len(members) >= self.limit
                    members |= set() if overflow else {one.series}
                error = not self.observe((OVER if overflow else one.series, lane), value, event)
            else:
                error = True
            matches, errors, overflowed = self.rules.get((one.rule, lane), (0, 0, 0))
            counts = (matches + 1, errors + error, overflowed + (overflow and not error))
            self.rules[one.rule, lane] = counts

    def observe(self, at: tuple[SeriesKey, str], value: float, event: JudgedEvent) -> bool:
        before = self.totals.get(at, 0.0)
        everywhere = math.fsum(total for other, total in self.totals.items() if other[0] == at[0])
        after = sum_exactly(before, value)
        if after is None or sum_exactly(everywhere, value) is None:
            return False
        self.totals[at] = after
        self.observed.setdefault(at, [0] * 3)[bisect_left(BOUNDS, value)] += 1
        last = self.last.get(at, (None, 0.0, None))
        if event.event_time is None or last[2] is None or event.event_time >= last[2]:
            self.last[at] = (event.event_id, value, event.event_time)
        return True


@given(
    batches=st.lists(
        st.tuples(st.sampled_from(LANES), st.lists(judged_events(), max_size=12)), max_size=4
    ),
    limit=st.integers(1, 4),
    buckets=st.booleans(),
    timed=st.booleans(),
)
def test_a_batch_adds_what_its_increments_add_one_by_one(
    batches: list[tuple[str, list[JudgedEvent]]], limit: int, buckets: bool, timed: bool
) -> None:
    spec = RuleSpec(limit, BOUNDS if buckets else None)
    placement = Placement({(rule, METRIC): spec for rule in RULES}, 7)
    model = OneByOne(limit, buckets)
    for lane, events in batches:
        if timed:
            events = [replace(one, event_time=one.event_time or 6) for one in events]  # noqa: PLW2901
        changes = placement.add(SOURCE, lane, Tally.of(events))
        assert sum(one.matches for one in changes) == sum(len(one.increments) for one in events)
        for event in events:
            model.add(lane, event)
    totals = {
        (state.key, lane): total
        for state in placement.series.values()
        for lane, total in state.totals.items()
    }
    assert {at: total.total for at, total in totals.items()} == model.totals
    last = {at: (one.event_id, one.event_value, one.event_time) for at, one in totals.items()}
    assert last == model.last
    if buckets:
        assert {at: one.buckets for at, one in totals.items()} == {
            at: str(counts) for at, counts in model.observed.items()
        }
    rules = {
        at: (one.matches, one.value_errors, one.overflowed) for at, one in placement.rules.items()
    }
    assert rules == model.rules
    for rule, members in model.members.items():
        assert placement.counts[rule, METRIC].series == len(members)


@given(parts=st.lists(st.floats(0, 2**53), min_size=1, max_size=4), value=st.integers(0, 2**53))
def test_a_sum_is_exact_or_refused(parts: list[float], value: int) -> None:
    total = sum(map(int, parts))
    after = sum_exactly(float(total), float(value))
    if float(total) == total and after is not None:
        assert int(after) == total + value
