"""The runbooks' generated parts: the alert, the labels that commands need, links, the index."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from scripts.runbooks import INDEX, RUNBOOKS, Alert, pages, read_alerts
from tests.support.alerting import alerts, pack_rules

NAMES = sorted({alert.name for alert in alerts()})


@cache
def written() -> list[Alert]:
    return read_alerts()


@cache
def page(name: str) -> str:
    return (RUNBOOKS / f"{name}.md").read_text()


def test_the_runbooks_and_their_index_are_what_the_alerts_and_packs_say() -> None:
    stale = [path.name for path, text in pages().items() if not same(path, text)]
    assert stale == [], "run scripts/runbooks.py"


def same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def test_the_index_has_every_alert_once_under_its_pack_the_worst_first() -> None:
    sections = re.split(r"^## ", INDEX.read_text(), flags=re.MULTILINE)[1:]
    rows = [
        re.findall(r"^\| (\w+)[, \w]* \| \[(\w+)\]\(\2\.md\)", s, re.MULTILINE) for s in sections
    ]
    assert sorted(name for section in rows for _, name in section) == NAMES
    order = ["critical", "warning", "info"]
    for section in rows:
        ranks = [order.index(severity) for severity, _ in section]
        assert ranks == sorted(ranks)
    groups = {alert.name: alert.group for alert in alerts()}
    assert [len({groups[name] for _, name in section}) for section in rows] == [1] * len(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_shows_each_expression_of_its_alert(name: str) -> None:
    for alert in alerts():
        if alert.name == name:
            assert f"```promql\n{alert.expression.strip()}\n```" in page(name)
            assert f"Severity `{alert.severity}`" in page(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_leads_to_others_that_exist_and_to_a_dashboard(name: str) -> None:
    related = re.search(r"^- Related: (.*)\.$", page(name), re.MULTILINE)
    assert related
    names = re.findall(r"\[(\w+)\]\(\1\.md\)", related[1])
    assert names
    assert set(names) <= set(NAMES) - {name}
    assert re.search(r"\(\.\./dashboards\.md#[a-z-]+\), `/d/mfe-", page(name))


def test_a_runbook_leads_to_those_that_it_names() -> None:
    assert "[MetricFilterExporterDiscoveryFailing](" in page("MetricFilterExporterSourceEmpty")
    assert "[MetricFilterExporterSourceEmpty](" in page("MetricFilterExporterDiscoveryFailing")


def test_the_addresses_of_rules_are_those_of_rules_that_the_alert_looks_at() -> None:
    known = {rule["name"] for alert in written() for rule in alert.rules}
    named = {rule for name in NAMES for rule in re.findall(r"`/rules/(\w+)`", page(name))}
    assert named <= known
    assert "`/rules/security_trail_tampering`" in page("AwsSecurityTrailTampering")
    assert "security_trail_tampering" in {r["name"] for r in pack_rules("cloudtrail-security")}


def test_a_runbook_does_not_name_rules_that_only_keep_its_alert_from_firing() -> None:
    alert = next(one for one in written() if one.name == "AwsCisIamPolicyChanges")
    assert [rule["name"] for rule in alert.rules] == ["cis_iam_policy_changes"]
    assert "security_admin_policy_attached" in {rule["name"] for rule in alert.yields_to}
    assert "`/rules/security_admin_policy_attached" not in page(alert.name)


def test_commands_use_the_region_of_the_alert_and_say_where_it_comes_from() -> None:
    for name in NAMES:
        text = page(name)
        assert not re.search(r"--region [a-z]", text), name
        if re.search(r"\baws [a-z0-9]+ [a-z]", text):
            before, _, after = text.partition('export AWS_REGION="$REGION"')
            assert after, name
            assert "REGION=…" in before, name
            assert not re.search(r"\baws [a-z0-9]+ [a-z-]+ ", before.partition("## Diagnosis")[2])
            alert = next(one for one in alerts() if one.name == name)
            if "$labels.region" in alert.description:
                assert "`region`" in before, name


def test_runbooks_of_global_services_name_their_region() -> None:
    for name in ("AwsCisIamPolicyChanges", "AwsCisRootUsage", "AwsSecurityOrganizationDepartures"):
        assert "`us-east-1` (`us-gov-west-1` in GovCloud" in page(name)
    assert "us-gov-west-1" not in page("AwsSecurityTrailTampering")
