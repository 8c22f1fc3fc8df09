"""The embedded AWS goes wrong as it is told to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from exporter.demo.aws import EmbeddedAws
from exporter.demo.faults import Faults

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

    MakeTrail = Callable[..., CloudTrailClient]
    MakeLogs = Callable[..., CloudWatchLogsClient]


def code_of(call: Callable[[], object]) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def outcomes(client: CloudTrailClient, calls: int) -> list[str]:
    seen = []
    for _ in range(calls):
        try:
            client.lookup_events()
            seen.append("ok")
        except ClientError as error:
            seen.append(error.response["Error"]["Code"])
    return seen


def test_calls_fail_as_often_as_told_and_the_same_way_for_the_same_seed(
    aws: EmbeddedAws, cloudtrail: MakeTrail
) -> None:
    client = cloudtrail(aws)
    aws.faults = Faults(throttle=0.2, error=0.3, seed=3)
    first = outcomes(client, 60)
    aws.faults = Faults(throttle=0.2, error=0.3, seed=3)
    assert outcomes(client, 60) == first
    assert set(first) == {
        "ok",
        "ThrottlingException",
        "InternalFailure",
        "ServiceUnavailableException",
    }
    assert 15 < first.count("ok") < 50
    aws.faults = Faults()
    assert outcomes(client, 20) == ["ok"] * 20


def test_a_region_an_operation_or_everything_can_be_denied(
    aws: EmbeddedAws, cloudtrail: MakeTrail, logs: MakeLogs
) -> None:
    aws.faults = Faults(
        denied={"eu-west-1": ["*"], ("123456789012", "us-east-1"): ["DescribeLogGroups"]}
    )
    assert code_of(cloudtrail(aws, "eu-west-1").lookup_events)[0] == "AccessDeniedException"
    assert code_of(logs(aws).describe_log_groups)[0] == "AccessDeniedException"
    cloudtrail(aws, "us-east-1").lookup_events()
    assert aws.calls.count(outcome="AccessDeniedException") == 2


def test_expired_credentials_are_refused_everywhere(
    aws: EmbeddedAws, cloudtrail: MakeTrail
) -> None:
    aws.faults = Faults(expired=True)
    assert code_of(cloudtrail(aws).lookup_events) == ("ExpiredTokenException", 400)
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=aws.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    assert code_of(sts.get_caller_identity)[0] == "ExpiredToken"


def test_faults_can_be_kept_to_some_operations(
    aws: EmbeddedAws, cloudtrail: MakeTrail, logs: MakeLogs
) -> None:
    aws.faults = Faults(error=1, operations=["FilterLogEvents"])
    cloudtrail(aws).lookup_events()
    aws.log_group_create("us-east-1", "/a")
    client = logs(aws)
    status = code_of(lambda: client.filter_log_events(logGroupName="/a"))[1]
    assert status in (500, 503)


def test_a_dropped_connection_gives_no_answer_and_the_next_call_works(
    aws: EmbeddedAws, cloudtrail: MakeTrail
) -> None:
    client = cloudtrail(aws)
    aws.faults = Faults(drop=1)
    with pytest.raises(ConnectionClosedError):
        client.lookup_events()
    assert aws.calls.count("LookupEvents", outcome="dropped") == 1
    aws.faults = Faults()
    client.lookup_events()


def test_a_stopped_aws_is_gone_and_comes_back_with_what_it_had(
    aws: EmbeddedAws, logs: MakeLogs
) -> None:
    aws.log_group_create("us-east-1", "/a")
    aws.put_log_event("us-east-1", "/a", "kept")
    client = logs(aws)
    client.filter_log_events(logGroupName="/a")
    aws.stop()
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        client.filter_log_events(logGroupName="/a")
    aws.start()
    events = client.filter_log_events(logGroupName="/a")["events"]
    assert [event["message"] for event in events] == ["kept"]


def test_many_threads_may_write_and_read(aws: EmbeddedAws, logs: MakeLogs) -> None:
    aws.log_group_create("us-east-1", "/a")

    def write(writer: int) -> None:
        for number in range(500):
            aws.put_log_event("us-east-1", "/a", f"{writer}:{number}", timestamp=number)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in writers:
        thread.start()
    client = logs(aws)
    while any(thread.is_alive() for thread in writers):
        client.filter_log_events(logGroupName="/a", limit=100)
    events = client.filter_log_events(logGroupName="/a")["events"]
    assert len({event["message"] for event in events}) == 2000


def test_another_process_needs_the_environment_only(aws: EmbeddedAws) -> None:
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {"PATH": os.environ["PATH"]} | aws.environment("eu-west-1")
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.stdout == "123456789012\n", ran.stderr
    assert aws.calls.count("GetCallerIdentity") == 1


def test_it_listens_on_loopback_only(aws: EmbeddedAws) -> None:
    assert aws.endpoint_url.startswith("http://127.0.0.1:")
