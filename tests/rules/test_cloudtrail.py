"""What is taken for a CloudTrail record where nothing is declared, and what is not."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.rules.cloudtrail import FIELDS, is_record
from exporter.rules.decoder import Decoder
from tests.support.samples import cloudtrail_files, log_files

DECODER = Decoder(())
CALL = {
    "eventVersion": "1.11",
    "userIdentity": {"type": "Root"},
    "eventTime": "2026-11-22T10:20:30Z",
    "eventSource": "signin.amazonaws.com",
    "eventName": "ConsoleLogin",
    "awsRegion": "us-east-1",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "recipientAccountId": "999999999999",
}
INSIGHT = {
    "eventVersion": "1.09",
    "eventTime": "2026-11-22T10:20:00Z",
    "awsRegion": "us-gov-west-1",
    "eventID": "AAAAAAAA-2222-3333-4444-555555555555",
    "eventType": "AwsCloudTrailInsight",
    "recipientAccountId": "999999999999",
    "sharedEventID": "bbbbbbbb-2222-3333-4444-555555555555",
    "insightDetails": {"state": "Start", "eventSource": "ec2.amazonaws.com", "eventName": "X"},
    "eventCategory": "Insight",
}
DYNAMODB = {
    "eventID": "c4ca4238a0b923820dcc509a6f75849b",
    "eventName": "REMOVE",
    "eventVersion": "1.1",
    "eventSource": "aws:dynamodb",
    "awsRegion": "us-east-1",
    "dynamodb": {"Keys": {"Id": {"N": "101"}}, "ApproximateCreationDateTime": 1479499740},
    "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
}
S3_NOTIFICATION = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "us-west-2",
    "eventTime": "1970-01-01T00:00:00.000Z",
    "eventName": "ObjectCreated:Put",
    "userIdentity": {"principalId": "AIDAJDPLRKLG7UEXAMPLE"},
}
KINESIS = {
    "eventSource": "aws:kinesis",
    "eventVersion": "1.0",
    "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
    "eventName": "aws:kinesis:record",
    "awsRegion": "us-east-2",
}
AUDIT = {
    "eventVersion": "1.0",
    "eventID": "11111111-2222-3333-4444-555555555555",
    "eventTime": "2026-11-22T10:20:30Z",
    "eventName": "OrderApproved",
    "eventSource": "orders.example.com",
    "awsRegion": "eu-west-1",
    "userIdentity": {"name": "alice"},
}


def recognised(message: dict[str, Any] | str) -> bool:
    fields = DECODER.exact(message if isinstance(message, str) else json.dumps(message))
    return fields is not None and is_record(fields)


def without(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


@pytest.mark.parametrize(
    "record",
    [
        CALL,
        INSIGHT,
        without(CALL, "recipientAccountId"),
        without(CALL, "userIdentity"),
        CALL | {"recipientAccountId": "123456789"},
        CALL | {"awsRegion": "us-isob-east-1", "eventVersion": "1.0"},
        CALL | {"awsRegion": "eusc-de-east-1", "eventSource": "ec2.amazonaws.eu"},
    ],
)
def test_what_cloudtrail_writes_is_recognised(record: dict[str, Any]) -> None:
    assert recognised(record)


@pytest.mark.parametrize("record", [DYNAMODB, S3_NOTIFICATION, KINESIS, AUDIT])
def test_what_others_write_is_not(record: dict[str, Any]) -> None:
    assert not recognised(record)


@pytest.mark.parametrize(
    "record",
    [
        *(without(CALL, key) for key in CALL if key not in ("userIdentity", "recipientAccountId")),
        without(CALL, "userIdentity", "recipientAccountId"),
        CALL | {"eventVersion": "2.0"},
        CALL | {"eventVersion": "1.11.1"},
        CALL | {"eventVersion": 1.11},
        CALL | {"eventTime": "yesterday"},
        CALL | {"eventTime": 1732270830},
        CALL | {"awsRegion": "mars-1"},
        CALL | {"eventID": "1"},
        CALL | {"eventID": "11111111-2222-3333-4444-555555555555\n"},
        CALL | {"eventName": ""},
        without(INSIGHT, "recipientAccountId"),
        INSIGHT | {"insightDetails": "Start"},
        {"detail-type": "AWS API Call via CloudTrail", "detail": CALL},
        {},
    ],
)
def test_a_field_that_is_missing_or_of_another_form_makes_it_a_line(record: dict[str, Any]) -> None:
    assert not recognised(record)


def test_public_records_are_recognised_if_their_ids_and_times_were_left_as_they_are() -> None:
    files = cloudtrail_files()
    missed: dict[str, int] = {}
    total = 0
    for file in files:
        messages = file.read_text().splitlines()
        total += len(messages)
        lines = sum(not recognised(message) for message in messages)
        if lines:
            missed[file.stem] = lines
    # Redacted ids and regions; Logstash's @timestamp in place of eventTime; an id of an example.
    assert missed == {"fivexl": 8, "otrf_security_datasets": 103, "trailscraper": 1}
    assert total == 1449


def test_no_public_log_line_is_taken_for_a_record() -> None:
    messages = [line for file in log_files() for line in file.read_text().splitlines()]
    assert len(messages) > 500
    assert not any(recognised(message) for message in messages)


@pytest.mark.parametrize(
    "name", ["eventVersion", "awsRegion", "eventTime", "recipientAccountId", "eventID"]
)
def test_the_texts_of_long_fields_are_not_kept(name: str) -> None:
    # Whoever writes log lines could otherwise fill the memory with a few thousand of them.
    text = str(CALL[name]) + "x" * 1000
    fields: Any = SimpleNamespace(**{field: CALL.get(field) for field in FIELDS})
    before = sys.getrefcount(text)
    setattr(fields, name, text)
    is_record(fields)
    del fields
    assert sys.getrefcount(text) == before
