"""``judge`` and ``Placement`` against models of a few lines; no database."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.ledger.counting import (
    TIME_PERIOD,
    Placement,
    Remembered,
    RuleSpec,
    judge,
    sum_exactly,
)
from exporter.model import Identity, Increment, JudgedEvent
from tests.support.counting import METRIC, SOURCE, key

RULES = ("a", "b", "c")


@st.composite
def judged_events(draw: st.DrawFn) -> JudgedEvent:
    """An event that some rules judged, of which some matched."""
    judged = draw(st.frozensets(st.sampled_from(RULES), min_size=1))
    matched = draw(st.lists(st.sampled_from(sorted(judged)), min_size=1, max_size=3, unique=True))
    user, value = draw(st.sampled_from("uvwxyz")), draw(st.integers(0, 3))
    one = [Increment(rule, key(user), key("__overflow__"), float(value)) for rule in matched]
    event_id = draw(st.one_of(st.none(), st.sampled_from("123")))
    aliases = draw(st.lists(st.tuples(st.just("old"), st.sampled_from("123x")), max_size=2))
    time = draw(st.sampled_from([5, 6, 5 + TIME_PERIOD]))
    scope = draw(st.sampled_from(["", "p"]))
    return JudgedEvent(event_id, scope, time, time, judged, tuple(one), tuple(aliases))


batches = st.lists(st.lists(judged_events(), max_size=6), max_size=6)


@given(batches=batches)
def test_a_rule_judges_an_event_once_in_whatever_batches_it_comes(
    batches: list[list[JudgedEvent]],
) -> None:
    known: dict[Identity, Remembered] = {}
    model: dict[Identity, set[str]] = {}
    for number, events in enumerate(batches):
        events = [replace(event, aliases=()) for event in events]  # noqa: PLW2901
        judgement = judge(events, known)
        known |= judgement.remember
        expected: list[tuple[str | None, str]] = []
        for event in events:
            seen = model.setdefault((event.scope, event.event_id or ""), set())
            rules = [one.rule for one in event.increments]
            if event.event_id is None:
                expected += [(None, rule) for rule in rules]
                continue
            expected += [(event.event_id, rule) for rule in rules if rule not in seen]
            seen |= event.judged
        assert [(new.event_id, one.rule) for new in judgement.new for one in new.increments] == (
            expected
        ), number
    remembered = {identity: set(one.judged) for identity, one in known.items()}
    assert remembered == {identity: rules for identity, rules in model.items() if rules}


@given(events=st.lists(judged_events(), max_size=6), known=st.sets(st.sampled_from("123x")))
def test_an_alias_is_the_event_if_the_ids_or_the_times_are_equal(
    events: list[JudgedEvent], known: set[str]
) -> None:
    memory = {("old", name): Remembered(frozenset(RULES), 5) for name in known}
    judgement = judge(events, memory)
    counted = [(new.scope, new.event_id) for new in judgement.new]
    for event in events:
        is_known = event.event_id is not None and any(
            alias in memory and (event.time % TIME_PERIOD == 5 or alias[1] == event.event_id)
            for alias in event.aliases
        )
        if is_known and all(
            other is event or (other.scope, other.event_id) != (event.scope, event.event_id)
            for other in events
        ):
            assert (event.scope, event.event_id) not in counted
        if event.event_id is None:
            assert (event.scope, None) in counted


@given(events=st.lists(judged_events(), max_size=30), limit=st.integers(1, 4))
def test_placing_adds_up_and_keeps_the_limit(events: list[JudgedEvent], limit: int) -> None:
    placement = Placement({(rule, METRIC): RuleSpec(limit, None) for rule in RULES}, "lane", 7)
    members: dict[str, set[str]] = {rule: set() for rule in RULES}
    sums: dict[str, float] = {}
    for event in events:
        placement.add(SOURCE, event)
        for one in event.increments:
            user = dict(one.series.labels)["user"]
            if user in members[one.rule] or len(members[one.rule]) < limit:
                members[one.rule].add(user)
            else:
                user = "__overflow__"
            sums[user] = sums.get(user, 0.0) + (one.value or 0.0)
    shown = [state.shown() for state in placement.changed_series.values()]
    assert {dict(one.key.labels)["user"]: one.total for one in shown} == sums
    for rule, of in members.items():
        count = placement.counts.get((rule, METRIC))
        assert (count.series if count else 0) == len(of)
        matches = sum(one.rule == rule for event in events for one in event.increments)
        total = placement.rules.get(rule)
        assert (total.matches if total else 0) == matches


@given(parts=st.lists(st.floats(0, 2**53), min_size=1, max_size=4), value=st.integers(0, 2**53))
def test_a_sum_is_exact_or_refused(parts: list[float], value: int) -> None:
    total = sum(map(int, parts))
    after = sum_exactly(float(total), float(value))
    if float(total) == total and after is not None:
        assert int(after) == total + value
