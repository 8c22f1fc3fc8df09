"""Messages that name objects."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.aws.objects import ObjectName
from exporter.sources.notifications import (
    Notification,
    UnknownNotificationError,
    read_notification,
)

KEY = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/26/a b+c=ü.json.gz"


def of_s3(bucket: str, *keys: str, event: str = "ObjectCreated:Put", version: str = "") -> Any:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": event,
                "awsRegion": "us-east-1",
                "s3": {
                    "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                    "object": {"key": quote_plus(key, safe="/"), "size": 1}
                    | ({"versionId": version} if version else {}),
                },
            }
            for key in keys
        ]
    }


def of_event_bridge(bucket: str, key: str, kind: str = "Object Created") -> Any:
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "version-id": "v"}}
    return {"source": "aws.s3", "detail-type": kind, "account": "111122223333", "detail": detail}


def notification(message: Any, kind: str = "Notification") -> Any:
    topic = "arn:aws:sns:us-east-1:123456789012:trail"
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Type": kind, "TopicArn": topic, "Message": text}


@pytest.mark.parametrize("wrap", [lambda one: one, notification])
@pytest.mark.parametrize(
    ("message", "objects", "others"),
    [
        (of_s3("b", KEY, "x"), [ObjectName("b", KEY), ObjectName("b", "x")], 0),
        (of_s3("b", KEY, version="v1"), [ObjectName("b", KEY, "v1")], 0),
        (of_s3("b", KEY, event="ObjectRemoved:Delete"), [], 1),
        (of_event_bridge("b", KEY), [ObjectName("b", KEY, "v")], 0),
        (of_event_bridge("b", KEY, "Object Deleted"), [], 1),
        (
            {"s3Bucket": "b", "s3ObjectKey": [KEY, "x"]},
            [ObjectName("b", KEY), ObjectName("b", "x")],
            0,
        ),
        ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, [], 1),
    ],
)
def test_each_shape_names_its_objects(
    wrap: Any, message: Any, objects: list[ObjectName], others: int
) -> None:
    found = read_notification(json.dumps(wrap(message)))
    assert found == Notification(tuple(objects), others)


def test_cloudtrails_message_to_a_new_topic_names_nothing() -> None:
    body = json.dumps(notification("CloudTrail validation message."))
    assert read_notification(body) == Notification(others=1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"Records": [{"eventSource": "aws:dynamodb"}]}',
        '{"Records": "b"}',
        '{"Records": [1]}',
        '{"s3Bucket": "b"}',
        '{"s3Bucket": "b", "s3ObjectKey": [1]}',
        '{"s3Bucket": "", "s3ObjectKey": ["k"]}',
        json.dumps(of_s3("b", KEY)).replace("ObjectCreated", "x").replace('"eventName"', '"y"'),
        json.dumps({"source": "aws.s3", "detail-type": "Object Created", "detail": {}}),
        json.dumps(notification(of_s3("b", KEY), "SubscriptionConfirmation")),
        json.dumps(notification(notification(notification(of_s3("b", KEY))))),
        json.dumps(of_s3("b", "%ff")).replace("%25ff", "%ff"),
        json.dumps(of_s3("b" * 256, KEY)),
        json.dumps({"s3Bucket": "b", "s3ObjectKey": ["k"] * 1001}),
        json.dumps(of_s3("b", "ü" * 513)),
        json.dumps(of_s3("b", KEY, version="v" * 1025)),
        '{"a":' * 100_000,
    ],
)
def test_anything_else_is_an_error(body: str) -> None:
    with pytest.raises(UnknownNotificationError):
        read_notification(body)


_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=255)


@given(_names, _names)
def test_every_key_is_the_one_that_was_written(bucket: str, key: str) -> None:
    wanted = (ObjectName(bucket, key),)
    assert read_notification(json.dumps(of_s3(bucket, key))).objects == wanted
    body = json.dumps({"s3Bucket": bucket, "s3ObjectKey": [key]})
    assert read_notification(body).objects == wanted


_NAMES = st.sampled_from(
    "Records eventSource eventName s3 bucket object name key versionId source detail detail-type"
    " s3Bucket s3ObjectKey Event Type TopicArn Message version-id".split()
)
_VALUES = st.sampled_from(
    ["aws:s3", "ObjectCreated:Put", "aws.s3", "Object Created", "Notification", "b", "%ff", "", "k"]
)


@given(
    st.recursive(
        _VALUES | st.none() | st.booleans() | st.integers(0, 3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
        max_leaves=12,
    ),
    st.sampled_from(
        [of_s3("b", "k"), of_event_bridge("b", "k"), {"s3Bucket": "b", "s3ObjectKey": ["k"]}]
    ),
    st.randoms(use_true_random=False),
)
def test_whatever_a_message_says_it_names_objects_or_is_an_error(
    part: object, whole: dict[str, Any], random: Random
) -> None:
    message = json.loads(json.dumps(whole))
    at = message
    while isinstance(at, dict | list) and at:
        place = random.choice(list(at) if isinstance(at, dict) else range(len(at)))
        if random.random() < 0.3 or not isinstance(at[place], dict | list):
            at[place] = part
            break
        at = at[place]
    try:
        names = read_notification(json.dumps(message)).objects
    except UnknownNotificationError:
        return
    assert all(name.bucket and name.key for name in names)
