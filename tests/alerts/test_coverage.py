"""The controls of the rules, the page about them, and the layer of the ATT&CK Navigator."""

from __future__ import annotations

import json
import re
from functools import cache

from scripts import coverage as script
from scripts.coverage import LAYER, PAGE, Coverage, Rule, layer, misspelt, page
from tests.support.alerting import RUNBOOKS, alerts


@cache
def read_coverage() -> Coverage:
    return script.read_coverage()


def test_the_page_and_the_layer_are_what_the_rules_say() -> None:
    written = script.outputs(read_coverage())
    stale = [path.name for path, text in written.items() if path.read_text() != text]
    assert stale == [], "run scripts/coverage.py"


def test_each_rule_has_controls_of_a_known_form() -> None:
    assert misspelt(read_coverage().rules) == []


def test_each_rule_has_a_control_of_nist_and_each_of_an_attack_its_technique() -> None:
    rules = read_coverage().rules
    assert [rule.name for rule in rules if "nist-800-53" not in rule.controls] == []
    attacks = ("critical", "high", "medium")
    without = [
        rule.name
        for rule in rules
        if rule.pack.startswith("cloudtrail-")
        and rule.severity in attacks
        and "attack" not in rule.controls
    ]
    assert without == ["security_insights"], "CloudTrail's insights are about any unusual activity"


def test_a_misspelt_control_would_be_found() -> None:
    controls = {
        "attack": ("T1078.4",),
        "security-hub": ("CloudWatch1",),
        "nist-800-53": ("AC-2 (4)",),
        "pci-dss": ("v10.2",),
        "cis-v3.0.0": ("4-1",),
        "iso": ("1",),
    }
    faults = misspelt([Rule("rule", "pack", "high", "rule_total", controls), rule_without()])
    assert len(faults) == len(controls) + 1


def rule_without() -> Rule:
    return Rule("other", "pack", "high", "other_total", {})


def test_what_security_hub_wants_watched_is_watched() -> None:
    coverage = read_coverage()
    expected = coverage.names["security-hub"]["expected"]
    assert set(expected) <= coverage.by_control("security-hub").keys()


def test_the_page_names_each_control_with_its_rules_and_alerts() -> None:
    text = PAGE.read_text()
    (row,) = re.findall(r"^\| CloudWatch\.5 \|.*", text, re.MULTILINE)
    assert "`cis_cloudtrail_configuration_changes`" in row
    assert "(runbooks/AwsCisCloudtrailConfigurationChanges.md)" in row
    linked = set(re.findall(r"\(runbooks/(\w+)\.md\)", text))
    assert linked <= {path.stem for path in RUNBOOKS.glob("*.md")}
    assert linked <= {alert.name for alert in alerts()}


def test_the_page_lists_cloud_techniques_without_a_rule() -> None:
    names = read_coverage().names
    rule = Rule("rule", "pack", "high", "rule_total", {"attack": ("T1537",)})
    text = page(Coverage([rule], {"rule": ["Alert"]}, names))
    missing = text.partition("### Cloud techniques without a rule")[2].partition("\n## ")[0]
    assert "T1530" in missing
    assert "T1537" not in missing


def test_the_names_of_controls_are_complete() -> None:
    coverage = read_coverage()
    hub = coverage.names["security-hub"]
    known = {
        "attack": coverage.techniques(),
        "security-hub": hub["expected"] | hub["other"],
        "nist-800-53": coverage.names["nist-800-53"],
        "pci-dss": coverage.names["pci-dss"],
    }
    nameless = {
        name: coverage.by_control(name).keys() - names.keys() for name, names in known.items()
    }
    assert not any(nameless.values()), f"scripts/coverage.yaml lacks {nameless}"


def test_the_layer_is_one_of_the_navigator() -> None:
    written = json.loads(LAYER.read_text())
    assert written["domain"] == "enterprise-attack"
    assert written["versions"]["layer"] == "4.5"
    ids = [one["techniqueID"] for one in written["techniques"]]
    assert len(ids) == len(set(ids)) > 0
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", one) for one in ids)
    scores = [one["score"] for one in written["techniques"]]
    assert 0 < min(scores) <= max(scores) == written["gradient"]["maxValue"]


def test_rules_of_one_metric_score_once() -> None:
    controls = {"attack": ("T1110",)}
    rules = [
        Rule("one", "pack", "low", "logins_total", controls),
        Rule("two", "pack", "high", "logins_total", controls),
        Rule("three", "pack", "info", "sessions_total", controls),
    ]
    (technique,) = layer(Coverage(rules, {"two": ["Alert"]}, {"attack": {"version": "18"}}))[
        "techniques"
    ]
    assert technique["score"] == 2
    assert technique["comment"] == "one, two, three"
    assert {"name": "severity", "value": "high"} in technique["metadata"]
    assert {"name": "alerts", "value": "Alert"} in technique["metadata"]
