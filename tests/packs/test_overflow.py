"""Each rule of the packs, past its ``max_series``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from exporter.configuration import RuleConfig, load
from exporter.configuration.packs import available_packs
from exporter.ledger.counting import Placement, RuleSpec
from exporter.ledger.rules import definition_of
from exporter.ledger.tally import Tally
from exporter.model import OVERFLOW, JudgedEvent, Partition
from exporter.rules.places import Place
from exporter.rules.rule import Rule, definition

TRAIL = Partition("trail", "111122223333", "eu-west-1")
PLACE = Place.of("111122223333", "eu-west-1", TRAIL)
LIMIT = 3
ANYONES = {"user", "source_ip", "bucket", "role", "target", "target_user", "function", "route"}
"""Labels whose values a caller chooses."""


@pytest.fixture
def rules(tmp_path: Path) -> Sequence[RuleConfig]:
    """The rules of all packs."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources: [{name: logs, type: log_groups, log_groups: [a], format: auto}]\n"
        f"rule_packs: [{', '.join(available_packs())}]\n"
    )
    return load([path]).rules


def test_labels_that_a_caller_chooses_are_marked(rules: Sequence[RuleConfig]) -> None:
    unmarked = [
        (rule.name, name)
        for rule in rules
        for name, label in rule.labels.items()
        if name in ANYONES and label.references and not label.unbounded
    ]
    assert unmarked == []


def test_only_labels_that_are_marked_lose_their_values(rules: Sequence[RuleConfig]) -> None:
    for config in rules:
        rule = Rule.of(config.name, definition(config), {config.pattern: config.compiled})
        marked = {name for name, label in config.labels.items() if label.unbounded}
        if not marked:
            continue
        unbounded = definition_of(definition(config)).unbounded
        spec = RuleSpec(LIMIT, config.buckets, unbounded)
        placement = Placement({(rule.name, rule.metric): spec}, now=0)
        for number in range(LIMIT + 2):
            given = {True: str(number), False: str(number > LIMIT)}
            values = [given[name in marked] for name in rule.dynamic]
            increment = rule.increment_at(PLACE, values, 1.0)
            event = JudgedEvent(None, "", 0, 0, frozenset([rule.name]), (increment,))
            placement.add("trail", "", Tally.of([event]))
        last = dict(list(placement.changed_series)[-1].labels)
        expected = {name: OVERFLOW if name in marked else "True" for name in rule.dynamic}
        assert {name: last[name] for name in rule.dynamic} == expected, rule.name
