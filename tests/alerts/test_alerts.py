"""Alerts keep to Prometheus's conventions and speak only of what exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from exporter.patterns import compile_pattern
from tests.support.alerting import (
    PACKS,
    RUNBOOKS,
    Alert,
    alerts,
    metric_labels,
    pack_rules,
    pack_thresholds,
    rule_files,
    rules_of,
    watched,
)
from tests.support.promql import Labels, deciding, output_labels, parse, selectors
from tests.support.tools import ROOT

RUNBOOK_PREFIX: Final = (
    "https://github.com/metric-filter-exporter/metric-filter-exporter/blob/main/docs/runbooks/"
)
SECTIONS: Final = ["Meaning", "Impact", "Diagnosis", "Mitigation"]
# The first component of the names in each file.
PREFIXES: Final = {
    "exporter": "MetricFilterExporter",
    "cis-aws-foundations": "AwsCis",
    "cloudtrail-security": "AwsSecurity",
    "aws-findings": "AwsFindings",
    "cloudtrail-account": "AwsAccount",
    "cloudtrail-ai": "AwsAi",
    "cloudtrail-compute": "AwsCompute",
    "cloudtrail-data": "AwsData",
    "cloudtrail-defenses": "AwsDefenses",
    "cloudtrail-exposure": "AwsExposure",
    "cloudtrail-identity": "AwsIdentity",
    "lambda": "Lambda",
    "vpc-flow-logs": "VpcFlow",
    "rds-mysql": "RdsMysql",
    "rds-postgresql": "RdsPostgresql",
    "http-access": "Http",
    "linux-syslog": "Linux",
    "eks-audit": "EksAudit",
    "api-gateway": "ApiGateway",
    "route53-resolver": "Route53Resolver",
    "waf": "Waf",
    "network-firewall": "NetworkFirewall",
    "step-functions": "StepFunctions",
    "ecs": "Ecs",
    "nlb-access": "Nlb",
    "security-overview": "AwsOverview",
}
ALL: Final = alerts()
NAMES: Final = sorted({alert.name for alert in ALL})

each_alert = pytest.mark.parametrize(
    "alert", ALL, ids=[f"{alert.name}-{alert.severity}" for alert in ALL]
)
each_name = pytest.mark.parametrize("name", NAMES)


def runbook_pages() -> list[Path]:
    """All but the index."""
    return [path for path in sorted(RUNBOOKS.glob("*.md")) if path.stem != "README"]


@pytest.fixture(scope="session")
def labels() -> dict[str, Labels]:
    return metric_labels()


@each_alert
def test_an_alert_is_named_after_what_its_file_is_for(alert: Alert) -> None:
    assert re.fullmatch(r"([A-Z][a-z0-9]+)+", alert.name)
    assert alert.name.startswith(PREFIXES[alert.group])


@each_alert
def test_an_alert_says_how_bad_it_is_and_what_it_is(alert: Alert) -> None:
    assert alert.severity in {"critical", "warning", "info"}
    # One sentence, the same for all alerts that a receiver may group together.
    assert re.fullmatch(r"[A-Z][^.{}]*\.", alert.summary), alert.summary
    assert re.search(r"[.}]$", alert.description), alert.description
    assert "{{" in alert.description or alert.name == "MetricFilterExporterAbsent"


@each_alert
def test_a_runbook_tells_what_to_do(alert: Alert) -> None:
    assert alert.runbook_url == f"{RUNBOOK_PREFIX}{alert.name}.md"
    text = (RUNBOOKS / f"{alert.name}.md").read_text()
    title, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.startswith(f"# {alert.name}\n")
    heads = [section.partition("\n")[0] for section in sections]
    assert heads == [*SECTIONS, "Alert"]
    for section in sections:
        assert len(section.partition("\n")[2].split()) >= 5, section


def test_each_runbook_is_of_an_alert_and_none_is_a_copy_of_another() -> None:
    runbooks = runbook_pages()
    assert [path.stem for path in runbooks] == NAMES
    for section in SECTIONS:
        texts: dict[str, str] = {}
        for path in runbooks:
            text = path.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0].strip()
            other = texts.setdefault(text, path.stem)
            assert other == path.stem, f"{path.stem} and {other} have the same {section}"


@each_alert
def test_an_expression_speaks_of_metrics_and_labels_that_exist(
    alert: Alert, labels: dict[str, Labels]
) -> None:
    given = output_labels(alert.expression, labels) | {"severity"}
    used = set(re.findall(r"\$labels\.(\w+)", alert.description))
    assert used <= given, f"the description uses {sorted(used - given)}"


def test_a_misspelt_metric_or_label_would_be_found(labels: dict[str, Labels]) -> None:
    for wrong in (
        "rate(aws_cis_rot_usage_total[5m])",
        'aws_cis_root_usage_total{user_name="root"}',
        "sum by (usr) (aws_cis_root_usage_total)",
        "up / on (job, rule) metric_filter_exporter_series",
    ):
        with pytest.raises(AssertionError):
            output_labels(wrong, labels)
    with pytest.raises(ValueError, match="expected type"):
        parse("rate(up)")


@each_alert
def test_counters_are_only_looked_at_through_their_increase(alert: Alert) -> None:
    for selector in selectors(alert.expression):
        name = str(selector.name)
        if name.endswith(("_total", "_bucket", "_sum", "_count")):
            assert re.search(
                rf"(increase|rate|(last|min)_over_time)\(\s*{name}({{[^}}]*}})?\[", alert.expression
            ), f"{name} is a counter"


def test_alerts_with_a_number_count_as_the_dashboards_do() -> None:
    from generator.queries import grown  # noqa: PLC0415

    counted = 0
    for rule in (rule for path in rule_files() for rule in rules_of(path)):
        lowest = re.findall(r"min_over_time\((\w+_total(?:{[^}]*})?)\[(\w+)\]\)", rule["expr"])
        expression = str(parse(rule["expr"]))
        for selector, window in lowest:
            growth = str(parse(grown(selector, "without (instance, pod)", window)))
            assert growth.removeprefix("(").removesuffix(")") in expression, rule
            counted += 1
        with_number = 'printf "%.0f"' in rule.get("annotations", {}).get("description", "")
        recorded = ":increase15m" in expression or "changes(" in expression
        assert lowest or recorded or not with_number, f"{rule['alert']} does not count"
    assert counted


def test_an_alert_selects_only_labels_that_keep_their_values_past_max_series() -> None:
    """Whoever can invent users or addresses must not be able to silence an alert."""
    unbounded = {
        (rule["metric"], name)
        for pack in PACKS.glob("*.yaml")
        for rule in pack_rules(pack.stem)
        for name, value in rule.get("labels", {}).items()
        if isinstance(value, dict) and value.get("unbounded")
    }
    assert ("aws_cis_root_usage_total", "source_ip") in unbounded
    selected = {
        (str(selector.name), matcher.name)
        for path in rule_files()
        for rule in rules_of(path)
        for selector in selectors(rule["expr"])
        for matcher in selector.matchers.matchers
    }
    assert ("aws_security_console_logins_total", "result") in selected
    assert not selected & unbounded


def test_alerts_compare_with_the_thresholds_of_their_pack() -> None:
    """Also where Prometheus has none, from an earlier exporter.

    An alert that yields to one of another pack compares with that pack's threshold, too.
    """
    every = {
        name: value
        for pack in PACKS.glob("*.yaml")
        for name, value in pack_thresholds(pack.stem).items()
    }
    for path in rule_files():
        given = re.findall(
            r'scalar\(max\(last_over_time\(metric_filter_threshold\{name="(\w+)", account_id=""\}'
            r"\[5m\]\)\) or vector\(([\d.]+)\)\)",
            path.read_text(),
        )
        named = re.findall(r'metric_filter_threshold\{name="(\w+)"', path.read_text())
        assert set(named) == {name for name, _ in given}
        if (PACKS / path.name).exists():
            used = {name: every[name] for name, _ in given}
            assert {name: float(value) for name, value in given} == used
            assert pack_thresholds(path.stem).keys() <= used.keys()


def test_what_holds_an_alert_back_lasts_as_long_as_the_counts_do() -> None:
    """The counts are those of the last five minutes, also while a scrape fails or a pod starts."""
    for path in rule_files():
        text = re.sub("^ *#.*", "", path.read_text(), flags=re.MULTILINE)
        for metric in ("metric_filter_threshold", "metric_filter_exporter_partition_catching_up"):
            lasting = rf"last_over_time\({metric}(\{{[^}}]*\}})?\[5m\]\)"
            assert len(re.findall(lasting, text)) == text.count(metric), path


def test_each_control_of_the_cis_benchmark_has_an_alert() -> None:
    found = set().union(*(watched(alert) for alert in ALL if alert.group == "cis-aws-foundations"))
    assert {rule["metric"] for rule in pack_rules("cis-aws-foundations")} <= found


@each_name
def test_the_table_of_alerts_has_it(name: str) -> None:
    (row,) = re.findall(
        rf"^\| \[{name}\]\(runbooks/{name}\.md\) \| ([\w, ]+) \|",
        (ROOT / "docs" / "alerts.md").read_text(),
        re.MULTILINE,
    )
    severities = [alert.severity for alert in ALL if alert.name == name]
    assert sorted(row.split(", ")) == sorted(severities)


def test_the_table_says_which_alert_an_alert_yields_to() -> None:
    """For cis-aws-foundations, which yields to all other packs, the text above the table does."""
    text = (ROOT / "docs" / "alerts.md").read_text()
    own = {one: {str(selector.name) for selector in deciding(one.expression)} for one in ALL}
    missing = []
    for alert in ALL:
        if alert.group in ("exporter", "cis-aws-foundations") and alert.name != "AwsCisRootUsage":
            continue
        (row,) = re.findall(rf"^\| \[{alert.name}\].*", text, re.MULTILINE)
        named = {str(selector.name) for selector in selectors(alert.expression)}
        for metric in named - own[alert]:
            greater = {one.name for one in ALL if metric in own[one]} - {alert.name}
            of_rules = not metric.startswith("metric_filter_")
            if of_rules and greater and not any(name in row for name in greater):
                missing.append(f"{alert.name}: {metric} of {', '.join(sorted(greater))}")
    assert missing == []


def test_the_table_has_no_other_alerts() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    assert sorted(re.findall(r"\]\(runbooks/(\w+)\.md\) \|", text)) == NAMES


def test_the_expressions_in_the_documentation_can_be_used(labels: dict[str, Labels]) -> None:
    pages = [ROOT / "docs" / "alerts.md", *runbook_pages()]
    blocks = 0
    for page in pages:
        for block in re.findall(r"```promql\n(.*?)```", page.read_text(), re.DOTALL):
            blocks += 1
            for expression in block.strip().split("\n\n"):
                output_labels(expression, labels)
    assert blocks


def test_the_filter_patterns_in_the_runbooks_are_some() -> None:
    patterns = [
        (path.stem, pattern)
        for path in runbook_pages()
        for pattern in re.findall(r"--filter-pattern '(.*?)' ", path.read_text())
    ]
    assert patterns
    for runbook, text in patterns:
        pattern = compile_pattern(text)
        assert not pattern.warnings, f"{runbook}: {pattern.warnings}"


def test_rule_files_are_named_after_what_they_are_for() -> None:
    assert {path.stem for path in rule_files()} <= set(PREFIXES)
