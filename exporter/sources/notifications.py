"""Messages that name objects: S3's, EventBridge's and CloudTrail's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

import msgspec

from exporter.aws.objects import ObjectName
from exporter.jsontext import members
from exporter.sources.sns import is_from_sns, notified

_DEEPEST: Final = 3
_CREATED: Final = "ObjectCreated:"
_VALIDATION: Final = "CloudTrail validation message."
"""AWS: CloudTrail sends it to a topic when a trail is set up."""
_MOST_OBJECTS: Final = 1000
"""Of a message: S3 names one object, CloudTrail some. A megabyte could name 100,000."""
_LONGEST_BUCKET: Final = 255
"""Characters. AWS: 63, and 255 in buckets of before 2018."""
_LONGEST_KEY: Final = 1024
"""AWS: bytes of a key, and of a version id."""
_decode = msgspec.json.Decoder().decode


class UnknownNotificationError(Exception):
    """A message names no object; the error says what it is, without its content."""


@dataclass(frozen=True, slots=True)
class Notification:
    """What a message says."""

    objects: tuple[ObjectName, ...] = ()
    """New objects."""
    others: int = 0
    """Events that are not about new objects: deletions, a test of the notifications."""


def read_notification(body: str) -> Notification:
    """Read a message; raises UnknownNotificationError.

    AWS: keys are URL-encoded in S3's notifications, and plain in those of EventBridge and
    CloudTrail. SNS wraps any of these in the text of a notification.
    """
    for _ in range(_DEEPEST):
        if body.strip() == _VALIDATION:
            return Notification(others=1)
        found = members(body)
        if found is None:
            raise UnknownNotificationError("it is not a JSON object")
        if not is_from_sns(found):
            notification = _read(body)
            if len(notification.objects) > _MOST_OBJECTS:
                raise UnknownNotificationError(f"it names more than {_MOST_OBJECTS} objects")
            return notification
        inner = notified(found)
        if inner is None:
            raise UnknownNotificationError("it is a message of SNS, but no notification")
        body = inner
    raise UnknownNotificationError("it is nested too deeply")


def _read(body: str) -> Notification:
    try:
        message = _decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UnknownNotificationError("it is not JSON") from error
    try:
        if "s3Bucket" in message:
            return Notification(tuple(_of_cloudtrail(message)))
        if message.get("Event") == "s3:TestEvent":
            return Notification(others=1)
        if message.get("source") == "aws.s3":
            return _of_event_bridge(message)
        if message.get("Records"):
            return _of_s3(message["Records"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnknownNotificationError("a part of it is missing or has a wrong type") from error
    except UnicodeDecodeError as error:
        raise UnknownNotificationError("a key in it is not UTF-8") from error
    raise UnknownNotificationError("it is no notification of S3, EventBridge or CloudTrail")


def _of_cloudtrail(message: Mapping[str, Any]) -> Iterator[ObjectName]:
    keys = message["s3ObjectKey"]
    for key in [keys] if isinstance(keys, str) else keys:
        yield _name(message["s3Bucket"], key)


def _of_event_bridge(message: Mapping[str, Any]) -> Notification:
    if message["detail-type"] != "Object Created":
        return Notification(others=1)
    detail = message["detail"]
    found = detail["object"]
    return Notification((_name(detail["bucket"]["name"], found["key"], found.get("version-id")),))


def _of_s3(records: list[Any]) -> Notification:
    objects: list[ObjectName] = []
    others = 0
    for record in records:
        if record["eventSource"] != "aws:s3":
            raise UnknownNotificationError("it is not from S3")
        if str(record["eventName"]).removeprefix("s3:").startswith(_CREATED):
            s3 = record["s3"]
            key = unquote_plus(s3["object"]["key"], errors="strict")
            objects.append(_name(s3["bucket"]["name"], key, s3["object"].get("versionId")))
        else:
            others += 1
    return Notification(tuple(objects), others)


def _name(bucket: object, key: object, version: object = None) -> ObjectName:
    if not (isinstance(bucket, str) and bucket and isinstance(key, str) and key):
        raise TypeError
    if version is not None and not isinstance(version, str):
        raise TypeError
    lengths = len(key.encode()), len(version or "")
    if len(bucket) > _LONGEST_BUCKET or max(lengths) > _LONGEST_KEY:
        raise UnknownNotificationError("a name in it is longer than any of S3")
    return ObjectName(bucket, key, version if version and version != "null" else "")
