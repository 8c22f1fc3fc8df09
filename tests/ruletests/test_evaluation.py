"""Rule tests pass where the rules match exactly as expected, and say what is different."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.ruletests import RuleTestFile, TestResult, coverage, run_tests
from exporter.ruletests.rendering import render_coverage, render_failed, render_passed

Load = Callable[[str], RuleTestFile]
ROOT_EVENT = "event: {userIdentity: {type: Root, arn: me}, ip: 192.0.2.1}"


def result_of(load: Load, test: str) -> TestResult:
    (result,) = run_tests(load(f"tests: [{{name: a test, {test}}}]\n"))
    return result


@pytest.mark.parametrize(
    "test",
    [
        f"{ROOT_EVENT}, matches: [root]",
        f"{ROOT_EVENT}, matches: [root], no_match: [denied]",
        f"{ROOT_EVENT}, matches: [{{rule: root, labels: {{user: me, team: security}}, value: 1}}]",
        f"{ROOT_EVENT}, matches: [{{rule: root, labels: {{region: us-east-1}}}}]",
        "event: {errorCode: AccessDenied}, matches: [{rule: denied, labels: {rule: denied}}]",
        "message: WARN 2.50 x, matches: [{rule: slow, labels: {level: WARN}, value: 2.5}]",
        "message: warn 0.5, matches: [], no_match: [slow]",
        "event: {bytes: many}, matches: [{rule: size, value: error}]",
        "event: {bytes: 0.1}, matches: [{rule: size, value: 1e-1}]",
    ],
)
def test_what_is_as_expected_passes(load: Load, test: str) -> None:
    result = result_of(load, test)
    assert result.passed, render_failed(result)


@pytest.mark.parametrize(
    ("test", "expected", "got"),
    [
        (f"{ROOT_EVENT}, matches: []", "no match", 'match {ip="192.0.2.1", team="security", us'),
        (f"{ROOT_EVENT}, matches: [], no_match: [root]", "no match: the test names it as a", ""),
        ("event: {a: 1}, matches: [root]", "match\n", "no match"),
        (
            f"{ROOT_EVENT}, matches: [{{rule: root, labels: {{user: you}}}}]",
            'match {user="you"}',
            'user="me"} with value 1',
        ),
        (
            f"{ROOT_EVENT}, matches: [{{rule: root, labels: {{region: eu-west-1}}}}]",
            'match {region="eu-west-1"}',
            'region="us-east-1"',
        ),
        (f"{ROOT_EVENT}, matches: [{{rule: root, value: 2}}]", "match with value 2", "value 1"),
        (
            "event: {bytes: many}, matches: [{rule: size, value: 0}]",
            "match with value 0",
            "match {} with no usable value",
        ),
        (
            "event: {bytes: 1}, matches: [{rule: size, value: error}]",
            "match without a usable value",
            "match {} with value 1",
        ),
    ],
)
def test_what_is_not_as_expected_is_shown_beside_it(
    load: Load, test: str, expected: str, got: str
) -> None:
    result = result_of(load, test)
    assert len(result.failures) == 1
    text = render_failed(result)
    assert text.startswith("FAILED a test (")
    assert f"\n    expected: {expected}" in text
    assert got in text.split("\n    got:      ")[1].split("\n")[0]


def test_a_failure_shows_the_place_and_the_pattern_with_the_values_seen(
    load: Load, tmp_path: Path
) -> None:
    result = result_of(load, "event: {userIdentity: {type: IAMUser}}, matches: [root]")
    assert render_failed(result) == (
        f"FAILED a test ({tmp_path}/a.test.yaml:2:9)\n"
        "  root\n"
        "    expected: match\n"
        "    got:      no match\n"
        "    the pattern:\n"
        '      ✗ $.userIdentity.type = Root  ← "IAMUser"'
    )


def test_a_message_that_is_no_json_says_so(load: Load) -> None:
    text = render_failed(result_of(load, "message: '{\"a\":', matches: [root]"))
    assert "the message is not a JSON object" in text


def test_each_rule_that_is_wrong_is_told(load: Load) -> None:
    result = result_of(load, f"{ROOT_EVENT}, matches: [denied]")
    assert [failure.rule.name for failure in result.failures] == ["denied", "root"]


@pytest.fixture
def lines(tmp_path: Path) -> None:
    (tmp_path / "lines.log").write_text("warn 2\nwarn 3\ninfo 0\nerror 9\n")


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    "matches",
    [
        "[slow]",
        "[{rule: slow, count: 3}]",
        "[{rule: slow, labels: {level: warn}, count: 2}, {rule: slow, labels: {level: error}}]",
    ],
)
def test_the_matches_of_many_messages_are_counted(load: Load, matches: str) -> None:
    assert result_of(load, f"file: lines.log, matches: {matches}").passed


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(
    ("matches", "shown"),
    [
        ("[{rule: slow, count: 2}]", "expected: match in 2 messages\n"),
        ("[{rule: slow, labels: {level: warn}}]", 'got:      match {level="error"} with value 9\n'),
        ("[slow, root]", "none of the messages matches the pattern"),
    ],
)
def test_what_many_messages_come_to_is_told_where_it_is_wrong(
    load: Load, matches: str, shown: str
) -> None:
    result = result_of(load, f"file: lines.log, matches: {matches}")
    assert len(result.failures) == 1
    assert shown in f"{render_failed(result)}\n"


def test_a_test_that_passed_shows_its_matches(load: Load) -> None:
    text = render_passed(result_of(load, f"{ROOT_EVENT}, matches: [root]"))
    assert 'root {ip="192.0.2.1", team="security", user="me"} with value 1' in text


def test_coverage_counts_the_tests_of_each_rule(load: Load) -> None:
    file = load(f"""\
        tests:
          - {{name: a, {ROOT_EVENT}, matches: [root], no_match: [denied, slow]}}
          - {{name: b, message: warn 2, matches: [slow], no_match: [denied]}}
        """)
    rows = coverage([file, file])
    assert [(row.rule.name, row.matches, row.near_misses) for row in rows] == [
        ("root", 2, 0),
        ("denied", 0, 4),
        ("slow", 2, 2),
        ("size", 0, 0),
    ]
    assert render_coverage(rows[:2]).splitlines() == [
        "rule    pack  matches  near misses",
        "root    -           2            0",
        "denied  -           0            4",
    ]
