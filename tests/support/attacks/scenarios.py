"""Scenarios: attacks as sequences of events, in tests/attacks/scenarios/*.yaml.

- name: an access key for another user
  attack: T1098.001      # a technique of ATT&CK, or several
  actor: stolen_key      # who acts
  steps:                 # see steps.py
    - {call: iam:CreateAccessKey, request: {userName: admin}}
  alerts: [AwsSecurityAccessKeysCreated]  # one of them fires, or any if none is named
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

import yaml

from tests.support.attacks.actors import filled
from tests.support.attacks.played import Logged
from tests.support.attacks.steps import templates
from tests.support.tools import ROOT

SCENARIOS: Final = ROOT / "tests" / "attacks" / "scenarios"
_PAUSE: Final = 10.0
_FIRST_ACCOUNT: Final = 300_000_000_000


@dataclass(frozen=True)
class Scenario:
    """An attack."""

    name: str
    attack: Sequence[str]
    """Its techniques."""
    alerts: frozenset[str]
    """One of them is expected as a warning or critical; any alert if there are none."""
    account: str
    """The account in which it happens; each scenario has its own."""
    steps: Sequence[tuple[float, str]]
    """Seconds after the start, and the template of a log event."""

    def expects(self, alerts: Set[str]) -> bool:
        """Whether these alerts, of severity warning or critical, are what is expected."""
        return bool(alerts & self.alerts if self.alerts else alerts)

    def events(self, start: float) -> list[Logged]:
        """Its events, if it starts then (seconds since the epoch)."""
        rng = random.Random(self.name)
        return [
            Logged(start + after, self.account, filled(text, start + after, rng, self.account, {}))
            for after, text in self.steps
        ]


def scenarios() -> list[Scenario]:
    """All scenarios. Raises ValueError for one that cannot be read."""
    found: list[Scenario] = []
    for path in sorted(SCENARIOS.glob("*.yaml")):
        for entry in yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader):
            try:
                found.append(_scenario(entry, str(_FIRST_ACCOUNT + len(found))))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: {entry.get('name')}: {error!r}") from error
    return found


def _scenario(entry: Mapping[str, Any], account: str) -> Scenario:
    attack = entry["attack"]
    return Scenario(
        entry["name"],
        [attack] if isinstance(attack, str) else attack,
        frozenset(entry.get("alerts", ())),
        account,
        templates(entry["steps"], entry["actor"], pause=_PAUSE),
    )
