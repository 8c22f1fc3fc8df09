"""How a CloudTrail record is recognised among messages that anyone can write."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol, TypeVar

from exporter.rules.values import is_object, settled

_VERSION = re.compile(r"1\.[0-9]{1,2}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Data sets whose accounts and regions were replaced (Stratus Red Team) have a letter at the end.
_REGION = re.compile("[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}[a-z]?")
_ACCOUNT_ID = re.compile("[0-9]{12}")
_SERVICE = ".amazonaws."
_INSIGHT = "AwsCloudTrailInsight"
_LONGEST_KEPT = 64
"""Characters; a message can have a text of megabytes in any field."""

T = TypeVar("T")


def _kept(function: Callable[[str], T]) -> Callable[[str], T]:
    """Keep the results of a function for short texts."""
    kept = lru_cache(maxsize=1024)(function)
    return lambda text: kept(text) if len(text) <= _LONGEST_KEPT else function(text)


class RecordFields(Protocol):
    """The fields of a JSON message that a CloudTrail record is recognised and described by.

    ``rules/decoder.py`` makes them; ``MISSING`` where the message has none.
    """

    eventID: object  # noqa: N815 (CloudTrail's own names)
    eventTime: object  # noqa: N815
    eventVersion: object  # noqa: N815
    awsRegion: object  # noqa: N815
    recipientAccountId: object  # noqa: N815
    eventType: object  # noqa: N815
    eventSource: object  # noqa: N815
    eventName: object  # noqa: N815
    insightDetails: object  # noqa: N815
    userIdentity: object  # noqa: N815


FIELDS = tuple(RecordFields.__annotations__)
"""Their names."""


def is_record(fields: RecordFields) -> bool:
    """Whether a JSON message has what only CloudTrail writes together.

    AWS: every record has ``eventVersion`` (major version 1), ``eventTime``, ``awsRegion`` and
    ``eventID`` (a GUID). Then a call, a sign-in or an event of a service has ``eventSource`` (a
    service's ``….amazonaws.com``), ``eventName``, and ``recipientAccountId`` or ``userIdentity``;
    an Insights event names those in its ``insightDetails``, and has ``recipientAccountId``.
    Other writers' events (a DynamoDB stream, S3 notifications, an application's own) lack some.
    """
    if not (
        _is_version(_string(fields.eventVersion))
        and _UUID.fullmatch(_string(fields.eventID))
        and _is_region(_string(fields.awsRegion))
        and milliseconds(_string(fields.eventTime)) is not None
    ):
        return False
    delivered = is_account_id(_string(fields.recipientAccountId))
    if _string(fields.eventType) == _INSIGHT:
        return delivered and is_object(fields.insightDetails)
    return (
        _SERVICE in _string(fields.eventSource)
        and bool(_string(fields.eventName))
        and (delivered or is_object(fields.userIdentity))
    )


@_kept
def is_account_id(value: str) -> bool:
    """Whether a text can be an account's id: 12 digits."""
    return _ACCOUNT_ID.fullmatch(value) is not None


@_kept
def _is_region(value: str) -> bool:
    return _REGION.fullmatch(value) is not None


@_kept
def _is_version(value: str) -> bool:
    return _VERSION.fullmatch(value) is not None


def _string(value: object) -> str:
    if value.__class__ is not str:
        value = settled(value)
    # A number is a NumberText, a str of another type.
    return value if type(value) is str else ""


@_kept
def milliseconds(moment: str) -> int | None:
    """Milliseconds since the epoch of an ISO 8601 time, UTC where it names no zone; else None."""
    try:
        parsed = datetime.fromisoformat(moment)
    except (ValueError, OverflowError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)
