"""A metric filter can be pasted as AWS prints or takes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from exporter.configuration import LabelValue, Problem, Reference, RuleConfig, ValueSpec, load
from exporter.patterns import parse_selector

ProblemsOf = Callable[[str], Sequence[Problem]]
SOURCES = "sources:\n  - {name: history, type: event_history}\n"

LATENCY = LabelValue(references=(Reference("$.errorCode", selector=parse_selector("$.errorCode")),))


def load_rules(path: Path) -> tuple[RuleConfig, ...]:
    return load([path]).rules


def test_a_filter_as_describe_metric_filters_prints_it(write: Callable[[str], Path]) -> None:
    (rule,) = load_rules(
        write(
            SOURCES
            + """
rules:
  - filterName: Failed Console-Logins
    filterPattern: '{ $.eventName = "ConsoleLogin" }'
    metricTransformations:
      - metricName: FailedConsoleLogins
        metricNamespace: LogMetrics
        metricValue: "1"
        defaultValue: 0.0
        unit: Count
        dimensions:
          ErrorCode: $.errorCode
          user type: $.userIdentity.type
    creationTime: 1695371533620
    logGroupName: trail
    applyOnTransformedLogs: false
"""
        )
    )
    assert rule.name == "failed_console_logins"
    assert rule.title == "Failed Console-Logins"
    assert rule.metric == "log_metrics_failed_console_logins_total"
    assert rule.value == ValueSpec(number=1)
    assert list(rule.labels) == ["ErrorCode", "user_type"]
    assert rule.labels["ErrorCode"] == LATENCY


def test_a_filter_as_cloudformation_has_it(write: Callable[[str], Path]) -> None:
    (rule,) = load_rules(
        write(
            SOURCES
            + """
rules:
  - FilterName: bytes
    LogGroupName: access
    FilterPattern: '[ip, ..., status, size]'
    MetricTransformations:
      - MetricName: BytesTransferred
        MetricNamespace: Web/Access
        MetricValue: $size
        Unit: Bytes
        Dimensions:
          - {Key: Status, Value: $status}
    sources: [history]
    severity: low
"""
        )
    )
    assert rule.metric == "web_access_bytes_transferred_total"
    assert rule.value == ValueSpec(reference=Reference("$size", field="$size"))
    assert rule.labels == {
        "Status": LabelValue(references=(Reference("$status", field="$status"),))
    }
    assert (rule.sources, rule.severity) == (("history",), "low")


def test_a_whole_answer_of_describe_metric_filters_is_a_rule_file(tmp_path: Path) -> None:
    transformation = {"metricName": "m", "metricNamespace": "n", "metricValue": "1"}
    answer = {
        "metricFilters": [
            {"filterName": name, "filterPattern": "x", "metricTransformations": [transformation]}
            for name in ("one", "two")
        ]
    }
    (tmp_path / "filters.json").write_text(json.dumps(answer, indent=4))
    config = tmp_path / "config.yaml"
    config.write_text(f"{SOURCES}rule_files: [filters.json]\n")
    assert [rule.name for rule in load_rules(config)] == ["one", "two"]
    assert {rule.metric for rule in load_rules(config)} == {"n_m_total"}


def test_a_rules_own_keys_beside_those_of_aws_win(write: Callable[[str], Path]) -> None:
    (rule,) = load_rules(
        write(
            SOURCES
            + """
rules:
  - filterName: Latency
    name: slow_calls
    title: Slow calls
    filterPattern: '{ $.latency = * }'
    type: histogram
    buckets: [1, 2]
    metric: call_latency_seconds
    labels: {team: a}
    metricTransformations:
      - {metricName: Latency, metricNamespace: Apps, metricValue: $.latency,
         dimensions: {Team: $.team}}
