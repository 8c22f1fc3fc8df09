"""The trails and queues in docs/aws: who may write and read, and no loop of data events."""

from __future__ import annotations

import json
import re
from typing import Any

import hcl2
import pytest
import yaml

from exporter.aws.queue_policy import open_to
from tests.support.tools import ROOT

AWS = ROOT / "docs" / "aws"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short functions as their arguments."""


def _arguments(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.ScalarNode)
    return loader.construct_scalar(node)


Loader.add_multi_constructor("!", _arguments)


def resources(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load((AWS / f"{name}.yaml").read_text(), Loader)["Resources"]  # noqa: S506
    return found


def test_only_the_rule_may_write_to_the_queue() -> None:
    stack = resources("trail-queue")
    policy = stack["ObjectsPolicy"]["Properties"]["PolicyDocument"]
    assert open_to(json.dumps(policy)) == []
    assert policy["Statement"][0]["Condition"]["ArnEquals"] == {"aws:SourceArn": "Rule.Arn"}
    assert stack["Objects"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == 5


def test_the_rule_takes_the_folders_that_are_read_and_no_digests() -> None:
    pattern = resources("trail-queue")["Rule"]["Properties"]["EventPattern"]
    wanted = [
        re.compile(re.escape(key["wildcard"]).replace(r"\*", ".*"))
        for key in pattern["detail"]["object"]["key"]
    ]
    folder = "AWSLogs/o-exampleorg1/111122223333/{}/us-east-1/2026/11/26/a.json.gz"
    read = {
        name
        for name in ("", "-Digest", "-Insight", "-Aggregated", "-NetworkActivity")
        if any(one.fullmatch(folder.format(f"CloudTrail{name}")) for one in wanted)
    }
    assert read == {"", "-NetworkActivity"}


def test_cloudtrail_writes_for_its_trail_only() -> None:
    stack = resources("trail")
    statements = [
        *stack["StoragePolicy"]["Properties"]["PolicyDocument"]["Statement"],
        *stack["Key"]["Properties"]["KeyPolicy"]["Statement"],
    ]
    of_cloudtrail = [
        one for one in statements if isinstance(one, dict) and "Service" in one.get("Principal", {})
    ]
    assert len(of_cloudtrail) == 3
    for one in of_cloudtrail:
        assert one["Condition"]["StringEquals"]["aws:SourceArn"].endswith(":trail/${Name}")


def test_data_events_leave_out_the_trails_own_bucket() -> None:
    _, data = resources("trail")["Trail"]["Properties"]["AdvancedEventSelectors"]
    condition, selector, _ = data
    assert condition == "HasDataEvents"
    assert {"Field": "resources.ARN", "NotStartsWith": ["${Storage.Arn}/"]} in selector[
        "FieldSelectors"
    ]


@pytest.mark.parametrize(
    ("name", "made", "parts"),
    [
        ("trail", 9, ("aws:SourceArn", "s3:x-amz-acl", "kms:GenerateDataKey*", "not_starts_with")),
        ("trail-queue", 5, ("events.amazonaws.com", "aws:SourceArn", "CloudTrail-NetworkActivity")),
    ],
)
def test_terraform_makes_the_same(name: str, made: int, parts: tuple[str, ...]) -> None:
    document: dict[str, Any] = hcl2.loads((AWS / f"{name}.tf").read_text())
    text = json.dumps(document["resource"])
    for part in parts:
        assert part in text
    assert len(document["resource"]) == made
