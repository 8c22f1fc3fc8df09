"""Drills: events that the rule packs match, so each of their rules has matches in the demo.

The events are those of the packs' own rule tests, made new: another id, and the time is now.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from exporter.configuration.packs import available_packs
from exporter.ruletests.loading import load_rule_tests
from exporter.ruletests.models import RuleTest
from metric_filter_demo.log_lines import ACCESS, Line

LOG_GROUPS = {
    "aws-findings": "/aws/events/findings",
    "api-gateway": "/aws/apigateway/shop",
    "ecs": "/aws/events/ecs",
    "eks-audit": "/aws/eks/shop/cluster",
    "emf": "/aws/lambda-insights",
    "http-access": ACCESS,
    "lambda": "/aws/lambda/orders",
    "linux-syslog": "/ec2/syslog",
    "network-firewall": "/network-firewall/egress",
    "nlb-access": "/nlb/access",
    "rds-mysql": "/aws/rds/instance/shop/error",
    "rds-postgresql": "/aws/rds/instance/ledger/postgresql",
    "route53-resolver": "/aws/route53/resolver/shop",
    "step-functions": "/aws/vendedlogs/states/orders",
    "vpc-flow-logs": "/vpc/flow-logs",
    "waf": "aws-waf-logs-shop",
}
"""The log group of each pack whose events are no CloudTrail records."""


@dataclass(frozen=True, slots=True)
class Drill:
    """Something that at least one rule of a pack matches."""

    pack: str
    messages: tuple[str, ...]
    rules: frozenset[str]

    @property
    def is_record(self) -> bool:
        """Whether its events are CloudTrail records."""
        return self.pack not in LOG_GROUPS

    def records(self, regions: Sequence[str], account: str) -> list[dict[str, Any]]:
        """Its CloudTrail records, as if they happened now."""
        return [
            _renewed(json.loads(message), regions, account) | {"eventTime": _now()}
            for message in self.messages
        ]

    def lines(self) -> list[Line]:
        """Its log lines."""
        group = LOG_GROUPS[self.pack]
        return [Line(group, "drill", _as_if_sent_now(message)) for message in self.messages]


@cache
def drills() -> tuple[Drill, ...]:
    """For each rule of each pack the first test that it matches, and of a refused or failed call.

    One may serve several rules.

    Raises RuntimeError if a pack's tests cannot be read.
    """
    found: list[Drill] = []
    for pack, path in available_packs().items():
        loaded = load_rule_tests(path.parent / "tests" / f"{pack}.test.yaml")
        if loaded.file is None:
            raise RuntimeError("\n".join(problem.render() for problem in loaded.problems))
        found += _covering(pack, loaded.file.tests)
    return tuple(found)


def endless(drills: Sequence[Drill], rng: random.Random) -> Iterator[Drill]:
    """The drills in an endless cycle, each time in another order."""
    while True:
        yield from rng.sample(drills, len(drills))


def _covering(pack: str, tests: Sequence[RuleTest]) -> Iterator[Drill]:
    covered: set[tuple[str, bool]] = set()
    for test in tests:
        # Alerts tell calls that were refused or failed from others.
        kinds = {(one.rule, _failed(one.labels)) for one in test.matches}
        if not kinds <= covered:
            covered |= kinds
            yield Drill(pack, test.messages, frozenset(rule for rule, _ in kinds))


def _failed(labels: Mapping[str, str]) -> bool:
    return bool(labels.get("error_code")) or labels.get("result") == "Failure"


def _as_if_sent_now(message: str) -> str:
    """An envelope of EventBridge with another id and time; every other message as it is."""
    if '"detail-type"' not in message:
        return message
    return json.dumps(json.loads(message) | {"id": str(uuid.uuid4()), "time": _now()})


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _renewed(record: dict[str, Any], regions: Sequence[str], account: str) -> dict[str, Any]:
    region = record.get("awsRegion")
    return record | {
        "eventID": str(uuid.uuid4()),
        "recipientAccountId": account,
        "awsRegion": region if region in regions else regions[0],
    }
