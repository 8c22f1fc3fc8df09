"""Each rule of the packs, past its ``max_series``."""

from __future__ import annotations

from pathlib import Path

from exporter.configuration import load
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


def test_only_labels_that_are_marked_lose_their_values(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "sources: [{name: logs, type: log_groups, log_groups: [a], format: auto}]\n"
        f"rule_packs: [{', '.join(available_packs())}]\n"
    )
    for config in load([path]).rules:
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
