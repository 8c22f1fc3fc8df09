"""Each log pack knows its format: it names lines that none of its rules can read, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from exporter.configuration import Configuration, load
from exporter.model import LogEvent, Partition
from exporter.patterns import Document
from exporter.rules import Evaluation, RuleSet
from exporter.ruletests import load_rule_tests
from exporter.sources.log_groups import LOG_GROUP
from tests.support.tools import ROOT

GROUP = Partition("logs", "123456789012", "eu-west-1", "/all", LOG_GROUP)
# Lines of each format that are written in another way than the pack reads, or cut.
UNREAD: Mapping[str, str | dict[str, object]] = {
    "api-gateway": {"requestId": "a-1", "httpMethod": "GET", "code": 200},
    "ecs": {"source": "aws.ecs", "detail-type": "ECS Something New", "detail": {}},
    "eks-audit": '2030-01-02T03:04:05Z stdout F {"apiVersion":"audit.k8s.io/v1","verb":"get"}',
    "emf": {"_aws": {"CloudWatchMetrics": [{"Namespace": "Billing"}]}},
    "http-access": 'client=198.51.100.9 code=200 line="GET /a HTTP/1.1"',
    "lambda": "orders REPORT RequestId: 1 Duration: 3 ms",
    "linux-syslog": "web-1 sshd[311]: Failed password for root",
    "network-firewall": {
        "firewall_name": "edge",
        "event": {"timestamp": "2030", "event_type": "x"},
    },
    "nlb-access": "quic 3.0 2030-01-02 net/edge/00112233445566aa 0 192.0.2.9:1",
    "rds-mysql": "mysqld: [ERROR] Could not open file",
    "rds-postgresql": "ledger LOG:  duration: 12.000 ms",
    "route53-resolver": {"query_name": "www.example.org.", "rcode": "NXDOMAIN"},
    "step-functions": {"execution_arn": "arn:aws:states:x", "type": "ExecutionFailed"},
    "vpc-flow-logs": "6 10.0.0.9 192.0.2.9 443 50000 ACCEPT OK eni-0f1e2d3c4b5a69788",
    "waf": {"webaclId": "arn:aws:wafv2:x", "terminatingRuleId": "Default_Action"},
}


def is_for_lines(path: Path) -> bool:
    return "\nformat: lines\n" in path.read_text(encoding="utf-8")


PACKS = [p.stem for p in sorted((ROOT / "config" / "rules").glob("*.yaml")) if is_for_lines(p)]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path = tmp_path_factory.mktemp("packs") / "config.yaml"
    source = {"name": "logs", "type": "log_groups", "log_groups": ["*"]}
    path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": PACKS}))
    return load([path])


@pytest.fixture(scope="module")
def rule_sets(configuration: Configuration) -> dict[str, RuleSet]:
    """The rules of each pack."""
    return {
        pack: RuleSet.of(
            [rule for rule in configuration.rules if rule.pack == pack], {"logs": {pack: lines}}
        )
        for pack, lines in configuration.formats.items()
    }


def evaluate(rules: RuleSet, message: str) -> Evaluation:
    return rules.evaluate([LogEvent(message, 1, "1")], GROUP, "auto")


def messages(pack: str) -> list[str]:
    file = load_rule_tests(ROOT / "config" / "rules" / "tests" / f"{pack}.test.yaml").file
    assert file is not None
    return [message for test in file.tests for message in test.messages]


@pytest.mark.parametrize("pack", PACKS)
def test_lines_that_are_written_in_another_way_are_named(
    rule_sets: dict[str, RuleSet], pack: str
) -> None:
    line = UNREAD[pack]
    text = line if isinstance(line, str) else json.dumps(line)
    evaluation = evaluate(rule_sets[pack], text)
    assert not evaluation.events
    assert {name: one.lines for name, one in evaluation.unrecognized.items()} == {pack: 1}


@pytest.mark.parametrize("pack", PACKS)
def test_lines_that_a_rule_reads_look_like_the_format_and_are_not_named(
    configuration: Configuration, rule_sets: dict[str, RuleSet], pack: str
) -> None:
    read = look = 0
    for message in messages(pack):
        evaluation = evaluate(rule_sets[pack], message)
        if evaluation.events:
            read += 1
            looks_like = configuration.formats[pack].looks_like
            look += any(pattern.match_document(Document(message)) for pattern in looks_like)
            assert not evaluation.unrecognized, message
    assert look >= read / 3
