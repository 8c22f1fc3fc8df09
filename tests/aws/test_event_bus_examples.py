"""The queues and rules in docs/aws: only the rule may write to the queue."""

from __future__ import annotations

import json
from typing import Any

import hcl2
import yaml

from exporter.aws.queue_policy import open_to
from tests.support.tools import ROOT

STACK = ROOT / "docs" / "aws" / "event-bus.yaml"
TERRAFORM = ROOT / "docs" / "aws" / "event-bus.tf"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


Loader.add_multi_constructor("!", lambda loader, _tag, node: loader.construct_scalar(node))


def test_the_stacks_queue_can_be_written_to_by_its_rule_only() -> None:
    resources: dict[str, Any] = yaml.load(STACK.read_text(), Loader)["Resources"]  # noqa: S506
    policy = resources["EventsPolicy"]["Properties"]["PolicyDocument"]
    (statement,) = policy["Statement"]
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "Rule.Arn"},
        "StringEquals": {"aws:SourceAccount": "AWS::AccountId"},
    }
    assert open_to(json.dumps(policy)) == []
    del statement["Condition"]
    assert open_to(json.dumps(policy)) == ["events.amazonaws.com on behalf of any account"]
    assert resources["Events"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == 5


def test_terraform_makes_the_same() -> None:
    document: dict[str, Any] = hcl2.loads(TERRAFORM.read_text())
    text = json.dumps(document["resource"])
    for part in ("events.amazonaws.com", "aws:SourceArn", "aws:SourceAccount", "via CloudTrail"):
        assert part in text
        assert part in STACK.read_text()
    assert len(document["resource"]) == 5
