"""Compiled rules do what each rule does alone; fuzz/targets/compiled.py compares them at random."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.score import load_cases
from exporter.exactness import RuleVersion
from exporter.model import EventFormat, LogEvent, Partition, Records
from exporter.patterns import PatternError, compile_pattern
from exporter.rules import RuleSet, decoder
from exporter.sources.files import FILE
from exporter.sources.log_groups import LOG_GROUP
from fuzz.targets import compiled
from tests.patterns.test_conformance import cases

HISTORY = Partition("trail", "111122223333", "eu-west-1")
TRAIL_FILE = Partition("trail", resource="/var/log/trail.json", kind=FILE)
NOW = 1_700_000_000_000
UUID = "11111111-2222-3333-4444-555555555555"


def rule_set(*patterns: str, labels: dict[str, Any] | None = None, value: Any = 1.0) -> RuleSet:
    return RuleSet(
        {
            "trail": [
                RuleVersion(
                    f"rule_{number}",
                    None,
                    None,
                    json.dumps(
                        {
                            "pattern": pattern,
                            "metric": "matches_total",
                            "value": value,
                            "scale": "1",
                            "max_value": 1e9,
                            "labels": labels or {},
                        }
                    ),
                )
                for number, pattern in enumerate(patterns)
            ]
        }
    )


def matching(rules: RuleSet, *messages: str) -> list[list[str]]:
    """The rules that match each message."""
    given = [LogEvent(message, NOW, str(number)) for number, message in enumerate(messages)]
    found: list[list[str]] = [[] for _ in messages]
    for event in rules.evaluate(given, HISTORY, "lines").events:
        found[int(event.event_id or "")] = [one.rule for one in event.increments]
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**64))
def test_compiled_rules_judge_as_each_rule_does_alone(seed: int) -> None:
    compiled.check(seed.to_bytes(9))


def test_every_case_of_the_conformance_suites_is_right_among_all_other_rules() -> None:
    """All patterns in one rule set; each case's message is matched with all of them."""
    given = {
        (case["pattern"], case["message"]): case["match"]
        for name in ("filter_patterns.jsonl", "uncertain.jsonl")
        for case in cases(name)
    }
    given |= {
        (case.pattern, case.message): case.expected.match
        for case in load_cases()
        if case.expected.valid
    }
    patterns = {}
    for text, _ in given:
        try:
            patterns[text] = compile_pattern(text)
        except PatternError:
            continue
    rules = rule_set(*patterns)
    names = {text: f"rule_{number}" for number, text in enumerate(patterns)}
    messages = list(dict.fromkeys(message for _, message in given))
    found = dict(zip(messages, matching(rules, *messages), strict=True))
    wrong = [
        (text, message)
        for (text, message), match in given.items()
        if text in names and (names[text] in found[message]) != match
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("message", "label"),
    [
        ('{"a": 1}', "1"),
        ('{"a": -0}', "-0"),
        ('{"a": 1.0}', "1.0"),
        ('{"a": 1e3}', "1e3"),
        ('{"a": 18446744073709551616}', "18446744073709551616"),
        ('{"a": 0.10}', "0.10"),
        ('{"a": "x", "a": true}', "true"),
        ('{"\\u0061": "x"}', "x"),
        ('{"a": "\\ud800"}', "\\ud800"),
        ('{"a": null, "b": "second"}', "second"),
        ('{"a": {"b": 1}}', ""),
    ],
)
def test_labels_have_values_as_they_were_written(message: str, label: str) -> None:
    rules = rule_set("{ $.none NOT EXISTS }", labels={"value": ["$.a", "$.b"]})
    (event,) = rules.evaluate([LogEvent(message, NOW)], HISTORY, "lines").events
    assert dict(event.increments[0].series.labels)["value"] == label


_PERSON = {"after": ":"}
_BETWEEN = {"after": "/", "before": "/"}


