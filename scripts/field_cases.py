#!/usr/bin/env python
"""What the packs count in the field's cases, beside what they should count.

``python -m scripts.field_cases [--pack NAME] [--all] [FILE]`` prints the cases that differ
(``--all``: all) and a total for each pack; the exit code is 1 if one differs. FILE is one of cases
as ../shared/field/README.md describes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from exporter.configuration import RuleConfig
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP
from scripts import field_files, pack_rules

DEFAULT = Path(__file__).parents[2] / "shared" / "field" / "cases.jsonl"
_PLACE = Partition("logs", "123456789012", "eu-west-1", resource="/field", kind=LOG_GROUP)

Counts = Mapping[str, Mapping[str, float]]
"""By metric, then by labels (``name=value,…``; empty: over all labels)."""


@cache
def rules_of(pack: str) -> tuple[tuple[RuleConfig, ...], RuleSet]:
    """The rules of a shipped pack."""
    rules = pack_rules.rules_of([pack])
    return rules, RuleSet.of(rules)


def counted(pack: str, messages: Iterable[str]) -> list[tuple[str, dict[str, str], float]]:
    """Metric, labels and increment of each match of a pack's rules."""
    rules, rule_set = rules_of(pack)
    by_name = {rule.name: rule for rule in rules}
    found = []
    for number, message in enumerate(messages):
        event = LogEvent(message, time=number, id=str(number))
        for one in rule_set.evaluate([event], _PLACE, "auto").increments:
            rule, labels = by_name[one.rule], dict(one.series.labels)
            if one.value is None:
                continue
            if rule.type == "histogram":
                found.append((f"{rule.metric}_count", labels, 1.0))
                found.append((f"{rule.metric}_sum", labels, one.value))
            else:
                found.append((rule.metric, labels, one.value))
    return found


def messages_of(case: Mapping[str, Any]) -> list[str]:
    """The log events of a case."""
    return [json.dumps(case["record"])] if "record" in case else list(case["lines"])


def differences(case: Mapping[str, Any]) -> list[str]:
    """How a case differs from what it should count."""
    if case["pack"] == "files":
        found = field_files.counted(case)
    else:
        found = counted(case["pack"], messages_of(case))
    if isinstance(case["want"], str):
        return [] if found else [f"nothing counted; should be: {case['want']}"]
    different = []
    for metric, wanted in case["want"].items():
        for selector, amount in wanted.items():
            pairs = dict(one.split("=", 1) for one in selector.split(",") if one)
            got = sum(
                value
                for name, labels, value in found
                if name == metric and pairs.items() <= labels.items()
            )
            if abs(got - amount) > 1e-6 * max(1, abs(amount)):
                different.append(f"{metric}{{{selector}}}: {got:g}, should be {amount:g}")
    return different


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--pack")
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for line in options.file.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        pack = case["pack"]
        if options.pack not in (None, pack):
            continue
        different = differences(case)
        total[pack] += 1
        right[pack] += not different
        if different or options.all:
            print(f"{'right' if not different else 'WRONG'}  {case['id']} ({case['kind']})")
            for one in different:
                print(f"       {one}")
    for pack in sorted(total):
        print(f"{pack:24} {right[pack]:3} of {total[pack]}")
    print(f"{'all':24} {right.total():3} of {total.total()}")
    return int(right.total() < total.total())


if __name__ == "__main__":
    sys.exit(main())
