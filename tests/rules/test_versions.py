"""Versions of rules in a rule set: which one judges an event, and that a copy judges alike."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from exporter.configuration import Configuration, RuleConfig, load
from exporter.exactness import RuleVersion
from exporter.model import Feed, JudgedEvent, LogEvent, Partition, Records
from exporter.rules import RuleSet, definition
from exporter.ruletests import load_rule_tests
from exporter.sources.files import FILE
from exporter.sources.log_groups import LOG_GROUP
from exporter.sources.queue_source import QUEUE
from tests.support.tools import ROOT

SOURCE = "apps"
GROUP = Partition(SOURCE, "111111111111", "eu-west-1", resource="/app", kind=LOG_GROUP)
EDIT = 1_700_000_000_500
"""Half past a second."""
Configure = Callable[..., RuleConfig]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """A rule as a file writes it, complete."""

    def make(name: str = "errors", **keys: object) -> RuleConfig:
        path = tmp_path / "rules.yaml"
        source = {"name": SOURCE, "type": "log_groups", "log_groups": ["/app"]}
        rule = {"name": name, "pattern": "ERROR", "metric": f"{name}_total", **keys}
        path.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
        return load([path]).rules[0]

    return make


def versions(*edits: tuple[RuleConfig, int | None, int | None]) -> list[RuleVersion]:
    return [RuleVersion(rule.name, since, until, definition(rule)) for rule, since, until in edits]


def judge(
    rules: RuleSet,
    message: str | dict[str, Any],
    *,
    time: int,
    watermark: int | None = 0,
    backfill: tuple[str, ...] = (),
    partition: Partition = GROUP,
) -> list[JudgedEvent]:
    text = message if isinstance(message, str) else json.dumps(message)
    return list(
        rules.evaluate(
            [LogEvent(text, time, "id")],
            partition,
            "cloudtrail" if isinstance(message, dict) else "lines",
            watermark=watermark,
            backfill=frozenset(backfill),
        ).events
    )


def test_an_event_is_judged_by_the_version_of_its_time_and_adds_what_that_says(
    configure: Configure,
) -> None:
    old = configure(labels={"team": "a"})
    new = configure(pattern="[level, size]", value="$size", scale=0.001, labels={"team": "b"})
    rules = RuleSet({SOURCE: versions((old, None, EDIT), (new, EDIT, None))}, [new])
    (before,) = judge(rules, "ERROR 5", time=EDIT - 1)
    (after,) = judge(rules, "ERROR 5", time=EDIT)
    assert [(i.rule, i.value, dict(i.series.labels)["team"]) for i in before.increments] == [
        ("errors", 1.0, "a")
    ]
    assert [(i.rule, i.value, dict(i.series.labels)["team"]) for i in after.increments] == [
        ("errors", 0.005, "b")
    ]
    assert judge(rules, "WARN 5", time=EDIT - 1) == []
    assert judge(rules, "WARN 5", time=EDIT) != []
    assert rules.listening(SOURCE) == ["errors"]


def test_things_that_come_once_are_judged_by_the_versions_in_force_now(
    configure: Configure,
) -> None:
    old, new = configure(), configure(pattern="WARN")
    gone = configure("gone")
    rules = RuleSet(
        {SOURCE: versions((old, None, EDIT), (new, EDIT, None), (gone, None, EDIT))}, [new]
    )
    file = Partition(SOURCE, resource="/var/log/app.log", kind=FILE)
    for time in (EDIT - 1, EDIT):
        assert judge(rules, "ERROR", time=time, watermark=None, partition=file) == []
        (event,) = judge(rules, "WARN", time=time, watermark=None, partition=file)
        assert event.judged == {"errors"}


def test_a_rule_that_was_out_judges_what_happened_while_it_was_in(configure: Configure) -> None:
    rule, other = configure(), configure("others")
    out, back = EDIT, EDIT + 2_000
    rules = RuleSet(
        {SOURCE: versions((rule, 0, out), (rule, back, None), (other, None, None))}, [rule, other]
    )
    judged = [judge(rules, "ERROR", time=t)[0].judged for t in (out - 1, out, back - 1, back)]
    assert judged == [{"errors", "others"}, {"others"}, {"others"}, {"errors", "others"}]
    assert judge(rules, "ERROR", time=-1, watermark=-9)[0].judged == {"others"}, (
        "before the rule's start"
    )


def test_the_second_of_a_cloudtrail_record_belongs_to_whoever_was_in_force_in_it(
    configure: Configure,
) -> None:
    """Its times are whole seconds: what happened after an edit has a time before it."""
    old, new = configure(pattern="{ $.a = 1 }"), configure(pattern="{ $.a = 2 }")
    record = {"eventTime": "2023-11-14T22:13:20Z", "a": 1}  # EDIT's second
    edited = RuleSet({SOURCE: versions((old, None, EDIT), (new, EDIT, None))}, [new])
    assert judge(edited, record, time=EDIT) == []
    assert judge(edited, record | {"a": 2}, time=EDIT) != []
    removed = RuleSet({SOURCE: versions((old, None, EDIT))})
    assert judge(removed, record, time=EDIT) != []
    before = {"eventTime": "2023-11-14T22:13:19Z", "a": 1}
    assert judge(edited, before, time=EDIT) != []


@pytest.mark.parametrize(
    ("times", "is_split"),
    [
        (("2023-11-14T22:13:21Z", "2023-11-15T00:00:00Z"), False),
        (("2023-11-14T22:13:21Z", "2023-11-14T22:13:19Z"), True),
        (("2023-11-14T22:13:21Z", "20231114T221319+0000"), True),
        (("2023-11-14T22:13:21Z", "2023-W46-2T22:13:19Z"), True),
    ],
)
def test_a_document_in_a_shared_feed_is_split_only_if_records_may_be_from_before_an_edit(
    configure: Configure, times: tuple[str, ...], is_split: bool
) -> None:
    old, new = configure(pattern="{ $.a = 1 }"), configure(pattern="{ $.a = 2 }")
    feed = Feed("org", (SOURCE, "other"), "cloudtrail")
    edited = versions((old, None, EDIT), (new, EDIT, None))
    rules = RuleSet({SOURCE: edited}, [new], feeds={SOURCE: feed})
    texts = [
        json.dumps({"eventID": f"{time} {a}", "eventTime": time, "a": a})
        for time in times
        for a in (1, 2)
    ]
    split = False

    def events(_: bytes | bytearray) -> list[LogEvent]:
        nonlocal split
        split = True
        return [LogEvent(text, EDIT, None) for text in texts]

    document = Records(f'{{"Records":[{",".join(texts)}]}}'.encode(), EDIT, events)
    partition = Partition(SOURCE, "1", "eu-west-1", "queue", QUEUE)
    judged = rules.evaluate(document, partition, "cloudtrail").events
    assert split == is_split
    expected = [f"{times[0]} 2", f"{times[1]} {1 if is_split else 2}"]
    assert [event.event_id for event in judged] == expected
    assert all(dict(i.series.labels)["source"] == "org" for e in judged for i in e.increments)


def test_what_is_older_than_the_watermark_counts_for_rules_whose_past_is_read_only(
    configure: Configure,
) -> None:
    rule, other = configure(), configure("others")
    rules = RuleSet({SOURCE: versions((rule, 5, None), (other, None, None))}, [rule, other])
    assert judge(rules, "ERROR", time=9, watermark=10) == []
    (event,) = judge(rules, "ERROR", time=9, watermark=10, backfill=("errors",))
    assert event.judged == {"errors"}
    assert judge(rules, "ERROR", time=4, watermark=10, backfill=("errors",)) == []
    assert judge(rules, "ERROR", time=10, watermark=10)[0].judged == {"errors", "others"}


def test_the_past_is_fetched_for_rules_in_force_that_were_loaded_with_a_start(
    configure: Configure,
) -> None:
    one = definition(configure())
    known = [
        RuleVersion("own", 5, 20, one, own_start=True),
        RuleVersion("own", 20, None, one + " "),
        RuleVersion("late", 7, None, one),
        RuleVersion("gone", 5, 20, one, own_start=True),
    ]
    assert RuleSet({SOURCE: known}).own_starts(SOURCE) == {"own": 5}


def test_events_share_the_set_of_the_rules_that_judged_them(configure: Configure) -> None:
    rule, other = configure(), configure("others", pattern="WARN")
    rules = RuleSet.of([rule, other])
    batch = [LogEvent("ERROR", time, str(time)) for time in range(100)]
    events = rules.evaluate(batch, GROUP, "lines", watermark=0).events
    assert len(events) == 100
    assert events[0].judged == {"errors", "others"}, "a rule that does not match judges as well"
    assert len({id(event.judged) for event in events}) == 1


def test_any_number_of_forged_times_keeps_little(configure: Configure) -> None:
    rule = configure()
    edits = [(rule, at, at + 1) for at in range(1000)]
    rules = RuleSet({SOURCE: versions(*edits)}, [rule])
    for time in range(1000):
        assert len(judge(rules, "ERROR", time=time)) == 1
    assert len(pickle.dumps(rules)) < 300_000


@pytest.mark.parametrize(
    ("old", "new"), [(".+", ""), (".+", "[]"), (".+", "{}"), ("ERROR", "{ $.a = "), ("1.0", "[]")]
)
def test_a_definition_that_cannot_be_read_is_logged_and_left_out(
    configure: Configure, old: str, new: str
) -> None:
    rule = configure()
    text = definition(rule)
    damaged = re.sub(old, new, text)
    unreadable = RuleVersion("errors", None, EDIT, damaged)
    with capture_logs() as logs:
        rules = RuleSet({SOURCE: [unreadable, RuleVersion("errors", EDIT, None, text)]}, [rule])
    assert [(line["log_level"], line["rule"]) for line in logs] == [("warning", "errors")]
    assert judge(rules, "ERROR", time=EDIT - 1) == []
    assert judge(rules, "ERROR", time=EDIT) != []


@pytest.mark.parametrize(
    ("edit", "decides"),
    [
        ({"title": "Errors"}, False),
        ({"severity": "high"}, False),
        ({"max_series": 5}, False),
        ({"start": "1h"}, False),
        ({"pattern": "WARN"}, True),
        ({"metric": "others_total"}, True),
        ({"value": 2}, True),
        ({"max_value": 100}, True),
        ({"labels": {"team": "a"}}, True),
        ({"labels": {"team": "$.team"}}, True),
        ({"value": "$.a"}, True),
        ({"value": "$.a", "scale": 0.1}, True),
        ({"type": "histogram", "metric": "sizes", "value": "$.a", "buckets": [1, 2]}, True),
    ],
)
def test_a_definition_holds_what_decides_matches_and_increments(
    configure: Configure, edit: dict[str, Any], decides: bool
) -> None:
    assert (definition(configure(**edit)) != definition(configure())) is decides


def test_the_order_of_labels_decides_nothing(configure: Configure) -> None:
    one = configure(labels={"a": "$.a", "b": ["$.b", "$.c[0]"]})
    other = configure(labels={"b": ["$.b", "$.c[0]"], "a": "$.a"})
    assert definition(one) == definition(other)


@pytest.fixture
def everything(tmp_path: Path) -> Configuration:
    """All packs on all types of sources."""
    packs = sorted(path.stem for path in (ROOT / "config" / "rules").glob("*.yaml"))
    sources = [
        {"name": "history", "type": "event_history"},
        {"name": SOURCE, "type": "log_groups", "log_groups": ["/app*"]},
        {"name": "files", "type": "files", "paths": ["*.log"]},
    ]
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump({"sources": sources, "rule_packs": packs}))
    return load([path])


def test_a_configuration_and_its_rule_set_can_be_handed_to_another_process(
    everything: Configuration,
) -> None:
    copy = pickle.loads(pickle.dumps(everything))  # noqa: S301 our own
    assert copy == everything
    rules = RuleSet.of(everything.rules)
    copies = [pickle.loads(pickle.dumps(rules)), RuleSet.of(copy.rules)]  # noqa: S301
    matches = 0
    for path in (ROOT / "config" / "rules" / "tests").glob("*.test.yaml"):
        tests = load_rule_tests(path).file
        assert tests is not None
        batch = [
            LogEvent(message, number, str(number))
            for test in tests.tests
            for number, message in enumerate(test.messages)
        ]
        evaluation = rules.evaluate(batch, GROUP, "auto", watermark=0)
        assert [one.evaluate(batch, GROUP, "auto", watermark=0) for one in copies] == [
            evaluation
        ] * 2
        matches += len(evaluation.increments)
    assert matches > 100
