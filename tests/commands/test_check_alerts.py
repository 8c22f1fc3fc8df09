"""``check --alerts``: selectors that overflow silences, and what no rule makes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from exporter.__main__ import app
from exporter.commands.selectors import selectors
from tests.support.promql import selectors as parsed

ROOT = Path(__file__).parents[2]
CONFIGURATION = """\
sources: [{name: logs, type: log_groups, log_groups: [/app], format: lines}]
rules:
  - name: logins
    pattern: login
    metric: logins_total
    labels:
      user: {from: $.user, unbounded: true}
      result: $.result
      team: blue
  - {name: errors, pattern: ERROR}
"""
ALERT = """\
groups:
  - name: g
    rules:
      - alert: A
        expr: |
          """
Check = Callable[[str], list[str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Check an alert with this expression; the warnings, without their source lines."""
    monkeypatch.chdir(tmp_path)
    Path("exporter.yaml").write_text(CONFIGURATION)

    def run(expression: str) -> list[str]:
        Path("alerts.yaml").write_text(ALERT + expression)
        done = CliRunner().invoke(
            app, ["check", "--config.file", "exporter.yaml", "--alerts", "al*.yaml"]
        )
        assert done.exit_code == 0, done.output
        return [line for line in done.stderr.splitlines() if line.startswith("alerts.yaml:")]

    return run


@pytest.mark.parametrize(
    ("expression", "at", "message"),
    [
        (
            'increase(logins_total{user="root"}[5m]) > 0',
            "user",
            "`user` of logins_total is unb",
        ),
        ('logins_total{result="x",user=~"a|b"} > 0', "user", "`user` of logins_total is unb"),
        ('logins_total{team="red"} > 0', "team", '`team` of logins_total is always "blue"'),
        ('increase(login_total{result="x"}[5m])', "login_total", "did you mean logins_total?"),
        ('logins_total{resul="x"} > 0', "resul", "has no label `resul`; did you mean `result`?"),
        ('metric_filter_matches_total{rule="error"}', "rule", "no rule `error` counts in"),
        (
            "sum(aws_cis_root_usage_total)",
            "aws_cis_root_usage_total",
            "the rule pack `cis-aws-",
        ),
    ],
)
def test_what_an_alert_cannot_select_is_a_warning_with_its_place(
    check: Check, expression: str, at: str, message: str
) -> None:
    (line,) = check(expression)
    column = 11 + re.search(rf"\b{at}\b", expression).start()  # type: ignore[union-attr]
    assert line.startswith(f"alerts.yaml:6:{column}: warning: "), line
    assert message in line


@pytest.mark.parametrize(
    "expression",
    [
        'sum by (user) (increase(logins_total{result="Failure", user!="ci"}[5m])) > 0',
        'logins_total{user=~".+", team=~"b.*", cluster="eu"}',
        'metric_filter_matches_total{rule="errors"} unless node_load1{instance="a"} > 0',
        'logins_total # {user="root"}',
        'metric_filter_exporter_partition_up == 0 and metric_filter_threshold{name="x"}',
    ],
)
def test_what_is_right_or_unknown_here_is_none(check: Check, expression: str) -> None:
    assert check(expression) == []


def test_a_file_that_is_missing_is_an_error(check: Check) -> None:
    check("up")
    arguments = ["check", "--config.file", "exporter.yaml", "--alerts", "lost.yaml"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, "lost.yaml: error: there is no such file" in done.stderr) == (1, True)


@pytest.mark.parametrize("text", ["groups: 5", "- a", "route: {receiver: x}", "groups: []"])
@pytest.mark.usefixtures("check")
def test_a_file_without_rules_of_prometheus_is_a_warning(text: str) -> None:
    Path("almost.yaml").write_text(text)
    done = CliRunner().invoke(
        app, ["check", "--config.file", "exporter.yaml", "--alerts", "almost.yaml"]
    )
    assert "almost.yaml: warning: no alerts or recording rules" in done.stderr


def test_an_invalid_expression_of_a_matcher_is_left_to_prometheus(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    assert check('logins_total{user=~"("}') == []
    assert capfd.readouterr().err == "", "RE2 has a log of its own"


def test_selectors_are_found_as_prometheus_finds_them() -> None:
    for path in sorted((ROOT / "alerts").glob("*.yaml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                expected = {
                    (str(one.name), matcher.name, matcher.value)
                    for one in parsed(rule["expr"])
                    for matcher in one.matchers.matchers
                    if one.name
                }
                found = {
                    (one.metric, matcher.label, matcher.value)
                    for one in selectors(rule["expr"])
                    for matcher in one.matchers
                    if one.metric
                }
                assert found == expected, rule["expr"]
