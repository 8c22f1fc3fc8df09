"""promtool runs the rule files and their unit tests, and each alert has one."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.yamlfile.durations import parse_duration
from tests.support.alerting import ALERT_TESTS, ALERTS, Alert, alerts, rule_files, rules_of
from tests.support.promql import selectors
from tests.support.tools import FRUGAL, PrometheusBinaries

ALL = alerts()
TESTS = sorted(ALERT_TESTS.glob("*.test.yaml"))

each_alert = pytest.mark.parametrize(
    "alert", ALL, ids=[f"{alert.name}-{alert.severity}" for alert in ALL]
)


def promtool(binaries: PrometheusBinaries, *arguments: str | Path) -> None:
    done = subprocess.run(
        [binaries.promtool, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | FRUGAL,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules(each_prometheus: PrometheusBinaries) -> None:
    promtool(each_prometheus, "check", "rules", "--lint=all", "--lint-fatal", *rule_files())


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name.partition(".")[0])
def test_the_rules_do_what_their_unit_tests_say(
    path: Path, prometheus_binaries: PrometheusBinaries
) -> None:
    promtool(prometheus_binaries, "test", "rules", path)


def test_so_they_do_with_the_oldest_prometheus(
    both_prometheus: tuple[PrometheusBinaries, ...],
) -> None:
    """A quick file with recorded counts, thresholds and first calls.

    test_product.py loads every file into that Prometheus and runs all queries of all alerts.
    """
    promtool(both_prometheus[0], "test", "rules", ALERT_TESTS / "cloudtrail-identity.test.yaml")


def test_each_rule_file_has_its_unit_tests() -> None:
    assert [path.name for path in TESTS] == [f"{path.stem}.test.yaml" for path in rule_files()]


@cache
def _unit_tests(group: str) -> list[dict[str, Any]]:
    tests: list[dict[str, Any]] = yaml.load(
        (ALERT_TESTS / f"{group}.test.yaml").read_text(), Loader=yaml.CSafeLoader
    )["tests"]
    return tests


def _courses(alert: Alert) -> list[list[bool]]:
    """For each unit test of the alert: whether it fires, at one moment after the other."""
    courses = []
    for test in _unit_tests(alert.group):
        moments = {
            parse_duration(moment["eval_time"]): any(
                expected["exp_labels"]["severity"] == alert.severity
                for expected in moment.get("exp_alerts", [])
            )
            for moment in test.get("alert_rule_test", [])
            if moment["alertname"] == alert.name
        }
        courses.append([moments[time] for time in sorted(moments)])
    return courses


@each_alert
def test_an_alert_is_seen_silent_then_firing_then_silent_again(alert: Alert) -> None:
    courses = _courses(alert)
    assert any(
        not course[0] and True in course and not course[-1] for course in courses if course
    ), f"no unit test of {alert.name} sees it fire and recover"


def _counted(alert: Alert) -> set[str]:
    """The counters whose increase the alert looks at, itself or by what is recorded."""
    recorded = {
        rule["record"]: rule["expr"]
        for rule in rules_of(ALERTS / f"{alert.group}.yaml")
        if "record" in rule
    }
    names = {str(selector.name) for selector in selectors(alert.expression)}
    expressions = [alert.expression, *(recorded[name] for name in names & set(recorded))]
    return {
        str(selector.name)
        for expression in expressions
        if "increase(" in expression or "last_over_time(" in expression
        for selector in selectors(expression)
        if str(selector.name).endswith("_total")
    }


@pytest.mark.parametrize(
    "alert",
    [alert for alert in ALL if alert.group != "exporter" and _counted(alert)],
    ids=lambda alert: alert.name,
)
def test_the_first_match_of_a_new_series_alerts_and_a_restart_does_not(alert: Alert) -> None:
    """The unit tests have such series; that they do and do not alert is promtool's affair."""
    series = [
        (row["series"].partition("{")[0], row["values"])
        for test in _unit_tests(alert.group)
        if alert.name in {moment["alertname"] for moment in test["alert_rule_test"]}
        for row in test["input_series"]
    ]
    values = [values for metric, values in series if metric in _counted(alert)]
    assert any(" 0x" in f" {value}" for value in values), "no series is born at zero"
    assert any(_is_gap(value) for value in values), "no series sees a restart"


def _is_gap(values: str) -> bool:
    """Whether the series stops for a while and goes on with the same total: ``7x10 _x6 7x90``."""
    parts = values.split()
    return any(
        gap.startswith("_") and before.partition("x")[0] == after.partition("x")[0]
        for before, gap, after in zip(parts, parts[1:], parts[2:], strict=False)
    )
