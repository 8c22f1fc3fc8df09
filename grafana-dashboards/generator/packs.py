"""The rule packs: dashboards use their metrics and titles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parents[2] / "config" / "rules"


@dataclass(frozen=True)
class Rule:
    """The parts of a rule that dashboards use."""

    name: str
    title: str
    severity: str
    metric: str
    labels: frozenset[str]


class Pack:
    """A rule pack, by its name."""

    def __init__(self, name: str) -> None:
        content: dict[str, Any] = yaml.load(
            (FOLDER / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader
        )
        self.name = name
        self.rules = [
            Rule(
                rule["name"],
                rule.get("title", rule["name"]),
                rule.get("severity", ""),
                rule["metric"],
                frozenset(rule.get("labels", ())),
            )
            for rule in content["rules"]
        ]
        self._by_name = {rule.name: rule for rule in self.rules}

    def __getitem__(self, rule: str) -> Rule:
        """The rule of the name; KeyError if the pack has none."""
        return self._by_name[rule]
