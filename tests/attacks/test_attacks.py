"""The project's attacks alert, and the busiest hour of a quiet day does not.

In the exporter's own parts and a real Prometheus, within two hours of a set clock. ``python -m
bench.detections`` has the whole day.
"""

from __future__ import annotations

import re

import pytest
import yaml

from tests.support.alerting import PACKS, alerts
from tests.support.attacks.judged import notifications
from tests.support.attacks.runs import (
    ANY_DAY,
    MOST_OF_ROOT,
    MOST_WARNINGS,
    ROOT,
    Outcome,
    packs,
    short_run,
)
from tests.support.attacks.scenarios import Scenario, scenarios
from tests.support.tools import PrometheusBinaries

ATTACKS = scenarios()


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """All scenarios, a session as root and the busiest hour, judged once."""
    return short_run(PrometheusBinaries.find("3"), tmp_path_factory.mktemp("played"), ATTACKS)


def test_each_attack_matches_a_rule(outcome: Outcome) -> None:
    assert [one.name for one in ATTACKS if not outcome.matched.get(one.account)] == []


def test_each_attack_fires_an_alert_of_severity_warning_or_critical(outcome: Outcome) -> None:
    missed = {one.name: outcome.loud(one.account) for one in ATTACKS if _is_missed(one, outcome)}
    assert missed == {}


def test_a_session_as_root_is_few_alerts(outcome: Outcome) -> None:
    fired = [(one.alert, one.labels) for one in outcome.of(ROOT) if one.severity != "info"]
    assert 0 < len(fired) <= MOST_OF_ROOT, fired


def test_the_busiest_hour_of_a_quiet_day_pages_nobody(outcome: Outcome) -> None:
    counts = notifications(outcome.of(ANY_DAY))
    assert [alert for severity, alert in counts if severity == "critical"] == []
    warnings = {alert: n for (severity, alert), n in counts.items() if severity == "warning"}
    assert sum(warnings.values()) <= MOST_WARNINGS, warnings


def test_each_technique_of_the_packs_has_an_attack() -> None:
    named = {
        technique
        for pack in packs()
        for rule in yaml.load((PACKS / f"{pack}.yaml").read_text(), yaml.CSafeLoader)["rules"]
        for technique in re.findall(r"T\d{4}(?:\.\d{3})?", str(rule.get("controls", {})))
    }
    assert named - {technique for one in ATTACKS for technique in one.attack} == set()


def test_attacks_expect_alerts_that_exist() -> None:
    known = {one.name for one in alerts()}
    assert {name for one in ATTACKS for name in one.alerts} - known == set()


def _is_missed(one: Scenario, outcome: Outcome) -> bool:
    return not one.expects(outcome.loud(one.account))
