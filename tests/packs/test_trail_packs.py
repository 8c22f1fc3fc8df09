"""In the packs for CloudTrail and Kubernetes, a thing counts once and free text decides nothing."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.configuration import RuleConfig, load
from exporter.model import LogEvent, Partition
from exporter.rules import RuleSet
from exporter.ruletests import load_rule_tests
from exporter.sources.log_groups import LOG_GROUP
from tests.support.tools import ROOT

FOLDER = ROOT / "config" / "rules"
PLACE = Partition("logs", "123456789012", "eu-west-1", resource="/all", kind=LOG_GROUP)
CALL: dict[str, Any] = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "IAMUser", "accountId": "123456789012", "userName": "alice"},
    "eventTime": "2026-03-02T09:15:00Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "DescribeInstances",
    "awsRegion": "eu-west-1",
    "sourceIPAddress": "192.0.2.44",
    "userAgent": "aws-cli/2.27.31",
    "requestParameters": {},
    "responseElements": None,
    "eventID": "0d5b4c1e-8f5a-4b61-9b77-6f6f3f1f0a01",
    "eventType": "AwsApiCall",
    "recipientAccountId": "123456789012",
}
REQUEST: dict[str, Any] = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "stage": "ResponseComplete",
    "requestURI": "/api/v1/namespaces/shop/pods",
    "verb": "create",
    "user": {"username": "alice"},
    "userAgent": "kubectl/v1.34.0",
    "objectRef": {"resource": "pods", "namespace": "shop", "name": "web-0"},
    "requestObject": {"kind": "Pod", "metadata": {}, "spec": {"containers": [{"name": "web"}]}},
    "responseStatus": {"code": 201},
}
_WORD = re.compile(r"(?<== )[\w.]+|(?<=\")[^\"]+(?=\")|(?<=%)[^%]+(?=%)")
"""A value in a pattern."""
# What the caller of an API can write as he likes, in any call.
OF_CALLS = [
    *("userAgent", "userIdentity.userName", "userIdentity.principalId", "userIdentity.arn"),
    *("errorMessage", "requestParameters.description", "requestParameters.tagSet"),
    *(
        "requestParameters.filterSet",
        "additionalEventData.note",
        "tlsDetails.clientProvidedHostHeader",
    ),
]
OF_REQUESTS = [
    *("userAgent", "objectRef.name", "user.extra", "annotations.note"),
    *("requestObject.metadata.annotations", "requestObject.metadata.name"),
    *("requestObject.spec.containers.0.env", "requestObject.spec.containers.0.name"),
]
NEWER = [
    "cloudtrail-account",
    "cloudtrail-ai",
    "cloudtrail-compute",
    "cloudtrail-data",
    "cloudtrail-defenses",
    "cloudtrail-exposure",
    "cloudtrail-identity",
]
PACKS = [
    ("cis-aws-foundations", CALL, OF_CALLS),
    ("cloudtrail-security", CALL, OF_CALLS),
    *((pack, CALL, OF_CALLS) for pack in NEWER),
    ("eks-audit", REQUEST, OF_REQUESTS),
]

each_pack = pytest.mark.parametrize(
    ("pack", "ordinary", "free"), PACKS, ids=[pack for pack, _, _ in PACKS]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packs")


def rules_of(folder: Path, pack: str) -> tuple[RuleConfig, ...]:
    path = folder / f"{pack}.yaml"
    source = {"name": "logs", "type": "log_groups", "log_groups": ["*"]}
    path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": [pack]}))
    return load([path]).rules


@cache
def messages_of(pack: str) -> dict[str, tuple[str, ...]]:
    """By rule, the messages of its tests that it matches."""
    tests = load_rule_tests(FOLDER / "tests" / f"{pack}.test.yaml").file
    assert tests is not None
    found: dict[str, list[str]] = {}
    for test in tests.tests:
        for expected in test.matches:
            found.setdefault(expected.rule, []).extend(test.messages)
    return {rule: tuple(messages) for rule, messages in found.items()}


def with_field(record: dict[str, Any], path: str, value: object) -> str:
    changed = copy.deepcopy(record)
    place: Any = changed
    *parents, last = path.split(".")
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    place[last] = value
    return json.dumps(changed)


def found(rules: RuleSet, message: str) -> list[str]:
    increments = rules.evaluate([LogEvent(message, 1, "1")], PLACE, "auto").increments
    return [increment.rule for increment in increments]


@each_pack
def test_the_words_of_a_rule_in_free_text_match_nothing(
    folder: Path, pack: str, ordinary: dict[str, Any], free: list[str]
) -> None:
    """Its pattern's words, and events that it matches: as text, and as JSON."""
    configured = rules_of(folder, pack)
    rules = RuleSet.of(configured)
    assert found(rules, json.dumps(ordinary)) == []
    mistaken = []
    for rule in configured:
        messages = messages_of(pack)[rule.name][:3]
        texts = [rule.pattern, *_WORD.findall(rule.pattern), *messages, *map(json.loads, messages)]
        mistaken += [
            (rule.name, field, matched)
            for field in free
            for text in texts
            if (matched := found(rules, with_field(ordinary, field, text)))
        ]
    assert mistaken == []


@pytest.mark.parametrize("pack", [pack for pack, _, _ in PACKS])
def test_an_event_counts_once_in_a_metric(folder: Path, pack: str) -> None:
    """Rules that share a metric never match the same event of the rule tests."""
    configured = rules_of(folder, pack)
    rules, metrics = RuleSet.of(configured), {rule.name: rule.metric for rule in configured}
    for message in {one for messages in messages_of(pack).values() for one in messages}:
        counts = Counter(metrics[rule] for rule in found(rules, message))
        assert set(counts.values()) <= {1}, message


@pytest.mark.parametrize("pack", ["cis-aws-foundations", "cloudtrail-security", *NEWER])
def test_the_second_record_of_a_call_through_a_vpc_endpoint_counts_nothing(
    folder: Path, pack: str
) -> None:
    """AWS: a network activity event has the call's names, and neither request nor response."""
    rules = RuleSet.of(rules_of(folder, pack))
    for message in {one for messages in messages_of(pack).values() for one in messages}:
        record = {**json.loads(message), "eventType": "AwsVpceEvent"}
        for name in ("requestParameters", "responseElements", "errorCode", "errorMessage"):
            record.pop(name, None)
        # Neither insights nor sign-ins go through an endpoint.
        if record.get("eventSource") not in (None, "signin.amazonaws.com"):
            assert found(rules, json.dumps(record)) == [], record["eventName"]


@pytest.mark.parametrize("query", ["x=/healthz", "/version", "path=/openid/"])
def test_a_query_does_not_hide_an_anonymous_request(folder: Path, query: str) -> None:
    rules = RuleSet.of(rules_of(folder, "eks-audit"))
    request = with_field(
        {**REQUEST, "verb": "list", "user": {"username": "system:anonymous"}},
        "requestURI",
        f"/api/v1/secrets?{query}",
    )
    assert "eks_audit_anonymous_access" in found(rules, request)
