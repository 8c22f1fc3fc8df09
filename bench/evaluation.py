"""The cost of a log event in the rule set, compared with hand-written Python for the same rules.

The 17 CIS filters of tests/support/cis.py on CloudTrail records (made by the demo's traffic), in
CPU time, side by side in one run; the peer decodes with ``json`` and evaluates plain conditions.

    python bench/evaluation.py
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from exporter.configuration import load
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from metric_filter_demo.activities import Account
from tests.support.cis import INDEPENDENT, PATTERNS

ROUNDS = 9
EVENTS = 5_000


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call."""
    began = time.process_time()
    work()
    return time.process_time() - began


def messages() -> list[str]:
    """CloudTrail records as the demo's account makes them, in the proportions of its activities."""
    chance = random.Random(1)
    activities = Account(chance, "123456789012").activities()
    weights = [1 / activity.every for activity in activities]
    made: list[str] = []
    while len(made) < EVENTS:
        (activity,) = chance.choices(activities, weights)
        made += [json.dumps(record) for record in activity.act().records]
    return made[:EVENTS]


def rule_set() -> RuleSet:
    """The CIS filters, as a configuration has them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rules.yaml")
        rules = [{"name": name, "pattern": pattern} for name, pattern in PATTERNS.items()]
        source = {"name": "bench", "type": "files", "paths": ["none"]}
        path.write_text(yaml.safe_dump({"sources": [source], "rules": rules}))
        return RuleSet.of(load([path]).rules)


def by_hand(texts: list[str]) -> int:
    """The peer: decode, then try each condition."""
    matches = 0
    for text in texts:
        record = json.loads(text)
        matches += sum(matches_rule(record) for matches_rule in INDEPENDENT.values())
    return matches


def main() -> None:
    """Print the medians and the ratio; both must find the same number of matches."""
    texts = messages()
    events = [LogEvent(text, 0, str(n)) for n, text in enumerate(texts)]
    rules, partition = rule_set(), Partition("bench")
    found = len(rules.evaluate(events, partition, "cloudtrail").increments)
    assert found == by_hand(texts), "the two do not agree"  # noqa: S101 - a benchmark is not a test
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(cpu(lambda: rules.evaluate(events, partition, "cloudtrail")) / len(events))
        theirs.append(cpu(lambda: by_hand(texts)) / len(events))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    print("| rules | events | matches | rule set, us/event | by hand, us/event | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    print(
        f"| {len(PATTERNS)} | {len(events)} | {found} | {statistics.median(ours) * 1e6:.1f} "
        f"| {statistics.median(theirs) * 1e6:.1f} | {ratio:.2f} |"
    )


if __name__ == "__main__":
    main()
