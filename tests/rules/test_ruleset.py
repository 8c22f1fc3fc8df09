"""What a batch of log events becomes: increments, their labels, values, ids and times."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from exporter.configuration import load
from exporter.model import EventFormat, Increment, JudgedEvent, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.rules.cloudtrail import milliseconds
from exporter.sources import files
from exporter.sources.log_groups import LOG_GROUP

HISTORY = Partition("history", "111111111111", "eu-west-1")
GROUP = Partition("history", "111111111111", "eu-west-1", resource="/app/checkout", kind=LOG_GROUP)
FILE = Partition("history", resource="/var/log/trail.json", kind=files.FILE)
MakeRules = Callable[..., RuleSet]


@pytest.fixture
def make_rules(tmp_path: Path) -> MakeRules:
    """Make a rule set of rules as a file writes them, listening to one source."""

    def make(*rules: dict[str, Any]) -> RuleSet:
        path = tmp_path / "rules.yaml"
        source = {"name": "history", "type": "files", "paths": ["nothing"]}
        named = [{"name": f"rule_{n}", **rule} for n, rule in enumerate(rules)]
        path.write_text(yaml.safe_dump({"sources": [source], "rules": named}))
        return RuleSet.of(load([path]).rules)

    return make


def judge(
    rules: RuleSet,
    *messages: str | dict[str, Any],
    partition: Partition = HISTORY,
    event_format: EventFormat = "auto",
) -> list[JudgedEvent]:
    events = [
        LogEvent(m if isinstance(m, str) else json.dumps(m), 1_700_000_000_000, f"id-{n}")
        for n, m in enumerate(messages)
    ]
    return list(rules.evaluate(events, partition, event_format).events)


def evaluate(
    rules: RuleSet,
    *messages: str | dict[str, Any],
    partition: Partition = HISTORY,
    event_format: EventFormat = "auto",
) -> list[Increment]:
    judged = judge(rules, *messages, partition=partition, event_format=event_format)
    return [increment for event in judged for increment in event.increments]


def labels(increment: Increment) -> dict[str, str]:
    return dict(increment.series.labels)


def test_a_match_adds_one_to_the_default_metric_of_its_rule(make_rules: MakeRules) -> None:
    (increment,) = evaluate(make_rules({"pattern": "ERROR"}), "an ERROR", "fine")
    assert increment.series.metric == "metric_filter_matches_total"
    assert increment.value == 1
    assert labels(increment) == {
        "account_id": "111111111111",
        "region": "eu-west-1",
        "rule": "rule_0",
        "source": "history",
    }
    assert increment.overflow == increment.series


def test_series_of_a_log_group_carry_its_name(make_rules: MakeRules) -> None:
    (increment,) = evaluate(make_rules({"pattern": "ERROR"}), "ERROR", partition=GROUP)
    assert labels(increment)["log_group"] == "/app/checkout"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ('"text"', "text"),
        ('""', ""),
        ("1.0", "1.0"),
        ("1e3", "1e3"),
        ("-7", "-7"),
        ("true", "true"),
        ("false", "false"),
        ("null", ""),
        ("[1]", ""),
        ('{"a": 1}', ""),
        ('"' + "x" * 300 + '"', "x" * 200),
        ('"\\u00e9"', "é"),
    ],
)
def test_a_label_is_the_field_as_it_was_written(
    make_rules: MakeRules, value: str, label: str
) -> None:
    rules = make_rules({"pattern": "{ $.on = 1 }", "labels": {"field": "$.value"}})
    (increment,) = evaluate(rules, f'{{"on": 1, "value": {value}}}')
    assert labels(increment)["field"] == label


def test_a_label_takes_the_first_field_that_exists_and_is_not_null(make_rules: MakeRules) -> None:
    rules = make_rules(
        {"pattern": "{ $.on = 1 }", "labels": {"who": ["$.a", "$.b.c", "$.d"], "team": "ops"}}
    )
    found = evaluate(
        rules,
        {"on": 1, "a": None, "b": {"c": "second"}, "d": "third"},
        {"on": 1, "a": "", "d": "third"},
        {"on": 1, "a": [1], "d": "third"},
        {"on": 1},
    )
    assert [labels(increment)["who"] for increment in found] == ["second", "", "", ""]
    assert {labels(increment)["team"] for increment in found} == {"ops"}


def test_the_overflow_series_keeps_all_but_the_dynamic_labels(make_rules: MakeRules) -> None:
    rules = make_rules({"pattern": "{ $.a = * }", "labels": {"who": "$.a", "team": "ops"}})
    (increment,) = evaluate(rules, {"a": "x"}, partition=GROUP)
    overflow = dict(increment.overflow.labels)
    assert overflow["who"] == "__overflow__"
    assert {**overflow, "who": "x"} == labels(increment)


@pytest.mark.parametrize(
    ("value", "added"),
    [
        ("12.5", 12.5),
        ('"7"', 7.0),
        ("0", 0.0),
        ("1e3", 1000.0),
        ("-1", None),
        ("null", None),
        ('"abc"', None),
        ('"0x10"', None),
        ('"nan"', None),
        ('"inf"', None),
        ("true", None),
        ("[1]", None),
        ("1e400", None),
        ('"' + "9" * 10_000 + '"', None),
        ("9007199254740992", 2.0**53),
        ("9007199254740993", None),
        ("9.007199254740993e15", None),
        ('"+9007199254740993"', None),
        ("1e16", None),
    ],
)
def test_a_value_that_is_no_number_of_at_least_0_adds_nothing(
    make_rules: MakeRules, value: str, added: float | None
) -> None:
    rules = make_rules(
        {"pattern": "{ $.on = 1 }", "value": "$.value", "metric": "size_bytes_total"}
    )
    (increment,) = evaluate(rules, f'{{"on": 1, "value": {value}}}')
    assert increment.value == added


@pytest.mark.parametrize(
    ("value", "scale", "added"),
    [
        ("12.34", "0.001", 0.01234),
        ('"3000"', "0.001", 3.0),
        ("128", "1048576", 134217728.0),
        ("0.1", "3", 0.3),
        ("0", "1e6", 0.0),
        ("1e400", "0.001", None),
        ("1e299", "1e15", None),
        ("1e-99999", "0.001", 0.0),
        ("-5", "0.001", None),
        ('"-"', "0.001", None),
        ("1e" + "9" * 150, "0.001", None),
        ("1e-" + "9" * 150, "0.001", 0.0),
    ],
)
def test_a_scale_makes_base_units_without_rounding_twice(
    make_rules: MakeRules, value: str, scale: str, added: float | None
) -> None:
    rules = make_rules(
        {"pattern": "{ $.on = 1 }", "value": "$.ms", "scale": scale, "metric": "x_seconds_total"}
    )
    (increment,) = evaluate(rules, f'{{"on": 1, "ms": {value}}}')
    assert increment.value == added


@pytest.mark.parametrize(
    ("value", "rule", "added"),
    [
        ("1000", {"max_value": "1e3"}, 1000.0),
        ("1000.5", {"max_value": "1e3"}, None),
        ("1000", {"max_value": "1", "scale": "0.001"}, 1.0),
        ("1001", {"max_value": "1", "scale": "0.001"}, None),
        ("1e18", {"max_value": "1e18"}, 1e18),
        ("1000000000000000001", {"max_value": "2e18"}, None),
        ("9007199254740993", {"max_value": "2e18"}, None),
        ("1.152921504606847e+18", {"max_value": "2e18"}, 2.0**60),
        ("1e23", {"max_value": "1e23"}, 1e23),
    ],
)
def test_a_value_above_max_value_or_rounded_adds_nothing(
    make_rules: MakeRules, value: str, rule: dict[str, str], added: float | None
) -> None:
    rules = make_rules(
        {"pattern": "{ $.on = 1 }", "value": "$.value", "metric": "size_bytes_total", **rule}
    )
    (increment,) = evaluate(rules, f'{{"on": 1, "value": {value}}}')
    assert increment.value == added


def test_a_space_delimited_pattern_gives_values_and_labels(make_rules: MakeRules) -> None:
    rules = make_rules(
        {
            "pattern": "[ip, user, ..., status = 4*, bytes]",
            "metric": "bytes_total",
            "value": "$bytes",
            "labels": {"status": "$status", "third": "$3"},
        }
    )
    (increment,) = evaluate(rules, "192.0.2.1 alice GET /x 404 1534")
    assert increment.value == 1534
    assert labels(increment)["status"] == "404"
    assert labels(increment)["third"] == "GET"


RECORD = {
    "eventVersion": "1.09",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "eventTime": "2026-11-22T10:20:30Z",
    "eventSource": "signin.amazonaws.com",
    "eventName": "ConsoleLogin",
    "userIdentity": {"type": "Root"},
    "recipientAccountId": "999999999999",
    "awsRegion": "us-east-1",
}


@pytest.mark.parametrize("partition", [HISTORY, GROUP, FILE])
def test_a_cloudtrail_record_speaks_for_itself_wherever_it_was_read(
    make_rules: MakeRules, partition: Partition
) -> None:
    rules = make_rules({"pattern": "{ $.eventName = ConsoleLogin }"})
    (event,) = judge(rules, RECORD, partition=partition)
    assert event.event_id == RECORD["eventID"]
    assert event.event_time == 1_795_342_830_000
    assert event.time == 1_700_000_000_000
    (increment,) = event.increments
    assert labels(increment)["account_id"] == "999999999999"
    assert labels(increment)["region"] == "us-east-1"


OTHER = Partition("history", "111111111111", "eu-west-1", resource="/app/search", kind=LOG_GROUP)


@pytest.mark.parametrize(
    ("event_format", "identities"),
    [
        ("cloudtrail", {("", RECORD["eventID"])}),
        ("auto", {(GROUP.key, RECORD["eventID"]), (OTHER.key, RECORD["eventID"])}),
        ("lines", {(GROUP.key, "id-0"), (OTHER.key, "id-0")}),
    ],
)
def test_a_record_in_two_log_groups_is_one_event_if_both_are_declared_to_hold_cloudtrail(
    make_rules: MakeRules, event_format: EventFormat, identities: set[tuple[str, str]]
) -> None:
    rules = make_rules({"pattern": "{ $.eventName = * }"})
    found = [
        event
        for partition in (GROUP, OTHER)
        for event in judge(rules, RECORD, partition=partition, event_format=event_format)
    ]
    assert {(event.scope, event.event_id) for event in found} == identities


@pytest.mark.parametrize("event_format", ["auto", "cloudtrail"])
def test_a_record_in_two_files_is_one_event(
    make_rules: MakeRules, event_format: EventFormat
) -> None:
    rules = make_rules({"pattern": "{ $.eventName = * }"})
    (event,) = judge(rules, RECORD, partition=FILE, event_format=event_format)
    assert (event.scope, event.event_id) == ("", RECORD["eventID"])
    assert event.aliases == ()


def test_an_event_of_a_log_group_is_known_by_the_names_it_has_in_other_formats(
    make_rules: MakeRules,
) -> None:
    rules = make_rules({"pattern": "event"})
    event_id = str(RECORD["eventID"])
    happened = milliseconds(str(RECORD["eventTime"]))
    names = {
        ("", event_id, happened),
        (GROUP.key, event_id, happened),
        (GROUP.key, "id-0", 1_700_000_000_000),
    }
    formats: tuple[EventFormat, ...] = ("auto", "cloudtrail", "lines")
    for event_format in formats:
        (event,) = judge(rules, RECORD, partition=GROUP, event_format=event_format)
        own = (event.scope, event.event_id, event.event_time)
        assert {own, *event.aliases} == names
        assert own not in event.aliases
    (lookalike,) = judge(rules, {"eventID": "7", "eventTime": "now"}, partition=GROUP)
    assert lookalike.aliases == (("", "7", 1_700_000_000_000),)
    assert judge(rules, "event", partition=GROUP)[0].aliases == ()


def test_what_a_record_does_not_tell_the_partition_does(make_rules: MakeRules) -> None:
    rules = make_rules({"pattern": "{ $.eventName = * }"})
    record = {"eventID": "a", "eventName": "x", "eventTime": "yesterday", "awsRegion": None}
    (event,) = judge(rules, record, event_format="cloudtrail")
    assert (event.event_id, event.event_time) == ("a", 1_700_000_000_000)
    (increment,) = event.increments
    assert labels(increment)["account_id"] == HISTORY.account_id
    assert labels(increment)["region"] == HISTORY.region


ODD = ["700***", "x" * 300, "\ud800", "", "123456789", "mars-1", "us-east-1\n"]


@pytest.mark.parametrize("odd", ODD)
def test_account_and_region_of_a_declared_record_are_its_own_and_cut_like_any_label(
    make_rules: MakeRules, odd: str
) -> None:
    rules = make_rules({"pattern": "{ $.eventName = * }"})
    label = "x" * 200 if len(odd) > 200 else "\\ud800" if odd == "\ud800" else odd
    for field, name, partitions in (
        ("recipientAccountId", "account_id", GROUP.account_id),
        ("awsRegion", "region", GROUP.region),
    ):
        (increment,) = evaluate(
            rules, RECORD | {field: odd}, partition=GROUP, event_format="cloudtrail"
        )
        assert labels(increment)[name] == (label or partitions)


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["recipientAccountId", "awsRegion"])
def test_else_only_what_can_be_an_account_or_a_region_is_taken_from_a_message(
    make_rules: MakeRules, field: str, odd: str
) -> None:
    rules = make_rules({"pattern": "{ $.eventName = * }"})
    (increment,) = evaluate(rules, RECORD | {field: odd}, partition=GROUP)
    expected = {"account_id": "999999999999", "region": "us-east-1"}
    if field == "recipientAccountId":
        expected["account_id"] = GROUP.account_id
    else:  # It is no record at all.
        expected = {"account_id": GROUP.account_id, "region": GROUP.region}
    assert expected.items() <= labels(increment).items()


def test_labels_that_look_alike_on_the_page_are_one_series(make_rules: MakeRules) -> None:
    rules = make_rules({"pattern": "{ $.a = * }", "labels": {"a": "$.a"}})
    increments = evaluate(rules, '{"a": "\\ud800"}', '{"a": "\\\\ud800"}')
    assert [labels(increment)["a"] for increment in increments] == ["\\ud800"] * 2
    assert len({increment.series for increment in increments}) == 1


def test_an_application_message_is_no_record_and_the_format_lines_knows_none(
    make_rules: MakeRules,
) -> None:
    rules = make_rules({"pattern": "{ $.a = 1 }"}, {"pattern": "ConsoleLogin"})
    (message,) = evaluate(rules, {"a": 1, "eventID": 7, "awsRegion": "x"}, partition=GROUP)
    assert labels(message)["region"] == "eu-west-1"
    (line,) = evaluate(rules, RECORD, partition=GROUP, event_format="lines")
    assert labels(line)["account_id"] == GROUP.account_id


def test_a_line_of_a_file_happened_at_no_known_time(make_rules: MakeRules) -> None:
    (event,) = judge(make_rules({"pattern": "ERROR"}), "ERROR", partition=FILE)
    assert event.event_time is None


def test_only_rules_that_listen_to_the_source_see_its_events(make_rules: MakeRules) -> None:
    rules = make_rules({"pattern": "ERROR"})
    assert evaluate(rules, "ERROR", partition=Partition("other")) == []


def test_series_without_dynamic_labels_are_known_before_any_match(make_rules: MakeRules) -> None:
    rules = make_rules(
        {"pattern": "ERROR", "labels": {"team": "ops"}},
        {"pattern": "{ $.a = * }", "labels": {"a": "$.a"}, "metric": "a_total"},
    )
    known = rules.static_series(GROUP)
    assert set(known) == {"rule_0"}
    (increment,) = evaluate(rules, "ERROR", partition=GROUP)
    assert known["rule_0"] == increment.series


def test_no_message_breaks_a_batch(make_rules: MakeRules) -> None:
    rules = make_rules({"pattern": ""})

    @given(st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
    def check(text: str, record: dict[str, str]) -> None:
        events = [LogEvent(text, 0, "a"), LogEvent(json.dumps(record), 0, "b")]
        for event_format in ("auto", "cloudtrail", "lines"):
            assert len(rules.evaluate(events, HISTORY, event_format).events) == 2

    check()


def test_a_copy_of_a_rule_set_evaluates_as_the_rule_set_does(make_rules: MakeRules) -> None:
    """A worker process gets its rules by pickle."""
    rules = make_rules(
        {"pattern": "{ $.size > 1.5 && $.name = %^a% }", "labels": {"name": "$.name"}},
        {"pattern": "[ip, ..., size > 100]", "labels": {"ip": "$ip"}},
        {"pattern": "?ERROR ?WARN"},
    )
    copy = pickle.loads(pickle.dumps(rules))  # noqa: S301
    messages = ('{"size": 2, "name": "ab"}', '{"size": 1, "name": "ab"}', "::1 ERROR 101", "fine")
    increments = evaluate(rules, *messages)
    assert evaluate(copy, *messages) == increments
    assert [increment.rule for increment in increments] == ["rule_0", "rule_1", "rule_2"]
