"""What the rules of packs count, rule by rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.sources.log_groups import LOG_GROUP
from scripts.pack_rules import rules_of

Counted = Callable[[str], Mapping[str, float | None]]
"""The increment of each rule that a log event matches; None for a value error."""

_PLACE = Partition("logs", "123456789012", "eu-west-1", resource="/logs", kind=LOG_GROUP)


def counted_by(packs: list[str]) -> Counted:
    """Load packs."""
    rules = RuleSet.of(rules_of(packs))

    def count(message: str) -> dict[str, float | None]:
        found = rules.evaluate([LogEvent(message, 1, "1")], _PLACE, "auto").increments
        return {one.rule: one.value for one in found}

    return count
