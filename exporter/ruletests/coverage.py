"""How many tests each rule has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from exporter.configuration import RuleConfig
from exporter.ruletests.models import RuleTestFile


@dataclass(slots=True)
class Coverage:
    """A rule and its tests."""

    rule: RuleConfig
    matches: int = 0
    """Tests that expect it to match."""
    near_misses: int = 0
    """Tests that name it as a deliberate near miss."""


def coverage(files: Iterable[RuleTestFile]) -> list[Coverage]:
    """Count over files; a rule that several of them name is one rule."""
    found: dict[str, Coverage] = {}
    for file in files:
        of_name = {}
        for rule in file.rules:
            of_name[rule.name] = found.setdefault(str(rule.location), Coverage(rule))
        for test in file.tests:
            for name in {expected.rule for expected in test.matches}:
                of_name[name].matches += 1
            for name in set(test.no_match):
                of_name[name].near_misses += 1
    return list(found.values())
