"""Tests' messages are matched by AWS as well, and differences are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.stub import Stubber

from conformance.score import load_cases
from exporter.model import SourceError
from exporter.patterns import FilterPattern, Match
from exporter.ruletests import RuleTestFile, load_rule_tests
from exporter.ruletests.against_aws import compare, open_logs
from exporter.ruletests.rendering import render_difference
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import open_account

Load = Callable[[str], RuleTestFile]
Start = Callable[..., EmbeddedAws]
REGION = "us-east-1"
TESTS = """\
tests:
  - {name: signs in, event: {userIdentity: {type: Root}}, matches: [root]}
  - {name: no user, event: {errorCode: AccessDenied}, matches: [denied]}
  - {name: again, event: {errorCode: AccessDenied}, matches: [denied]}
"""


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts an AWS without request quotas, which the environment names."""
    with ExitStack() as stack:

        def start_aws() -> EmbeddedAws:
            aws = stack.enter_context(EmbeddedAws(quotas={"TestMetricFilter": math.inf}))
            for name, value in aws.environment().items():
                monkeypatch.setenv(name, value)
            return aws

        yield start_aws


@pytest.fixture
def suite(tmp_path: Path) -> RuleTestFile:
    """The type matrix of the conformance suite as a file of rule tests."""
    matrix = [case for case in load_cases() if case.pattern.startswith("{ $.reading ")]
    messages = [case.message for case in matrix if case.pattern == "{ $.reading = 7 }"]
    patterns = list(dict.fromkeys(case.pattern for case in matrix))
    rules = [{"name": f"rule_{n}", "pattern": pattern} for n, pattern in enumerate(patterns)]
    tests = [
        {"name": f"message {n}", "message": text, "matches": []} for n, text in enumerate(messages)
    ]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": rules}))
    path = tmp_path / "matrix.test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": tests}))
    file = load_rule_tests(path).file
    assert file is not None
    return file


def test_the_exporter_agrees_with_the_embedded_aws(start: Start, suite: RuleTestFile) -> None:
    aws = start()
    logs, region = open_logs(open_account())
    comparison = compare(suite, logs, region)
    assert comparison.differences == ()
    assert comparison.notes == ()
    assert comparison.compared == len(suite.rules) * len(suite.tests) > 400
    # A call takes 50 messages.
    assert aws.calls.count("TestMetricFilter", region=REGION, outcome="ok") == len(suite.rules)


def test_an_engine_that_is_wrong_differs_from_the_embedded_aws(
    start: Start, suite: RuleTestFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded AWS judges on its own: a fault of the exporter's engine is no fault of its."""
    start()
    logs, region = open_logs(open_account())
    match = FilterPattern.match

    def without_missing_values(pattern: FilterPattern, message: str) -> Match | None:
        if "NOT EXISTS" in pattern.text:
            return None
        return match(pattern, message)

    monkeypatch.setattr(FilterPattern, "match", without_missing_values)
    (difference,) = compare(suite, logs, region).differences
    assert difference.rule.pattern == "{ $.reading NOT EXISTS }"
    assert difference.aws_matches
    assert difference.message == '{"level":"7"}'


def test_a_call_takes_50_messages(start: Start, load: Load) -> None:
    aws = start()
    events = "".join(
        f"  - {{name: a, event: {{bytes: {n}}}, matches: [size]}}\n" for n in range(101)
    )
    file = load(f"tests:\n{events}")
    logs, region = open_logs(open_account())
    comparison = compare(file, logs, region)
    assert [difference.rule.name for difference in comparison.differences] == []
    assert comparison.compared == 404
    assert aws.calls.count("TestMetricFilter", outcome="ok") == 4 * 3


def test_an_empty_message_is_left_out_with_a_note(start: Start, load: Load) -> None:
    start()
    tests = [f"  - {{name: a, message: '{message}', matches: []}}\n" for message in ("", "x")]
    logs, region = open_logs(open_account())
    comparison = compare(load(f"tests:\n{''.join(tests)}"), logs, region)
    assert comparison.compared == 4
    assert comparison.notes == ("an empty message was left out: TestMetricFilter takes none",)


def test_a_pattern_beyond_awss_limits_is_left_out_with_a_note(start: Start, tmp_path: Path) -> None:
    aws = start()
    names = " || ".join(f"($.eventName = {'x' * 20}{number})" for number in range(40))
    (tmp_path / "long.yaml").write_text(f"rules: [{{name: long, pattern: '{{ {names} }}'}}]\n")
    path = tmp_path / "b.test.yaml"
    path.write_text("rule_files: [long.yaml]\ntests: [{name: a, event: {}, matches: []}]\n")
    file = load_rule_tests(path).file
    assert file is not None
    logs, region = open_logs(open_account())
    comparison = compare(file, logs, region)
    assert comparison.compared == 0
    (note,) = comparison.notes
    assert note.startswith("the rule `long` was left out: ")
    assert aws.calls.count("TestMetricFilter") == 0


def stubbed_logs() -> Any:
    """A client for a Stubber, without AWS."""
    return boto3.client("logs", REGION, aws_access_key_id="a", aws_secret_access_key="b")


def test_what_aws_judges_differently_is_told_with_the_pattern(load: Load) -> None:
    file = load(TESTS)
    logs = stubbed_logs()
    answers: list[list[dict[str, Any]]] = [[], [{"eventNumber": 1}, {"eventNumber": 2}], [], []]
    with Stubber(logs) as stubber:
        for matches in answers:
            stubber.add_response("test_metric_filter", {"matches": matches})
        differences = compare(file, logs.test_metric_filter, REGION).differences
    root, denied = (render_difference(difference) for difference in differences)
    path = file.path
    assert root.splitlines() == [
        f"DIFFERENT root: the exporter matches, AWS does not ({path}:3:5)",
        '    ✓ $.userIdentity.type = Root  ← "Root"',
    ]
    assert denied.startswith(f"DIFFERENT denied: AWS matches, the exporter does not ({path}:3:5)\n")
    assert differences[0].tests == (file.tests[0].location,)


def test_each_test_of_a_message_is_named(load: Load) -> None:
    file = load(TESTS)
    logs = stubbed_logs()
    with Stubber(logs) as stubber:
        for matches in ([{"eventNumber": 1}], [], [], []):
            stubber.add_response("test_metric_filter", {"matches": matches})
        (difference,) = compare(file, logs.test_metric_filter, REGION).differences
    assert [place.line for place in difference.tests] == [4, 5]


def test_a_pattern_that_aws_refuses_is_a_difference(load: Load) -> None:
    logs = stubbed_logs()
    with Stubber(logs) as stubber:
        stubber.add_client_error(
            "test_metric_filter", "InvalidParameterException", "Invalid metric filter pattern"
        )
        for _ in range(3):
            stubber.add_response("test_metric_filter", {"matches": []})
        refused = compare(load(TESTS), logs.test_metric_filter, REGION).differences[0]
    assert "AWS refuses the pattern: " in render_difference(refused)
    assert "Invalid metric filter pattern" in refused.refusal


def test_what_is_missing_for_asking_aws_is_said(start: Start, load: Load) -> None:
    aws = start()
    aws.faults = Faults(denied={REGION: {"*"}})
    logs, region = open_logs(open_account())
    with pytest.raises(SourceError, match="allow logs:TestMetricFilter in the IAM policy"):
        compare(load(TESTS), logs, region)


def test_a_region_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(SourceError, match="set AWS_REGION"):
        open_logs(open_account(region=None))
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_logs(open_account(region=None))[1] == "eu-west-1"
