"""Alerts stay quiet where there is little to judge by, and say so in the documentation."""

from __future__ import annotations

import re

import promql_parser as promql
import pytest

from tests.support.alerting import PACKS, Alert, alerts, pack_thresholds
from tests.support.promql import parse, selectors
from tests.support.tools import ROOT

ALL = alerts()
SURGES = [alert for alert in ALL if alert.name.endswith("Surge")]
DOCUMENTATION = (ROOT / "docs" / "alerts.md").read_text()


def _operations(node: promql.Expr) -> list[promql.BinaryExpr]:
    found: list[promql.BinaryExpr] = []

    def visit(inner: promql.Expr) -> None:
        if isinstance(inner, promql.BinaryExpr):
            found.append(inner)

    promql.walk(node, visit)
    return found


def _is_share(operation: promql.BinaryExpr) -> bool:
    """A division by a rate, except for an average: the sum of a histogram by its count."""
    if str(operation.op) != "/" or "rate(" not in str(operation.rhs):
        return False
    names = [str(selector.name) for selector in selectors(str(operation.rhs))]
    return not all(name.endswith("_count") for name in names)


def _shares(expression: str) -> list[promql.BinaryExpr]:
    return [one for one in _operations(parse(expression)) if _is_share(one)]


def _has_least_volume(expression: str) -> bool:
    """Whether each share is one side of an ``and`` whose other side compares a count."""
    return all(
        any(
            str(one.op) == "and"
            and str(share) in str(one.lhs)
            and re.search(r"increase(\(|15m)", str(one.rhs))
            and re.search(r">=? ", str(one.rhs))
            for one in _operations(parse(expression))
        )
        for share in _shares(expression)
    )


RATIOS = [alert for alert in ALL if _shares(alert.expression)]


def test_ratios_are_recognized() -> None:
    assert {
        "HttpServerErrorRatioHigh",
        "LambdaMemoryNearLimit",
        "MetricFilterExporterThrottled",
    } <= {alert.name for alert in RATIOS}
    assert not _has_least_volume("rate(a_total[5m]) / rate(b_total[5m]) > 0.1")
    assert not _has_least_volume("rate(a_total[5m]) / rate(b_total[5m]) > 0.1 and up == 1")


@pytest.mark.parametrize("alert", RATIOS, ids=[f"{one.name}-{one.severity}" for one in RATIOS])
def test_a_ratio_alerts_only_above_a_number_of_events(alert: Alert) -> None:
    """One failure of two requests at night is half of them, and nobody needs to know."""
    assert _has_least_volume(alert.expression)


def _surge(rate: str, least: str, ceiling: str, by_default: str) -> str:
    return f"""
    (
      {rate} > {least}
      unless {rate} <= 5 * avg_over_time({rate}[1h] offset 23h30m)
      unless {rate} <= 5 * avg_over_time({rate}[1h] offset 6d23h30m)
      and (
        avg_over_time({rate}[1h] offset 23h30m) or avg_over_time({rate}[1h] offset 6d23h30m)
      )
      or {rate} >= on (account_id) group_left () (
        max by (account_id) (last_over_time(metric_filter_threshold{{name="{ceiling}"}}[5m])) / 900
      )
      or (
        {rate}
        unless on (account_id) last_over_time(metric_filter_threshold{{name="{ceiling}"}}[5m])
      )
      >= scalar(
        max(last_over_time(metric_filter_threshold{{name="{ceiling}", account_id=""}}[5m]))
        or vector({by_default})
      ) / 900
    )
    unless on (account_id, region, log_group)
    max by (account_id, region, log_group) (
      last_over_time(metric_filter_exporter_partition_catching_up[5m])
    ) == 1
    """


@pytest.mark.parametrize("alert", SURGES, ids=[alert.name for alert in SURGES])
def test_a_surge_is_against_the_same_hour_of_two_days_or_over_a_ceiling(alert: Alert) -> None:
    """waf.test.yaml shows what this form does over a day."""
    found = re.search(r"(\S+:rate15m) > (\S+)", alert.expression)
    ceiling = re.search(r'name="(\w+)"', alert.expression)
    assert found
    assert ceiling
    by_default = pack_thresholds(alert.group)[ceiling[1]]
    expected = _surge(found[1], found[2], ceiling[1], f"{by_default:.0f}")
    assert str(parse(alert.expression)) == str(parse(expected))
    assert f"the threshold {ceiling[1]}" in alert.description


def test_the_documentation_lists_every_threshold_with_its_default_and_alert() -> None:
    rows = re.findall(
        r"^\| (?:`([\w-]+)`)? ?\| `(\w+)` \| (\d+) \| (\w+) \|", DOCUMENTATION, re.MULTILINE
    )
    pack, documented = "", {}
    for of, name, default, alert in rows:
        pack = of or pack
        documented[pack, name] = float(default)
        (expression, *_) = [one.expression for one in ALL if one.name == alert]
        assert f'metric_filter_threshold{{name="{name}"' in expression, alert
    assert documented == {
        (path.stem, name): default
        for path in PACKS.glob("*.yaml")
        for name, default in pack_thresholds(path.stem).items()
    }


def test_a_threshold_belongs_to_one_pack() -> None:
    names = [name for path in PACKS.glob("*.yaml") for name in pack_thresholds(path.stem)]
    assert sorted(names) == sorted(set(names))
