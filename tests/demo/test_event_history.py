"""LookupEvents of the embedded AWS keeps to what AWS documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from botocore.exceptions import ClientError

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from metric_filter_demo.patterns import Doubts

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

    MakeClient = Callable[..., CloudTrailClient]

ACCOUNT = "123456789012"


class Clock(Protocol):
    now: float


def record(event_id: str, time: float, **more: Any) -> dict[str, Any]:
    moment = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"eventID": event_id, "eventTime": moment, "eventName": "ListKeys"} | more


def all_pages(client: CloudTrailClient, **call: Any) -> list[list[str]]:
    pages = []
    while True:
        answer = client.lookup_events(**call)
        pages.append([event["EventId"] for event in answer["Events"]])
        if "NextToken" not in answer:
            return pages
        call["NextToken"] = answer["NextToken"]


def flatten(pages: list[list[str]]) -> list[str]:
    return [event_id for page in pages for event_id in page]


def error_of(client: CloudTrailClient, **call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        client.lookup_events(**call)
    return str(caught.value.response["Error"]["Code"])


def test_events_come_newest_first_in_pages_of_fifty(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for number in range(120):
        aws.record(ACCOUNT, "us-east-1", record(f"e{number}", clock.now - 1000 + number))
    pages = all_pages(cloudtrail(aws))
    assert [len(page) for page in pages] == [50, 50, 20]
    assert flatten(pages) == [f"e{number}" for number in reversed(range(120))]


def test_no_token_comes_when_the_last_page_is_full(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for number in range(50):
        aws.record(ACCOUNT, "us-east-1", record(f"e{number}", clock.now - number))
    assert [len(page) for page in all_pages(cloudtrail(aws))] == [50]


def test_pages_lose_nothing_among_events_of_one_second(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for number in range(30):
        aws.record(ACCOUNT, "us-east-1", record(f"e{number}", clock.now))
    pages = all_pages(cloudtrail(aws), MaxResults=7)
    assert sorted(flatten(pages)) == sorted(f"e{number}" for number in range(30))


def test_both_ends_of_the_range_are_inclusive(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for offset in (-11, -10, -5, 0, 1):
        aws.record(ACCOUNT, "us-east-1", record(f"{offset:+}", clock.now + offset))
    start, end = (datetime.fromtimestamp(clock.now + offset, UTC) for offset in (-10, 0))
    pages = all_pages(cloudtrail(aws), StartTime=start, EndTime=end)
    assert pages == [["+0", "-5", "-10"]]


def test_the_event_is_described_and_carries_its_record(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    identity = {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/pipeline",
        "accessKeyId": "ASIADEPLOYXXXEXAMPLE",
    }
    stored = record(
        "e1",
        clock.now,
        eventSource="kms.amazonaws.com",
        readOnly=True,
        userIdentity=identity,
        resources=[{"type": "AWS::KMS::Key", "ARN": "arn:aws:kms:key"}],
    )
    aws.record(ACCOUNT, "us-east-1", stored)
    event: EventTypeDef = cloudtrail(aws).lookup_events()["Events"][0]
    assert json.loads(event["CloudTrailEvent"]) == stored
    assert event["EventTime"] == datetime.fromtimestamp(clock.now, UTC)
    assert event["EventName"] == "ListKeys"
    assert event["EventSource"] == "kms.amazonaws.com"
    assert event["ReadOnly"] == "true"
    assert event["Username"] == "pipeline"
    assert event["AccessKeyId"] == "ASIADEPLOYXXXEXAMPLE"
    assert event["Resources"] == [
        {"ResourceType": "AWS::KMS::Key", "ResourceName": "arn:aws:kms:key"}
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("EventId", "wanted"),
        ("EventName", "StopLogging"),
        ("ReadOnly", "false"),
        ("Username", "maya"),
        ("EventSource", "cloudtrail.amazonaws.com"),
        ("AccessKeyId", "ASIAMAYAXXXXXEXAMPLE"),
        ("ResourceName", "arn:aws:cloudtrail:trail"),
        ("ResourceType", "AWS::CloudTrail::Trail"),
    ],
)
def test_one_attribute_selects(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock, key: str, value: str
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("other", clock.now, readOnly=True))
    aws.record(
        ACCOUNT,
        "us-east-1",
        record(
            "wanted",
            clock.now,
            eventName="StopLogging",
            eventSource="cloudtrail.amazonaws.com",
            readOnly=False,
            userIdentity={
                "type": "IAMUser",
                "userName": "maya",
                "accessKeyId": "ASIAMAYAXXXXXEXAMPLE",
            },
            resources=[{"type": "AWS::CloudTrail::Trail", "ARN": "arn:aws:cloudtrail:trail"}],
        ),
    )
    attributes = [{"AttributeKey": key, "AttributeValue": value}]
    assert all_pages(cloudtrail(aws), LookupAttributes=attributes) == [["wanted"]]


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ({"type": "Root", "userName": "my-alias"}, "root"),
        ({"type": "IAMUser", "userName": "maya"}, "maya"),
        ({"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/ops/maya"}, "maya"),
        ({"type": "SAMLUser", "userName": "maya@example.com"}, "maya@example.com"),
        ({"type": "AWSService", "invokedBy": "config.amazonaws.com"}, None),
    ],
)
def test_the_user_name_is_the_users_the_sessions_or_root(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock, identity: dict[str, Any], name: str
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("e", clock.now, userIdentity=identity))
    client = cloudtrail(aws)
    assert client.lookup_events()["Events"][0].get("Username") == name
    if name:
        attributes = [{"AttributeKey": "Username", "AttributeValue": name}]
        assert all_pages(client, LookupAttributes=attributes) == [["e"]]


def test_a_root_user_may_be_found_by_the_accounts_alias_only(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    aws.faults = Faults(doubts=Doubts(messages=True))
    root = {"type": "Root", "userName": "my-alias"}
    aws.record(ACCOUNT, "us-east-1", record("e", clock.now, userIdentity=root))
    attributes = [{"AttributeKey": "Username", "AttributeValue": "root"}]
    assert all_pages(cloudtrail(aws), LookupAttributes=attributes) == [[]]


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_record_that_does_not_say_if_it_is_read_only_is_found_by_neither(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock, value: str
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("e", clock.now))
    attributes = [{"AttributeKey": "ReadOnly", "AttributeValue": value}]
    assert all_pages(cloudtrail(aws), LookupAttributes=attributes) == [[]]


def test_names_are_found_in_their_own_case_only(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("e", clock.now))
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "listkeys"}]
    assert all_pages(cloudtrail(aws), LookupAttributes=attributes) == [[]]


def test_calls_that_aws_refuses_are_refused_by_the_same_names(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    client = cloudtrail(aws)
    name = {"AttributeKey": "EventName", "AttributeValue": "X"}
    now = datetime.fromtimestamp(clock.now, UTC)
    earlier = datetime.fromtimestamp(clock.now - 1, UTC)
    assert error_of(client, MaxResults=51) == "InvalidMaxResultsException"
    assert error_of(client, NextToken="no token") == "InvalidNextTokenException"
    assert error_of(client, StartTime=now, EndTime=earlier) == "InvalidTimeRangeException"
    long = {"AttributeKey": "EventName", "AttributeValue": "X" * 2001}
    assert error_of(client, LookupAttributes=[long]) == "InvalidLookupAttributesException"
    assert error_of(client, LookupAttributes=[name, name]) == "InvalidLookupAttributesException"
    assert error_of(client, EventCategory="data") == "InvalidEventCategoryException"
    assert client.lookup_events(EventCategory="insight")["Events"] == []


def test_a_token_belongs_to_the_parameters_it_was_given_for(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for number in range(60):
        aws.record(ACCOUNT, "us-east-1", record(f"e{number}", clock.now))
    client = cloudtrail(aws)
    token = client.lookup_events()["NextToken"]
    moved = datetime.fromtimestamp(clock.now - 60, UTC)
    assert error_of(client, NextToken=token, StartTime=moved) == "InvalidNextTokenException"
    assert len(client.lookup_events(NextToken=token)["Events"]) == 10


def test_an_event_is_seen_only_once_it_is_delivered(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("late", clock.now), visible_in=90)
    aws.record(ACCOUNT, "us-east-1", record("early", clock.now - 60))
    client = cloudtrail(aws)
    assert all_pages(client) == [["early"]]
    clock.now += 89
    assert all_pages(client) == [["early"]]
    clock.now += 1
    assert all_pages(client) == [["late", "early"]]


def test_events_of_ninety_days_ago_are_gone(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    day = 86400
    aws.record(ACCOUNT, "us-east-1", record("kept", clock.now - 89 * day))
    aws.record(ACCOUNT, "us-east-1", record("gone", clock.now - 91 * day))
    assert all_pages(cloudtrail(aws)) == [["kept"]]


def test_each_region_and_account_has_its_own_events(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("here", clock.now))
    aws.record(ACCOUNT, "eu-west-1", record("there", clock.now))
    aws.record("111122223333", "us-east-1", record("theirs", clock.now))
    assert all_pages(cloudtrail(aws, "us-east-1")) == [["here"]]
    assert all_pages(cloudtrail(aws, "eu-west-1")) == [["there"]]


def test_cloudtrail_may_deliver_twice_under_one_id(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    aws.record(ACCOUNT, "us-east-1", record("twice", clock.now), copies=2)
    assert all_pages(cloudtrail(aws)) == [["twice", "twice"]]


def test_data_events_are_no_part_of_the_history(aws: EmbeddedAws, clock: Clock) -> None:
    with pytest.raises(ValueError, match="management events"):
        aws.record(ACCOUNT, "us-east-1", record("e", clock.now, managementEvent=False))


def test_the_third_call_within_a_second_is_throttled_per_region(
    strict_aws: EmbeddedAws, cloudtrail: MakeClient
) -> None:
    here, there = cloudtrail(strict_aws), cloudtrail(strict_aws, "eu-west-1")
    here.lookup_events()
    here.lookup_events()
    assert error_of(here) == "ThrottlingException"
    there.lookup_events()
    calls = strict_aws.calls
    assert calls.count("LookupEvents", region="us-east-1", outcome="ok") == 2
    assert calls.count("LookupEvents", outcome="ThrottlingException") == 1
    assert calls.count("LookupEvents") == 4


def test_random_pages_and_empty_pages_still_hold_every_event(
    aws: EmbeddedAws, cloudtrail: MakeClient, clock: Clock
) -> None:
    for number in range(200):
        aws.record(ACCOUNT, "us-east-1", record(f"e{number}", clock.now - number // 3))
    aws.faults = Faults(empty_page=0.3, page_size=(1, 20), duplicate=0.2, seed=5)
    pages = all_pages(cloudtrail(aws))
    assert [] in pages
    assert max(len(page) for page in pages) <= 20
    flat = flatten(pages)
    assert set(flat) == {f"e{number}" for number in range(200)}
    assert len(flat) > 200
