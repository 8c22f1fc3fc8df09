"""Tests' messages are matched by AWS as well, and differences are told."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from exporter.demo.aws import EmbeddedAws
from exporter.demo.faults import Faults
from exporter.errors import SourceError
from exporter.ruletests import RuleTestFile, load_rule_tests
from exporter.ruletests.against_aws import compare, open_logs
from exporter.ruletests.rendering import render_difference
from tests.support.aws import open_account

Load = Callable[[str], RuleTestFile]
REGION = "us-east-1"
TESTS = """\
tests:
  - {name: signs in, event: {userIdentity: {type: Root}}, matches: [root]}
  - {name: no user, event: {errorCode: AccessDenied}, matches: [denied]}
  - {name: again, event: {errorCode: AccessDenied}, matches: [denied]}
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    """An AWS without request quotas, which the environment names."""
    with EmbeddedAws(quotas={"TestMetricFilter": math.inf}) as embedded:
        for name, value in embedded.environment().items():
            monkeypatch.setenv(name, value)
        yield embedded


def test_where_both_agree_nothing_is_different(aws: EmbeddedAws, load: Load) -> None:
    logs, region = open_logs(open_account())
    comparison = compare(load(TESTS), logs, region)
    assert comparison.differences == ()
    assert comparison.notes == ()
    # Two different messages, four rules.
    assert comparison.compared == 8
    assert aws.calls.count("TestMetricFilter", region=REGION, outcome="ok") == 4


def test_a_call_takes_50_messages(aws: EmbeddedAws, load: Load) -> None:
    events = "".join(
        f"  - {{name: a, event: {{bytes: {n}}}, matches: [size]}}\n" for n in range(101)
    )
    logs, region = open_logs(open_account())
    assert compare(load(f"tests:\n{events}"), logs, region).differences == ()
    assert aws.calls.count("TestMetricFilter", outcome="ok") == 4 * 3


@pytest.mark.usefixtures("aws")
def test_an_empty_message_is_left_out_with_a_note(load: Load) -> None:
    tests = [f"  - {{name: a, message: '{message}', matches: []}}\n" for message in ("", "x")]
    logs, region = open_logs(open_account())
    comparison = compare(load(f"tests:\n{''.join(tests)}"), logs, region)
    assert comparison.compared == 4
    assert comparison.notes == ("an empty message was left out: TestMetricFilter takes none",)


def test_a_pattern_beyond_awss_limits_is_left_out_with_a_note(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
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


def test_what_aws_judges_differently_is_told_with_the_pattern(load: Load) -> None:
    file = load(TESTS)
    logs = open_account().logs(REGION)
    answers: list[list[dict[str, Any]]] = [[], [{"eventNumber": 1}, {"eventNumber": 2}], [], []]
    with Stubber(logs) as stubber:
        for matches in answers:
            stubber.add_response("test_metric_filter", {"matches": matches})
        differences = compare(file, logs, REGION).differences
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
    logs = open_account().logs(REGION)
    with Stubber(logs) as stubber:
        for matches in ([{"eventNumber": 1}], [], [], []):
            stubber.add_response("test_metric_filter", {"matches": matches})
        (difference,) = compare(file, logs, REGION).differences
    assert [place.line for place in difference.tests] == [4, 5]


def test_a_pattern_that_aws_refuses_is_a_difference(load: Load) -> None:
    logs = open_account().logs(REGION)
    with Stubber(logs) as stubber:
        stubber.add_client_error(
            "test_metric_filter", "InvalidParameterException", "Invalid metric filter pattern"
        )
        for _ in range(3):
            stubber.add_response("test_metric_filter", {"matches": []})
        refused = compare(load(TESTS), logs, REGION).differences[0]
    assert "AWS refuses the pattern: " in render_difference(refused)
    assert "Invalid metric filter pattern" in refused.refusal


def test_what_is_missing_for_asking_aws_is_said(aws: EmbeddedAws, load: Load) -> None:
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
