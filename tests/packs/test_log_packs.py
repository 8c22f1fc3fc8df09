"""The packs for logs beside each other: each sees the lines that it is for, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from exporter.configuration import RuleConfig, load
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.ruletests import load_rule_tests
from exporter.sources.log_groups import LOG_GROUP
from tests.support.tools import ROOT

FOLDER = ROOT / "config" / "rules"
BASE_UNITS = ("_seconds", "_bytes")
GATEWAY = {"api-gateway", "http-access"}
"""Both read the CLF that API Gateway proposes, as their descriptions say."""
MEANT_FOR = {"CLF": GATEWAY, "API Gateway's format": GATEWAY, "a Network Load": {"nlb-access"}}
"""Packs that read a line of another one's tests, by the beginning of the test's name."""


def log_packs() -> list[str]:
    """Names of the packs that are not for CloudTrail."""
    return [
        path.stem
        for path in sorted(FOLDER.glob("*.yaml"))
        if "\nformat: lines\n" in path.read_text(encoding="utf-8")
    ]


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> tuple[RuleConfig, ...]:
    path: Path = tmp_path_factory.mktemp("packs") / "config.yaml"
    source = {"name": "logs", "type": "log_groups", "log_groups": ["*"]}
    path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": log_packs()}))
    return load([path]).rules


@pytest.mark.parametrize("pack", log_packs())
def test_the_events_of_one_pack_are_none_of_another(
    rules: tuple[RuleConfig, ...], pack: str
) -> None:
    others = RuleSet.of([rule for rule in rules if rule.pack != pack])
    pack_of = {rule.name: rule.pack for rule in rules}
    partition = Partition("logs", "123456789012", "eu-west-1", resource="/all", kind=LOG_GROUP)
    tests = load_rule_tests(FOLDER / "tests" / f"{pack}.test.yaml").file
    assert tests is not None
    mistaken = [
        (increment.rule, test.name)
        for test in tests.tests
        for message in test.messages
        for increment in others.evaluate([LogEvent(message, 1, "1")], partition, "auto").increments
        if not any(
            test.name.startswith(name) and pack_of[increment.rule] in packs
            for name, packs in MEANT_FOR.items()
        )
    ]
    assert mistaken == []


def test_metrics_are_in_base_units_and_named_after_their_pack(
    rules: tuple[RuleConfig, ...],
) -> None:
    for rule in rules:
        assert rule.metric.startswith(f"{str(rule.pack).split('-')[0]}_"), rule.name
        if rule.type == "histogram":
            assert rule.metric.endswith(BASE_UNITS), rule.name


def test_labels_that_come_from_events_have_a_limit_of_their_own(
    rules: tuple[RuleConfig, ...],
) -> None:
    unlimited = [
        rule.name
        for rule in rules
        if rule.max_series == 1000 and any(label.references for label in rule.labels.values())
    ]
    assert unlimited == []