@pytest.mark.parametrize(
    "case",
    [
        (_PERSON, "AROAEXAMPLE:ana@example.com", "ana@example.com"),
        (_PERSON, "a:b:c", "b:c"),
        (_PERSON, "AIDAEXAMPLE", ""),
        (_PERSON, "a:", ""),
        (_PERSON, ":" + "x" * 300, "x" * 200),
        (_PERSON, "x" * 300 + ":ana", "ana"),
        ({"before": ":"}, "AROAEXAMPLE:ana", "AROAEXAMPLE"),
        ({"before": ":"}, "AIDAEXAMPLE", ""),
        (_BETWEEN, "role/deploy/session", "deploy"),
        (_BETWEEN, "role/deploy", ""),
        ({"after": "\u00e9::"}, "caf\u00e9::zwei", "zwei"),
    ],
)
@pytest.mark.parametrize(
    ("pattern", "reference", "message"),
    [
        ("{ $.id = * }", "$.id", '{{"id": "{0}"}}'),
        ("{ $.id = * }", ["$.none", "$.id"], '{{"id": "{0}"}}'),
        ("id", "$.id", '{{"id": "{0}"}}'),
        ("[first, id, third]", "$id", "a {0} b"),
        ("[first, ..., id]", "$id", "a b {0}"),
    ],
)
def test_a_label_may_be_a_part_of_a_field(
    pattern: str, reference: object, message: str, case: tuple[dict[str, str], str, str]
) -> None:
    part, text, label = case
    rules = rule_set(pattern, labels={"part": {"from": reference, **part}})
    given = [LogEvent(message.format(text), NOW)] * 2
    found = rules.evaluate(given, HISTORY, "lines").events
    assert [dict(one.increments[0].series.labels)["part"] for one in found] == [label] * 2


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("message repeated 3 times: [ failed ]", 3.0),
        ("message repeated 0.5 times", 0.5),
        ("message repeated many times", None),
        ("message", None),
        ("x" * 300 + " repeated 7 times", 7.0),
    ],
)
@pytest.mark.parametrize("pattern", ["{ $.text = * }", "text"])
def test_a_value_may_be_a_part_of_a_field(pattern: str, text: str, value: float | None) -> None:
    part = {"from": "$.text", "after": "repeated ", "before": " times"}
    given = [LogEvent(json.dumps({"text": text}), NOW)]
    (event,) = rule_set(pattern, value=part).evaluate(given, HISTORY, "lines").events
    assert event.increments[0].value == value


def test_a_value_may_be_a_part_of_the_rest_of_a_line() -> None:
    rules = rule_set("[host, program, ...]", value={"from": "$3", "after": "x", "before": "y"})
    given = [LogEvent("web sshd x12y", NOW), LogEvent("web sshd 12", NOW)]
    found = rules.evaluate(given, HISTORY, "lines").events
    assert [one.increments[0].value for one in found] == [12.0, None]


def test_a_document_of_records_is_judged_without_being_split() -> None:
    def split(_document: bytes | bytearray) -> list[LogEvent]:
        raise AssertionError("the document was split")

    names: list[dict[str, str]] = [{"eventName": "a"}, {"eventName": "b"}, {}]
    document = json.dumps({"Records": [{"eventID": "1", **one} for one in names]}).encode()
    records = Records(document, NOW, split)
    rules = rule_set('{ $.eventName = "a" }', "{ $.eventName NOT EXISTS }")
    events = rules.evaluate(records, TRAIL_FILE, "cloudtrail").events
    assert [[one.rule for one in event.increments] for event in events] == [["rule_0"], ["rule_1"]]
    assert len(records) == 3


_PART = st.sampled_from(
    [
        '{"eventVersion":"1","eventID":"1","a":"x"}',
        '{"eventVersion":"1","eventID":"2","a":["x"]}',
        '{"eventVersion":"1","eventID":"3","b":[{"c":1},{"eventVersion":"x"}],"a":"x"}',
        '{"eventVersion":"1","eventID":"4","b":"},{\\"eventVersion\\":","a":"x"}',
        '{"eventVersion":"1","eventID":"5","b":"é","a":1.0}',
        '{"eventVersion":"1","b":"\\ud800","a":"x"}',
        '{"eventVersion":"1","b":"},{"eventVersion":"1","a":"x"}',
        '{"eventVersion":"1"},{"eventVersion":"1"',
        '{"eventVersion":"1","a":"x"}]',
        '[{"eventVersion":"1","a":"x"}',
        "{}",
    ]
)


@settings(max_examples=80, deadline=None)
@given(parts=st.lists(_PART, max_size=8), length=st.integers(0, 200), cloudtrail=st.booleans())
def test_where_a_document_is_cut_changes_nothing(
    parts: list[str], length: int, *, cloudtrail: bool
) -> None:
    rules = rule_set("{ $.a = x }", "{ $.a = 1 }", "{ $.b[1].eventVersion = x }")
    text = ",".join(parts)
    document = f'{{"Records":[{text}]}}'.encode()
    try:
        whole = json.loads(document)["Records"]
    except ValueError:
        whole = None

    def split(_document: bytes | bytearray) -> list[LogEvent]:
        assert whole is not None
        return [LogEvent(json.dumps(one), NOW) for one in whole]

    def judged() -> list[tuple[str | None, list[str]]] | None:
        records = Records(document, NOW, split)
        event_format: EventFormat = "cloudtrail" if cloudtrail else "auto"
        try:
            found = rules.evaluate(records, TRAIL_FILE, event_format).events
        except AssertionError:
            return None
        assert len(records) == len(whole or ())
        return [(one.event_id, [each.rule for each in one.increments]) for one in found]

    with pytest.MonkeyPatch.context() as patched:
        at_once = judged()
        patched.setattr(decoder, "_PIECE", length)
        assert judged() == at_once
    assert (at_once is None) == (whole is None)


