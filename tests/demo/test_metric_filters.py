"""TestMetricFilter of the embedded AWS keeps to what AWS documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from metric_filter_demo.aws import EmbeddedAws

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

    MakeClient = Callable[..., CloudWatchLogsClient]


def test_matches_are_numbered_from_1(aws: EmbeddedAws, logs: MakeClient) -> None:
    answer = logs(aws).test_metric_filter(
        filterPattern="[level = WARN, text]", logEventMessages=["INFO disk", "WARN disk is full"]
    )
    assert answer["matches"] == [
        {
            "eventNumber": 2,
            "eventMessage": "WARN disk is full",
            "extractedValues": {"$level": "WARN", "$text": "disk is full"},
        }
    ]


def test_json_and_the_empty_pattern_are_matched(aws: EmbeddedAws, logs: MakeClient) -> None:
    client = logs(aws)
    messages = ["user mei", '{"user":"mei"}']
    for pattern, numbers in (('{ $.user = "mei" }', [2]), ("", [1, 2])):
        answer = client.test_metric_filter(filterPattern=pattern, logEventMessages=messages)
        assert [match["eventNumber"] for match in answer["matches"]] == numbers


@pytest.mark.parametrize(
    ("pattern", "messages"), [("{ $.user = mei", ["x"]), ("disk", ["disk is full"] * 51)]
)
def test_what_aws_refuses_is_refused(
    aws: EmbeddedAws, logs: MakeClient, pattern: str, messages: list[str]
) -> None:
    with pytest.raises(ClientError) as caught:
        logs(aws).test_metric_filter(filterPattern=pattern, logEventMessages=messages)
    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_an_empty_message_is_refused(aws: EmbeddedAws) -> None:
    unchecked = Config(parameter_validation=False, proxies={})  # botocore refuses it by itself
    client = boto3.client(
        "logs",
        region_name="us-east-1",
        endpoint_url=aws.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=unchecked,
    )
    with pytest.raises(ClientError, match="at least one character"):
        client.test_metric_filter(filterPattern="x", logEventMessages=["x", ""])


def test_the_rate_is_limited(strict_aws: EmbeddedAws, logs: MakeClient) -> None:
    client = logs(strict_aws)

    def call_often() -> None:
        for _ in range(20):
            client.test_metric_filter(filterPattern="timeout", logEventMessages=["timeouts=3"])

    with pytest.raises(ClientError) as caught:
        call_often()
    assert caught.value.response["Error"]["Code"] == "ThrottlingException"