"""
        )
    )
    assert (rule.name, rule.title, rule.type) == ("slow_calls", "Slow calls", "histogram")
    assert rule.metric == "call_latency_seconds"
    assert rule.labels == {"team": LabelValue(literal="a")}
    assert rule.value.reference is not None


def test_what_is_wrong_with_an_own_key_is_said_there_and_not_at_the_filters(
    problems_of_rules: ProblemsOf,
) -> None:
    (problem,) = problems_of_rules(
        "rules:\n  - {filterName: f, filterPattern: x, pattern: '{ $.a == 1 }',"
        " metricTransformations: [{metricName: a, metricNamespace: b, metricValue: 1}]}\n"
    )
    assert (problem.location.line, problem.location.column) == (4, 56)


@pytest.mark.parametrize(
    ("namespace", "name", "metric"),
    [
        ("LogMetrics", "FailedConsoleLogins", "log_metrics_failed_console_logins_total"),
        ("CISBenchmark", "RootAccountUsage", "cis_benchmark_root_account_usage_total"),
        ("AWS/Apps", "http-5xx", "aws_apps_http_5xx_total"),
        ("5xx", "Errors", "_5xx_errors_total"),
        ("Shop", "LoginsTotal", "shop_logins_total"),
        ("Management_Console_Auth_Failure", "x", "management_console_auth_failure_x_total"),
    ],
)
def test_namespace_and_name_become_one_metric_name(
    write: Callable[[str], Path], namespace: str, name: str, metric: str
) -> None:
    transformation = f"{{metricNamespace: {namespace}, metricName: {name}, metricValue: 1}}"
    (rule,) = load_rules(
        write(
            f"{SOURCES}rules:\n  - {{filterName: f, filterPattern: x,"
            f" metricTransformations: [{transformation}]}}\n"
        )
    )
    assert rule.metric == metric


@pytest.mark.parametrize(
    ("filter_text", "messages"),
    [
        ("filterName: f\n    filterPattern: x", ["`metricTransformations` is missing"]),
        (
            "filterName: f\n    filterPattern: x\n    FilterPattern: y\n    metricTransformations:"
            " [{metricName: a, metricNamespace: b, metricValue: 1}]",
            ["`FilterPattern` is given twice, first as `filterPattern`"],
        ),
        (
            "filterName: f\n    filterPattern: x\n    metricTransformations: []",
            ["must be a list of exactly one transformation"],
        ),
        (
            "filterName: f\n    filterPattern: x\n    metricTransformations:"
            " [{metricName: a, metricValue: 1}]",
            ["`metricNamespace` is missing"],
        ),
        (
            "filterName: f\n    filterPattern: x\n    metricTransformations:"
            " [{metricName: a, metricNamespace: b, metricValu: 1}]",
            ["unknown key `metricValu`; did you mean `metricValue`?"],
        ),
        (
            "filterName: ☃\n    filterPattern: x\n    metricTransformations:"
            " [{metricName: ☃, metricNamespace: ☃, metricValue: 1}]",
            ["no name can be made from '☃'", "add `metric` next to it"],
        ),
        (
            "filterName: f\n    filterPattern: '{ $.a == 1 }'\n    metricTransformations:"
            " [{metricName: a, metricNamespace: b, metricValue: x}]",
            ["in the pattern: ", "`metricTransformations[0].metricValue` must be a number"],
        ),
        (
            "filterName: f\n    filterPattern: x\n    fieldSelectionCriteria: '@aws.region = x'\n"
            "    metricTransformations: [{metricName: a, metricNamespace: b, metricValue: 1}]",
            ["`fieldSelectionCriteria` is wrong: has no condition at '@aws.region = x'"],
        ),
        (
            "filterName: f\n    filterPatern: x\n"
            "    metricTransformations: [{metricName: a, metricNamespace: b, metricValue: 1}]",
            ["`filterPattern` is missing", "did you mean `filterPattern`?"],
        ),
        (
            "filterName: f\n    filterPattern: '{$.a = 1}'\n    metricTransformations: "
            "[{metricName: a, metricNamespace: b, metricValue: 1, dimensions: {region: $.a}}]",
            ["`metricTransformations[0].dimensions.region` is wrong: every rule series already"],
        ),
    ],
)
def test_what_is_wrong_with_a_filter_is_said_in_its_own_words(
    problems_of_rules: ProblemsOf, filter_text: str, messages: list[str]
) -> None:
    problems = problems_of_rules(f"rules:\n  - {filter_text}\n")
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert message in problem.message
        assert problem.location.line is not None
        assert problem.location.line >= 4


def test_filter_names_that_become_one_rule_name_are_an_error(problems_of_rules: ProblemsOf) -> None:
    filters = "".join(
        f"  - {{filterName: {name}, filterPattern: x, metricTransformations:"
        " [{metricName: a, metricNamespace: b, metricValue: 1}]}\n"
        for name in ("My-Filter", "MyFilter")
    )
    (problem,) = problems_of_rules(f"rules:\n{filters}")
    assert "there is a rule `my_filter` already" in problem.message
    assert "add a `name` next to the filter's" in problem.message


def test_captured_answers_of_aws_load(tmp_path: Path) -> None:
    samples = Path(__file__).parents[3] / "shared/samples/metric_filters"
    files = sorted(samples.glob("*DescribeMetricFilters*.json"))
    if not files:
        pytest.skip("no captured answers here")
    for file in files:
        filters = json.loads(file.read_text())["data"]["metricFilters"]
        for number, metric_filter in enumerate(filters):
            # Names are unique in a log group only.
            metric_filter["name"] = f"rule_{number}"
        (tmp_path / "filters.json").write_text(json.dumps({"metricFilters": filters}))
        config = tmp_path / "config.yaml"
        config.write_text(f"{SOURCES}rule_files: [filters.json]\n")
        if filters:
            assert len(load_rules(config)) == len(filters)
