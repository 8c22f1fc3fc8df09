"""Scenarios: attacks as sequences of events, in tests/attacks/scenarios/*.yaml.

Each says what the attacker does and which alerts are expected::

    - name: an access key for another user
      attack: T1098.001           # a technique of ATT&CK, or several
      actor: stolen_key           # who calls; see ACTORS
      steps:
        - call: iam:CreateAccessKey
          request: {userName: admin}
        - call: s3:GetObject      # 40 times, one every 5 seconds, refused
          at: 120                 # seconds after the start; default: 10 after the one before
          times: 40
          every: 5
          error: AccessDenied
          read: true
      alerts: [AwsSecurityAccessKeysCreated]  # at least one of them fires, as warning or critical

A step may name another ``actor``, the ``response`` and a ``region``, and has more fields of the
record in ``extra``. ``sign_in: {mfa: false, failed: true}`` is a sign-in to the console.
``event`` is a log event that is no record of CloudTrail, as it stands. ``#`` in a string is the
number of the time.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from metric_filter_demo.trail_records import Caller
from tests.support.attacks import actors
from tests.support.attacks.actors import ELSEWHERE, call, filled, sign_in
from tests.support.attacks.played import Logged
from tests.support.tools import ROOT

SCENARIOS: Final = ROOT / "tests" / "attacks" / "scenarios"
ACTORS: Final[Mapping[str, Caller]] = {
    "stolen_key": actors.user("ci-deploy", ELSEWHERE),
    "console_user": actors.console_user("maya.okafor", ELSEWHERE),
    "console_user_without_mfa": actors.console_user("maya.okafor", ELSEWHERE, mfa=False),
    "role": actors.role("app-deploy", "deploy-42", ELSEWHERE),
    "person": actors.person("tomas", address=ELSEWHERE),
    "root": actors.root(ELSEWHERE),
    "instance": actors.instance("web-instance", "i-0abcdef0123456789", "10.0.4.17"),
    "stolen_instance": actors.instance("web-instance", "i-0abcdef0123456789", ELSEWHERE),
    "function": actors.role("orders-function", "orders", "10.0.9.3"),
    "stolen_function": actors.role("orders-function", "orders", ELSEWHERE),
    "foreign": actors.foreign(),
    "anonymous": Caller(
        {"type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL"}, ELSEWHERE
    ),
}
"""By name, who may call."""
_PAUSE: Final = 10.0
_STEP: Final = frozenset(
    "call actor request response error read region extra sign_in event at times every".split()
)
_FIRST_ACCOUNT: Final = 300_000_000_000


@dataclass(frozen=True)
class Scenario:
    """An attack."""

    name: str
    attack: Sequence[str]
    """Its techniques."""
    alerts: frozenset[str]
    """At least one of them is expected."""
    account: str
    """The account in which it happens; each scenario has its own."""
    steps: Sequence[tuple[float, str]]
    """Seconds after the start, and the template of a log event."""

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
            account = str(_FIRST_ACCOUNT + len(found))
            try:
                found.append(_scenario(entry, account))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path.name}: {entry.get('name')}: {error!r}") from error
    return found


def _scenario(entry: Mapping[str, Any], account: str) -> Scenario:
    steps, at = [], 0.0
    for step in entry["steps"]:
        if unknown := step.keys() - _STEP:
            raise ValueError(f"unknown keys of a step: {', '.join(sorted(unknown))}")
        at = float(step.get("at", at))
        every = float(step.get("every", _PAUSE))
        for number in range(step.get("times", 1)):
            steps.append((at, _text(step, entry["actor"]).replace("#", str(number))))
            at += every
    attack = entry["attack"]
    return Scenario(
        entry["name"],
        [attack] if isinstance(attack, str) else attack,
        frozenset(entry["alerts"]),
        account,
        steps,
    )


def _text(step: Mapping[str, Any], actor: str) -> str:
    if "event" in step:
        return json.dumps(step["event"])
    caller = ACTORS[step.get("actor", actor)]
    if "sign_in" in step:
        return sign_in(caller, **step["sign_in"])
    code = step.get("error")
    return call(
        caller,
        step["call"],
        region=step.get("region", ""),
        extra=step.get("extra"),
        read_only=step.get("read", False),
        request=step.get("request"),
        response=step.get("response"),
        error=(code, "is not authorized to perform this action") if code else None,
    )
