"""FilterLogEvents of the embedded AWS keeps to what AWS documents."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from botocore.exceptions import ClientError

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from metric_filter_demo.patterns import Doubts

if TYPE_CHECKING:
    from mypy_boto3_logs.client import CloudWatchLogsClient

    MakeClient = Callable[..., CloudWatchLogsClient]

GROUP = "/aws/lambda/checkout"
REGION = "us-east-1"


class Clock(Protocol):
    now: float

    def __call__(self) -> float: ...


@pytest.fixture
def group(aws: EmbeddedAws) -> str:
    aws.log_group_create(REGION, GROUP)
    return GROUP


def pages_of(client: CloudWatchLogsClient, **call: Any) -> list[list[str]]:
    call = {"logGroupName": GROUP} | call
    pages = []
    while True:
        answer = client.filter_log_events(**call)
        assert answer["searchedLogStreams"] == []
        pages.append([event["message"] for event in answer["events"]])
        if "nextToken" not in answer:
            return pages
        call["nextToken"] = answer["nextToken"]


def messages_of(client: CloudWatchLogsClient, **call: Any) -> list[str]:
    return [message for page in pages_of(client, **call) for message in page]


def error_of(client: CloudWatchLogsClient, **call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client.filter_log_events(**call)
    return str(caught.value.response["Error"]["Code"])


def test_events_come_oldest_first_by_timestamp_then_ingestion(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    aws.put_log_event(REGION, group, "third", timestamp=3)
    aws.put_log_event(REGION, group, "second", timestamp=2, stream="a")
    aws.put_log_event(REGION, group, "second too", timestamp=2, stream="b")
    aws.put_log_event(REGION, group, "first", timestamp=1)
    client = logs(aws)
    assert messages_of(client) == ["first", "second", "second too", "third"]
    newest_first = messages_of(client, startFromHead=False, limit=1)
    assert newest_first == ["third", "second too", "second", "first"]


def test_both_ends_of_the_range_are_inclusive(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for stamp in (9, 10, 15, 20, 21):
        aws.put_log_event(REGION, group, str(stamp), timestamp=stamp)
    assert messages_of(logs(aws), startTime=10, endTime=20) == ["10", "15", "20"]


def test_filter_patterns_select(aws: EmbeddedAws, logs: MakeClient, group: str) -> None:
    messages = ["WARN disk", "WARN", "INFO disk", "WARN disk   is\tfull"]
    for message in messages:
        aws.put_log_event(REGION, group, message)
    client = logs(aws)
    assert messages_of(client, filterPattern="") == messages
    chosen = messages_of(client, filterPattern="[level = WARN, text]")
    assert chosen == ["WARN disk", "WARN disk   is\tfull"]


def test_patterns_on_which_awss_answer_is_uncertain_can_get_the_other_one(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    aws.put_log_event(REGION, group, '{"path":"/v1/7/users"}')
    client, pattern = logs(aws), '{ $.path = "/v1/*/users" }'
    assert len(messages_of(client, filterPattern=pattern)) == 1
    aws.faults = Faults(doubts=Doubts(patterns=True))
    assert messages_of(client, filterPattern=pattern) == []


def test_a_page_holds_no_more_than_limit_and_a_full_one_has_a_token(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for number in range(6):
        aws.put_log_event(REGION, group, str(number), timestamp=number)
    assert pages_of(logs(aws), limit=3) == [["0", "1", "2"], ["3", "4", "5"], []]


def test_a_page_holds_no_more_than_a_megabyte(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for number in range(5):
        aws.put_log_event(REGION, group, str(number) * 400_000, timestamp=number)
    pages = pages_of(logs(aws))
    assert [len(page) for page in pages] == [2, 2, 1]


def test_a_page_holds_no_more_than_ten_thousand_events(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for number in range(10_001):
        aws.put_log_event(REGION, group, "x", timestamp=number)
    assert [len(page) for page in pages_of(logs(aws))] == [10_000, 1]


def test_an_event_is_seen_only_once_it_is_ingested(
    aws: EmbeddedAws, logs: MakeClient, group: str, clock: Clock
) -> None:
    now = int(clock.now * 1000)
    aws.put_log_event(REGION, group, "late", timestamp=now - 5000, visible_in=60)
    aws.put_log_event(REGION, group, "soon", timestamp=now)
    client = logs(aws)
    assert messages_of(client) == ["soon"]
    clock.now += 60
    assert messages_of(client) == ["late", "soon"]
    events = client.filter_log_events(logGroupName=GROUP)["events"]
    assert events[0]["ingestionTime"] == now + 60_000


def test_event_ids_are_unique_over_groups_and_lives_of_the_server(
    logs: MakeClient, clock: Clock
) -> None:
    seen: list[str] = []
    for _ in range(2):
        with EmbeddedAws(clock=clock, signature_age=False) as aws:
            for name in ("/a", "/b"):
                aws.log_group_create(REGION, name)
                for _ in range(3):
                    aws.put_log_event(REGION, name, "x", timestamp=7)
                events = logs(aws).filter_log_events(logGroupName=name)["events"]
                seen += [event["eventId"] for event in events]
    assert len(set(seen)) == len(seen) == 12
    assert {len(event_id) for event_id in seen} == {56}


def test_a_group_is_found_by_name_and_by_arn(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    aws.put_log_event(REGION, group, "x")
    client = logs(aws)
    arn = client.describe_log_groups()["logGroups"][0]["arn"]
    for identifier in (group, arn, arn.removesuffix(":*")):
        events = client.filter_log_events(logGroupIdentifier=identifier)["events"]
        assert [event["message"] for event in events] == ["x"]


def test_streams_are_chosen_by_name_or_prefix(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for stream in ("web/1", "web/2", "worker/1"):
        aws.put_log_event(REGION, group, stream, stream=stream)
    client = logs(aws)
    assert messages_of(client, logStreamNamePrefix="web/") == ["web/1", "web/2"]
    assert messages_of(client, logStreamNames=["web/1", "worker/1"]) == ["web/1", "worker/1"]


def test_calls_that_aws_refuses_are_refused_by_the_same_names(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    client, invalid = logs(aws), "InvalidParameterException"
    assert error_of(client, logGroupName="/none") == "ResourceNotFoundException"
    assert error_of(client, logGroupName=group, filterPattern="{ $.user = mei") == invalid
    assert error_of(client, logGroupName=group, filterPattern="x" * 1025) == invalid
    assert error_of(client, logGroupName=group, nextToken="no token") == invalid
    assert error_of(client, logGroupName=group, limit=10_001) == invalid
    assert error_of(client, logGroupName=group, logGroupIdentifier=group) == invalid
    assert error_of(client) == invalid
    both = {"logStreamNames": ["a"], "logStreamNamePrefix": "a"}
    assert error_of(client, logGroupName=group, **both) == invalid
    assert error_of(client, logGroupName=group, startTime=2, endTime=1) == invalid


def test_a_token_ends_after_a_day_and_belongs_to_its_call(
    aws: EmbeddedAws, logs: MakeClient, group: str, clock: Clock
) -> None:
    for number in range(2):
        aws.put_log_event(REGION, group, str(number), timestamp=number)
    client = logs(aws)
    token = client.filter_log_events(logGroupName=group, limit=1)["nextToken"]
    invalid = "InvalidParameterException"
    assert error_of(client, logGroupName=group, nextToken=token, startTime=1) == invalid
    assert messages_of(client, nextToken=token) == ["1"]
    clock.now += 86_401
    assert error_of(client, logGroupName=group, nextToken=token) == invalid


def test_random_pages_and_empty_pages_still_hold_every_event(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    for number in range(300):
        aws.put_log_event(REGION, group, str(number), timestamp=number // 4)
    aws.faults = Faults(empty_page=0.3, page_size=(1, 40), duplicate=0.1, seed=9)
    pages = pages_of(logs(aws))
    assert [] in pages
    assert max(len(page) for page in pages) <= 40
    flat = [message for page in pages for message in page]
    assert list(dict.fromkeys(flat)) == [str(number) for number in range(300)]
    assert len(flat) > 300


def test_what_is_put_through_the_api_is_found(strict_aws: EmbeddedAws, logs: MakeClient) -> None:
    client, now = logs(strict_aws), int(time.time() * 1000)
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName="s")
    events = [{"timestamp": now - 15 * 86_400_000, "message": "too old"}]
    events += [{"timestamp": now, "message": "kept"}]
    client.put_log_events(
        logGroupName=GROUP,
        logStreamName="s",
        logEvents=events,  # type: ignore[arg-type]
    )
    assert messages_of(client) == ["kept"]


def test_a_deleted_group_is_gone_with_its_events(
    aws: EmbeddedAws, logs: MakeClient, group: str
) -> None:
    aws.put_log_event(REGION, group, "old life")
    client = logs(aws)
    client.delete_log_group(logGroupName=group)
    assert error_of(client, logGroupName=group) == "ResourceNotFoundException"
    aws.log_group_create(REGION, group)
    assert messages_of(client) == []


def test_each_region_has_its_own_quota(strict_aws: EmbeddedAws, logs: MakeClient) -> None:
    allowed = {}
    for region in ("us-east-1", "eu-central-1", "eu-west-1"):
        strict_aws.log_group_create(region, GROUP)
        client = logs(strict_aws, region)
        start = time.monotonic()
        for _ in range(40):
            with suppress(ClientError):
                client.filter_log_events(logGroupName=GROUP)
        took = time.monotonic() - start
        calls = strict_aws.calls
        count = calls.count("FilterLogEvents", region=region, outcome="ok")
        refused = calls.count("FilterLogEvents", region=region, outcome="ThrottlingException")
        assert count + refused == 40
        # The bucket holds a second's worth and fills meanwhile.
        allowed[region] = count / (1 + took)
    assert allowed["us-east-1"] == pytest.approx(25, abs=2)
    assert allowed["eu-central-1"] == pytest.approx(5, abs=2)
    assert allowed["eu-west-1"] == pytest.approx(10, abs=2)
