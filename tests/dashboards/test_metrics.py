"""Dashboards ask only for what exists: metrics, labels, rules."""

from __future__ import annotations

import re
from typing import Any, Final

import promql_parser as promql
import pytest

from tests.support.alerting import PACKS, alerts, metric_labels, pack_rules
from tests.support.dashboards import Dashboard
from tests.support.promql import Labels, output_labels, selectors

_USUAL: Final = "metric_filter_matches_total"
"""The metric that a rule has which names none."""
_CHOSEN: Final = {"rule": "cis_root_usage", "metric": f"aws_cis_root_usage_total|{_USUAL}"}
_SCRAPED: Final = frozenset({"job", "instance"})


@pytest.fixture(scope="module")
def known() -> dict[str, Labels]:
    """The labels of every metric; beside the project's own, those that Prometheus makes."""
    labels = metric_labels()
    of_alerts = [output_labels(alert.expression, labels) for alert in alerts()]
    made = frozenset({"alertname", "alertstate", "severity"})
    return {
        **labels,
        _USUAL: labels["aws_cis_root_usage_total"] | {"rule"},
        "ALERTS": made.union(*of_alerts),
        "scrape_samples_scraped": _SCRAPED,
        "scrape_duration_seconds": _SCRAPED,
    }


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    return {rule["name"]: rule for path in PACKS.glob("*.yaml") for rule in pack_rules(path.stem)}


def test_metrics_and_labels_exist(dashboard: Dashboard, known: dict[str, Labels]) -> None:
    for query in dashboard.panel_queries(_CHOSEN):
        try:
            output_labels(query.expression, known)
        except AssertionError as error:
            raise AssertionError(f"{query}: {error}") from error
    for annotation in dashboard.annotation_queries(_CHOSEN):
        output_labels(annotation.expression, known)


def test_variables_take_their_values_from_labels_that_exist(
    dashboard: Dashboard, known: dict[str, Labels]
) -> None:
    for query in dashboard.variable_queries(_CHOSEN):
        assert query.label in output_labels(query.selector, known), str(query)


def test_legends_and_columns_name_labels_that_the_answers_have(
    dashboard: Dashboard, known: dict[str, Labels]
) -> None:
    answers: dict[tuple[str, str], Labels] = {
        (query.panel, query.ref): output_labels(query.expression, known)
        for query in dashboard.panel_queries(_CHOSEN)
    }
    for panel in dashboard.panels:
        targets = panel.get("targets", ())
        for target in targets:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert named <= answers[panel["title"], target["refId"]], (panel["title"], named)
        if panel["type"] == "table":
            columns = panel["transformations"][-1]["options"]["renameByName"]
            values = {"Value", *(f"Value #{target['refId']}" for target in targets)}
            every = values.union(*(answers[panel["title"], t["refId"]] for t in targets))
            assert set(columns) <= every, (panel["title"], set(columns) - every)


def test_rules_that_are_named_exist(dashboard: Dashboard, rules: dict[str, dict[str, Any]]) -> None:
    for query in dashboard.panel_queries(_CHOSEN):
        for selector in selectors(query.expression):
            if str(selector.name).startswith("metric_filter"):
                _assert_rules_exist(selector, rules)


def _assert_rules_exist(selector: promql.VectorSelector, rules: dict[str, dict[str, Any]]) -> None:
    for matcher in selector.matchers.matchers:
        if matcher.name != "rule":
            continue
        named = str(matcher.value)
        if re.fullmatch(r"[\w|]+", named):
            assert set(named.split("|")) <= set(rules), named
        else:
            assert any(re.fullmatch(named, rule) for rule in rules), named


def test_every_rule_of_the_cloudtrail_packs_can_be_seen(
    rules: dict[str, dict[str, Any]],
) -> None:
    from generator.trail_rules import PREFIXES, RULES  # noqa: PLC0415

    packs = [path.stem for path in PACKS.glob("*.yaml")]
    trail = [pack for pack in packs if pack.startswith(("cis-", "cloudtrail-", "aws-findings"))]
    assert set(RULES) == {rule["name"] for pack in trail for rule in pack_rules(pack)}
    assert set(RULES) <= set(rules)
    assert all(re.match(f"({PREFIXES})_", name) for name in RULES)


def test_every_log_pack_has_a_place(rules: dict[str, dict[str, Any]]) -> None:
    from generator.log_rules import PREFIXES, RULES  # noqa: PLC0415
    from generator.trail_rules import RULES as TRAIL_RULES  # noqa: PLC0415

    rest = set(rules) - set(TRAIL_RULES)
    assert set(RULES) == rest
    assert all(re.match(f"({PREFIXES})_", name) for name in rest)
