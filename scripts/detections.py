#!/usr/bin/env python
"""Which rules of the packs match the events of ../shared/detections.

``python -m scripts.detections [--missed] [FILE]`` prints each case with the rules that count for it
(``--missed``: only cases without one) and the share. A rule counts if it matches the event, and
not the same event as a read: eventName DescribeThings, readOnly true, no parameters.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from exporter.configuration.packs import available_packs
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP
from scripts.pack_rules import rules_of

DEFAULT = Path(__file__).parents[2] / "shared" / "detections" / "missed.jsonl"
_PLACE = Partition("logs", "111122223333", "us-east-1", resource="/detections", kind=LOG_GROUP)


def every_rule() -> RuleSet:
    """The rules of all packs."""
    return RuleSet.of(rules_of(sorted(available_packs())))


def matching(rules: RuleSet, event: Mapping[str, Any]) -> set[str]:
    """The rules that match an event."""
    message = LogEvent(json.dumps(event), time=0, id="1")
    return {one.rule for one in rules.evaluate([message], _PLACE, "auto").increments}


def detecting(rules: RuleSet, event: Mapping[str, Any]) -> set[str]:
    """The rules that count for an event."""
    read = {"eventName": "DescribeThings", "readOnly": True, "requestParameters": {}}
    return matching(rules, event) - matching(rules, {**event, **read})


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--missed", action="store_true")
    options = parser.parse_args()
    rules, seen, total = every_rule(), 0, 0
    for line in options.file.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found = detecting(rules, case["event"])
        total += 1
        seen += bool(found)
        if not found or not options.missed:
            print(f"{case['case']:58} {', '.join(sorted(found)) or '-'}")
    print(f"{seen} of {total} ({seen / total:.0%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
