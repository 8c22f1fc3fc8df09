"""Files of rule tests: what they say, and every error at its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import packs
from exporter.ruletests import Expectation, RuleTestFile, load_rule_tests

Write = Callable[[str], Path]
Load = Callable[[str], RuleTestFile]


def test_a_test_says_what_matches_and_what_does_not(load: Load) -> None:
    file = load("""\
        events:
          login: {userIdentity: {type: Root}, ip: 192.0.2.1}
        tests:
          - name: the root user signs in
            event: login
            matches:
              - {rule: root, labels: {ip: 192.0.2.1, region: us-east-1}, value: 1, count: 1}
            no_match: [denied]
          - name: nothing
            message: hello
            matches: []
        """)
    assert [rule.name for rule in file.rules] == ["root", "denied", "slow", "size"]
    first, second = file.tests
    assert first.name == "the root user signs in"
    assert json.loads(first.messages[0]) == {"userIdentity": {"type": "Root"}, "ip": "192.0.2.1"}
    labels = {"ip": "192.0.2.1", "region": "us-east-1"}
    assert first.matches == (Expectation(rule="root", labels=labels, value=1.0, count=1),)
    assert first.no_match == ("denied",)
    assert (first.location.line, second.location.line) == (5, 10)
    assert (second.messages, second.matches) == (("hello",), ())


def test_a_match_may_be_a_rules_name_alone(load: Load) -> None:
    (test,) = load("tests: [{name: a, event: {bytes: 1}, matches: [size]}]\n").tests
    assert test.matches == (Expectation(rule="size"),)


def test_events_are_changed_for_one_test_only(load: Load) -> None:
    file = load("""\
        events:
          login: {userIdentity: {type: Root, arn: x}, items: [{port: 22}], error: null}
        tests:
          - name: changed
            event: login
            with:
              userIdentity.type: IAMUser
              items[0].port: 443
              items[1]: {port: 80}
              error.code: 5
              made.for[0].this: true
              "['dotted.key'].x": "1"
            without: [userIdentity.arn]
            matches: []
          - {name: as it was, event: login, matches: [root]}
        """)
    changed, as_it_was = (json.loads(test.messages[0]) for test in file.tests)
    assert changed == {
        "userIdentity": {"type": "IAMUser"},
        "items": [{"port": 443}, {"port": 80}],
        "error": {"code": 5},
        "made": {"for": [{"this": True}]},
        "dotted.key": {"x": "1"},
    }
    assert as_it_was == {
        "userIdentity": {"type": "Root", "arn": "x"},
        "items": [{"port": 22}],
        "error": None,
    }


def test_messages_may_stand_in_a_file(load: Load, tmp_path: Path) -> None:
    (tmp_path / "lines.log").write_text("warn 2 a\n\ninfo 0 b\n")
    (test,) = load("tests: [{name: a, file: lines.log, matches: [{rule: slow, count: 1}]}]\n").tests
    assert test.messages == ("warn 2 a", "info 0 b")


def test_an_event_may_be_a_raw_message(load: Load) -> None:
    (test,) = load("events: {a: warn 2}\ntests: [{name: a, event: a, matches: [slow]}]\n").tests
    assert test.messages == ("warn 2",)


def test_rules_of_packs_are_under_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = tmp_path / "packs" / "p.yaml"
    pack.parent.mkdir()
    pack.write_text(
        "title: T\ndescription: D\nformat: cloudtrail\nrules: [{name: a, pattern: '{ $.a = 1 }'}]\n"
    )
    monkeypatch.setattr(packs, "FOLDERS", (pack.parent,))
    path = tmp_path / "a.test.yaml"
    path.write_text("rule_packs: [p]\ntests: [{name: a, event: {a: 1}, matches: [a]}]\n")
    file = load_rule_tests(path).file
    assert file is not None
    assert [(rule.name, rule.pack) for rule in file.rules] == [("a", "p")]


def test_rules_of_a_configuration_file_are_under_test(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "sources: [{name: history, type: event_history}]\n"
        "rules: [{name: a, pattern: '{ $.a = 1 }', sources: [history]}]\n"
    )
    path = tmp_path / "a.test.yaml"
    path.write_text("rule_files: [config.yaml]\ntests: [{name: a, event: {a: 1}, matches: [a]}]\n")
    assert load_rule_tests(path).problems == ()


TEST = "tests: [{name: a, event: {bytes: 1}, matches: [size]"
EVENT = "events: {e: {a: 1}, r: raw}\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "`tests` must be a list of at least one test"),
        ("tests: []\n", 2, "`tests` must be a list of at least one test"),
        ("tests: [a]\n", 2, "a test must be a mapping"),
        (TEST + "}]\nevent: {}\n", 3, "unknown key `event`; did you mean `events`?"),
        (TEST + "}]\nevents: [a]\n", 3, "`events` must be a mapping"),
        (TEST + "}]\nevents: {a: [1]}\n", 3, "the event `a` must be a mapping"),
        (TEST + ", mathces: []}]\n", 2, "unknown key `mathces`; did you mean `matches`?"),
        (TEST + ", no_match: [roots]}]\n", 2, "no rule `roots` is under test; did you mean `root`"),
        (TEST + ", no_match: [size]}]\n", 2, "cannot match and not match"),
        (TEST + ", no_match: root}]\n", 2, "`no_match` must be a list"),
        (TEST + ", message: a}]\n", 2, "a test has `event` or `message`, not both"),
        (TEST + ", with: {'bytes[0]': 1}}]\n", 2, "`with`: [0] cannot be set"),
        (TEST + ", with: {bytes.a: 1}}]\n", 2, "`with`: `a` cannot be set"),
        (TEST + ", with: {'a[*]': 1}}]\n", 2, "has a wildcard: name one place"),
        (TEST + ", with: {a..b: 1}}]\n", 2, "is not a path such as userIdentity.arn"),
        (TEST + ", with: [a]}]\n", 2, "`with` must be a mapping"),
        (TEST + ", without: [byte]}]\n", 2, "`without`: the event has nothing at this place"),
        (TEST + ", without: bytes}]\n", 2, "`without` must be a list"),
        ("tests: [{name: a, matches: []}]\n", 2, "a test needs one of event, message, file"),
        ("tests: [{name: a, event: {}}]\n", 2, "`matches` is missing"),
        ("tests: [{event: {}, matches: []}]\n", 2, "`name` is missing"),
        ("tests: [{name: a, event: {}, matches: root}]\n", 2, "`matches` must be a list"),
        ("tests: [{name: a, event: {}, matches: [[root]]}]\n", 2, "must be a rule's name"),
        ("tests: [{name: a, event: {}, matches: [x]}]\n", 2, "no rule `x` is under test"),
        ("tests: [{name: a, event: {}, matches: [{labels: {}}]}]\n", 2, "`rule` is missing"),
        (
            "tests:\n- name: a\n  event: {}\n  matches:\n  - rule: root\n    labels: {usr: x}\n",
            7,
            "the rule `root` has no label `usr`; did you mean `user`?",
        ),
        (
            "tests: [{name: a, event: {}, matches: [{rule: root, value: -1}]}]\n",
            2,
            "`value` must be a number that is not negative, or error",
        ),
        (
            "tests: [{name: a, event: {}, matches: [{rule: root, count: 0}]}]\n",
            2,
            "`count` must be at least 1",
        ),
        ("tests: [{name: a, event: [1], matches: []}]\n", 2, "the name of an event, or a mapping"),
        ("tests: [{name: a, message: {a: 1}, matches: []}]\n", 2, "JSON goes under `event`"),
        ("tests: [{name: a, file: no.log, matches: []}]\n", 2, "no.log cannot be read: No such"),
        ("tests: [{name: a, file: a.test.yaml, with: {a: 1}, matches: []}]\n", 2, "`with` changes"),
        (EVENT + "tests: [{name: a, event: ee, matches: []}]\n", 3, "there is no event `ee`"),
        (
            EVENT + "tests: [{name: a, event: r, with: {a: 1}, matches: []}]\n",
            3,
            "this one is a text",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_place(
    write: Write, text: str, line: int, message: str
) -> None:
    path = write(text)
    loaded = load_rule_tests(path)
    assert loaded.file is None
    (problem,) = [problem for problem in loaded.problems if problem.severity == "error"]
    assert message in problem.message
    assert (problem.location.file, problem.location.line) == (str(path), line)


def test_an_error_in_a_rule_is_said_in_its_file_and_nothing_else(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{name: a, pattern: '{ $.a == 1 }'}]\n")
    path = tmp_path / "a.test.yaml"
    path.write_text("rule_files: [rules.yaml]\ntests: [{name: a, event: {a: 1}, matches: [a]}]\n")
    (problem,) = load_rule_tests(path).problems
    assert (problem.location.file, problem.location.line) == (str(rules), 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tests: [{name: a, event: {}, matches: []}]\n", "no rules are under test"),
        ("rule_packs: [nothing]\ntests: [{name: a, event: {}, matches: []}]\n", "no rule pack"),
        ("rule_files: [no.yaml]\ntests: [{name: a, event: {}, matches: []}]\n", "no file matches"),
        ("- a\n", "the file must be a mapping"),
    ],
)
def test_a_file_names_the_rules_under_test(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.test.yaml"
    path.write_text(text)
    (problem,) = load_rule_tests(path).problems
    assert message in problem.message


def test_an_event_that_no_test_uses_is_a_warning(write: Write) -> None:
    loaded = load_rule_tests(write("events:\n  a: {}\n" + TEST + "}]\n"))
    assert loaded.file is not None
    (problem,) = loaded.problems
    assert (problem.severity, problem.location.line) == ("warning", 3)
    assert problem.message == "no test uses the event `a`"
