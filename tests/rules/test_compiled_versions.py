"""Rules of earlier times are parts of one program, and judge as each version does alone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.exactness import RuleVersion, Timeline
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.program import Program
from exporter.rules.rule import Rule
from exporter.sources.log_groups import LOG_GROUP
from fuzz.reference import judged_event

GROUP = Partition("apps", "111122223333", "eu-west-1", resource="/app", kind=LOG_GROUP)
NOW = 1_700_000_000_000
PATTERNS = [
    "",
    "a",
    "?x ?a -b",
    "[a, b=1]",
    "[..., last=x]",
    "{ $.a = x }",
    '{ $.a = "x" || $.b != 1 }',
    "{ $.b NOT EXISTS }",
]
MESSAGES = ["a 1", "x", "a b x", '{"a": "x"}', '{"a": "x", "b": 1}', '{"b": 2}', '{"b": 0.5}']


def definition(pattern: str) -> str:
    labels = {"a": ["$.a"]} if pattern.startswith("{") else {}
    return json.dumps(
        {
            "pattern": pattern,
            "metric": "matches_total",
            "value": 1.0,
            "scale": "1",
            "max_value": 1e9,
            "labels": labels,
        }
    )


def edited(name: str, bounds: Sequence[int], patterns: Sequence[str]) -> list[RuleVersion]:
    """A rule that was edited at these times; it was not configured while its pattern is ``-``."""
    times = [None, *[NOW + bound for bound in sorted(bounds)], None]
    return [
        RuleVersion(name, since, until, definition(pattern))
        for (since, until), pattern in zip(itertools.pairwise(times), patterns, strict=False)
        if pattern != "-"
    ]


edits = st.tuples(
    st.lists(st.integers(1, 8), unique=True, max_size=4),
    st.lists(st.sampled_from([*PATTERNS, "-"]), min_size=5, max_size=5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(edits, min_size=1, max_size=5), st.sampled_from([None, {"rule_0"}, {"rule_1"}]))
def test_an_event_is_judged_as_by_the_versions_of_its_time_alone(
    rules: list[tuple[list[int], list[str]]], late: set[str] | None
) -> None:
    """``late``: the rules that may count events before the watermark."""
    versions = [
        version
        for number, (bounds, patterns) in enumerate(rules)
        for version in edited(f"rule_{number}", bounds, patterns)
    ]
    alone = {version: Rule.of(version.rule, version.definition, {}) for version in versions}
    rule_set, timeline = RuleSet({"apps": versions}), Timeline(versions)
    watermark = NOW if late is None else NOW + 4
    events = [
        LogEvent(message, NOW + time, f"{time} {message}")
        for time, message in itertools.product(range(10), MESSAGES)
    ]
    expected = []
    for event in events:
        judging = timeline.judges(timeline.stretch(event.time, event.time))
        if event.time < watermark:
            judging = [one for one in judging if one.rule in (late or ())]
        judged = judged_event([alone[one] for one in judging], event, GROUP, "lines")
        expected += [judged] if judged else []
    evaluation = rule_set.evaluate(
        events, GROUP, "lines", watermark=watermark, backfill=frozenset(late or ())
    )
    assert list(evaluation.events) == expected


def test_edits_do_not_compile_all_rules_again(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    compile_ = Program.__init__

    def counted(program: Program, rules: Sequence[Rule], decoder: object) -> None:
        compiled.append(len(rules))
        compile_(program, rules, decoder)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "__init__", counted)
    versions = edited("rule_0", [2, 4, 6, 8], PATTERNS[:5]) + edited("rule_1", [], PATTERNS[5:])
    events = [LogEvent("a 1", NOW + time, str(time)) for time in range(10)]
    RuleSet({"apps": versions}).evaluate(events, GROUP, "lines", watermark=NOW)
    assert compiled == [2, 6]