@pytest.mark.parametrize(
    "document",
    [
        b'{"Records": [{"a": "x"}, 5]}',
        b'{"Records": [{"a": "x"}], "other": 1}',
        b'{"Records": [{"a": "x", "b": "\xff"}]}',
        b'{"Records": [{"a": "x", "b": "\\ud800"}]}',
    ],
)
def test_a_document_of_another_form_is_split(document: bytes) -> None:
    records = Records(document, NOW, lambda _document: [LogEvent('{"a": "from the split"}', NOW)])
    rules = rule_set("{ $.a = * }", labels={"a": "$.a"})
    (event,) = rules.evaluate(records, TRAIL_FILE, "lines").events
    assert dict(event.increments[0].series.labels)["a"] == "from the split"


def test_many_wildcards_on_one_field_are_right_for_every_value() -> None:
    patterns = [f'{{ $.a = "{text}" }}' for number in range(8) for text in _wildcards(number)]
    rules = rule_set(*patterns)
    for value in ("3", "x3", "3x", "x3y", "3\n", "\n3", "3.3", "é3", "\ud800", "", "35", "*"):
        message = json.dumps({"a": value})
        alone = [
            f"rule_{number}"
            for number, pattern in enumerate(patterns)
            if compile_pattern(pattern).match(message)
        ]
        assert matching(rules, message) == [alone]


def _wildcards(number: int) -> list[str]:
    return [f"{number}*", f"*{number}", f"*{number}*", f"{number}*{number}"]


def test_rules_are_found_after_pickling() -> None:
    rules = rule_set('{ $.a = "x" && $.b != "y" }', "{ $.a = x* }")
    before = matching(rules, '{"a": "x", "b": "z"}', '{"a": "xx"}')
    assert before == [["rule_0", "rule_1"], ["rule_1"]]
    again = pickle.loads(pickle.dumps(rules))  # noqa: S301
    assert matching(again, '{"a": "x", "b": "z"}') == before[:1]


def test_deeply_nested_conditions_and_selectors_are_right() -> None:
    condition = "$.a = x"
    for level in range(60):
        condition = f"({condition} && $.b = y)" if level % 2 else f"({condition} || $.c = {level})"
    deep = "$" + ".k" * 40
    rules = rule_set(f"{{ {condition} }}", f"{{ {deep} = v }}")
    nested: Any = "v"
    for _ in range(40):
        nested = {"k": nested}
    assert matching(
        rules,
        '{"a": "x", "b": "y"}',
        '{"a": "x"}',
        '{"c": "0", "b": "y"}',
        json.dumps(nested),
    ) == [["rule_0"], [], ["rule_0"], ["rule_1"]]


def test_conditions_that_rules_and_operands_share_are_right() -> None:
    patterns = [
        "{ ($.a = x && $.b != 1 && $.c = 1) || ($.a = x && $.b != 1 && $.c = 2) }",
        "{ $.a = x && $.b != 1 && $.c = 2 }",
        "{ $.a = x && $.b != 1 && $.d != 2 }",
        "{ $.a = x && $.d != 2 && $.b != 2 }",
        "{ $.a = x && ($.d != 2 || $.b != 1) }",
        "{ $.a = x }",
    ]
    rules = rule_set(*patterns)
    for b, c, d in itertools.product((1, 2, 3, None), repeat=3):
        message = json.dumps({"a": "x", "b": b, "c": c, "d": d})
        alone = [
            f"rule_{number}"
            for number, pattern in enumerate(patterns)
            if compile_pattern(pattern).match(message)
        ]
        assert matching(rules, message) == [alone]


@pytest.mark.parametrize(
    "key", ['"', "\\", "\n", "\0", "\x7f", "\ud800", "é", "\u2028", "class", "_x61"]
)
def test_keys_with_any_character_are_found(key: str) -> None:
    rules = rule_set(f"{{ $.['{key}'] = v }}", f"{{ $.k.['a{key}'].k = v }}", "{ $.k.z = v }")
    for ascii_ in (True, False):
        first = json.dumps({key: "v"}, ensure_ascii=ascii_)
        second = json.dumps({"k": {f"a{key}": {"k": "v"}, "z": "v"}}, ensure_ascii=ascii_)
        assert matching(rules, first, second) == [["rule_0"], ["rule_1", "rule_2"]]


def test_a_line_whose_event_time_is_a_float_counts() -> None:
    partition = Partition("trail", "111122223333", "eu-west-1", resource="/app", kind=LOG_GROUP)
    message = json.dumps({"eventID": "x", "eventVersion": "1.08", "eventTime": 1.5})
    events = [LogEvent(message.replace('"x"', f'"{UUID}", "awsRegion": "eu-west-1"'), NOW, "id")]
    (event,) = rule_set("eventID").evaluate(events, partition, "lines").events
    assert event.aliases == (("", UUID, NOW),)
