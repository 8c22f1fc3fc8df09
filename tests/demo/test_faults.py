"""The embedded AWS goes wrong as it is told to."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.http import PLAIN_HTTP

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


def test_some_calls_of_an_operation_can_be_refused(
    aws: EmbeddedAws, cloudtrail: MakeTrail, logs: MakeLogs
) -> None:
    aws.faults = Faults(refuse=0.3, operations=["LookupEvents"], seed=1)
    seen = outcomes(cloudtrail(aws), 40)
    assert set(seen) == {"ok", "AccessDeniedException"}
    assert 4 < seen.count("AccessDeniedException") < 24
    aws.faults = Faults(refuse=1.0, operations=["LookupEvents"])
    logs(aws).describe_log_groups()


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


def raw(
    aws: EmbeddedAws, operation: str = "FilterLogEvents", **parameters: object
) -> httpx.Response:
    """Call as no SDK does: an SDK would not show what came."""
    target = {"LookupEvents": "CloudTrail_20131101", "FilterLogEvents": "Logs_20140328"}
    headers = {
        "X-Amz-Target": f"{target.get(operation, 'Logs_20140328')}.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=testing/20270101/us-east-1/logs/aws4_request",
    }
    return PLAIN_HTTP.post(aws.endpoint_url, headers=headers, json=parameters)


@pytest.mark.parametrize("odd", [0.0, 1.0])
def test_a_hollow_answer_has_no_list(aws: EmbeddedAws, odd: float) -> None:
    aws.log_group_create("us-east-1", "/a")
    aws.faults = Faults(hollow=1, odd=odd)
    for operation, member in [
        ("LookupEvents", "Events"),
        ("FilterLogEvents", "events"),
        ("DescribeLogGroups", "logGroups"),
        ("TestMetricFilter", "matches"),
    ]:
        bodies = [raw(aws, operation, logGroupName="/a").json() for _ in range(20)]
        assert all(body.get(member) is None for body in bodies)
        assert {} in bodies
        assert {member: None} in bodies
        assert any(body.get("NextToken") or body.get("nextToken") for body in bodies)


def test_odd_records_come_on_top_of_the_true_ones(aws: EmbeddedAws) -> None:
    aws.log_group_create("us-east-1", "/a")
    aws.put_log_event("us-east-1", "/a", "true", timestamp=1)
    (true,) = raw(aws, logGroupName="/a").json()["events"]
    aws.faults = Faults(odd=1)
    pages = [raw(aws, logGroupName="/a").json()["events"] for _ in range(30)]
    assert all(page.count(true) == 1 for page in pages)
    rest = [record for page in pages for record in page if record != true]
    assert {type(record) for record in rest} == {dict, type(None), int, str, list}
    assert any(isinstance(record, dict) and record.keys() == true.keys() for record in rest)
    groups = raw(aws, "DescribeLogGroups").json()["logGroups"]
    assert sum(isinstance(g, dict) and g.get("logGroupName") == "/a" for g in groups) == 1


@pytest.mark.parametrize("operation", ["LookupEvents", "FilterLogEvents", "DescribeLogGroups"])
def test_endless_pages_are_empty_and_end_where_the_call_was(
    aws: EmbeddedAws, operation: str
) -> None:
    aws.log_group_create("us-east-1", "/a")
    (member, token) = (
        ("Events", "NextToken")
        if operation == "LookupEvents"
        else ("events" if operation == "FilterLogEvents" else "logGroups", "nextToken")
    )
    parameters = {"logGroupName": "/a"} if operation == "FilterLogEvents" else {}
    true = raw(aws, operation, **parameters).json()
    kinds = set()
    for seed in range(8):
        aws.faults = Faults(endless=1, seed=seed)
        tokens: list[str] = []
        for _ in range(6):
            asked = parameters | ({token: tokens[-1]} if tokens else {})
            page = raw(aws, operation, **asked).json()
            assert page[member] == []
            tokens.append(page[token])
        assert all(one != next_ for one, next_ in itertools.pairwise(tokens))
        kinds.add(len(set(tokens)))
        aws.faults = Faults()
        assert raw(aws, operation, **parameters, **{token: tokens[-1]}).json() == true
    assert kinds == {2, 6}


def test_an_answer_may_come_as_gzip(aws: EmbeddedAws) -> None:
    plain = raw(aws, "LookupEvents")
    aws.faults = Faults(gzip=1)
    packed = raw(aws, "LookupEvents")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.json() == plain.json()
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=aws.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    with pytest.raises(ResponseParserError):  # botocore does not unpack it
        sts.get_caller_identity()


def test_an_answer_may_drip(aws: EmbeddedAws) -> None:
    aws.faults = Faults(drip=1)
    url = urlsplit(aws.endpoint_url)
    address = (str(url.hostname), int(url.port or 0))
    kinds: set[str] = set()
    for _ in range(6):
        with socket.create_connection(address) as connection:
            connection.settimeout(0.3)
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            received = bytearray()
            with contextlib.suppress(TimeoutError):
                while True:
                    received += connection.recv(4096)
        if len(received) > 1:
            head, _, body = received.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert len(body) == 1
        kinds.add("headers" if len(received) == 1 else "body")
    assert kinds == {"headers", "body"}


def test_an_access_key_belongs_to_its_account(aws: EmbeddedAws) -> None:
    key, secret = aws.access_key("210987654321")
    aws.record("210987654321", "us-east-1", {"eventTime": "2027-01-15T07:00:00Z", "eventID": "x"})
    session = boto3.Session(key, secret, region_name="us-east-1")
    sts = session.client("sts", endpoint_url=aws.endpoint_url)
    assert sts.get_caller_identity()["Account"] == "210987654321"
    trail = session.client("cloudtrail", endpoint_url=aws.endpoint_url)
    assert [event["EventId"] for event in trail.lookup_events()["Events"]] == ["x"]
