"""Who a queue's policy lets write."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.aws.queue_policy import open_to

EVENTS = {"Service": "events.amazonaws.com"}
SOURCE = {"ArnEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:111122223333:rule/r"}}


def policy(**statement: Any) -> str:
    whole = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*", **statement}
    return json.dumps({"Version": "2012-10-17", "Statement": [whole]})


@pytest.mark.parametrize(
    ("text", "writers"),
    [
        ("{}", []),
        (policy(Principal="*"), ["anyone"]),
        (policy(Principal={"AWS": "*"}, Action="SQS:*"), ["anyone"]),
        (policy(Principal={"AWS": ["x", "*"]}, Action=["sqs:Send*"]), ["anyone"]),
        (policy(Principal=EVENTS), ["events.amazonaws.com on behalf of any account"]),
        (policy(Principal=EVENTS, Condition=SOURCE), []),
        (policy(Principal="*", Condition={"StringEquals": {"AWS:SourceAccount": "1"}}), []),
        (policy(Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}}), ["anyone"]),
        (policy(Principal="*", Condition={"ArnLike": {"aws:SourceArn": "*"}}), ["anyone"]),
        (
            policy(Principal="*", Condition={"StringNotEquals": {"aws:SourceAccount": "1"}}),
            ["anyone"],
        ),
        (policy(Principal="*", Effect="Deny"), []),
        (policy(Principal="*", Action="sqs:ReceiveMessage"), []),
        (policy(Principal={"AWS": "arn:aws:iam::111122223333:root"}), []),
    ],
)
def test_those_without_a_limit_are_found(text: str, writers: list[str]) -> None:
    assert open_to(text) == writers
