"""How a CloudTrail record is recognised among messages that anyone can write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

_VERSION = re.compile(r"1\.[0-9]{1,2}")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Data sets whose accounts and regions were replaced (Stratus Red Team) have a letter at the end.
_REGION = re.compile("[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}[a-z]?")
_ACCOUNT_ID = re.compile("[0-9]{12}")
_SERVICE = ".amazonaws."
_INSIGHT = "AwsCloudTrailInsight"


def is_record(document: Mapping[str, object]) -> bool:
    """Whether a JSON message has what only CloudTrail writes together.

    AWS: every record has ``eventVersion`` (major version 1), ``eventTime``, ``awsRegion`` and
    ``eventID`` (a GUID). Then a call, a sign-in or an event of a service has ``eventSource`` (a
    service's ``….amazonaws.com``), ``eventName``, and ``recipientAccountId`` or ``userIdentity``;
    an Insights event names those in its ``insightDetails``, and has ``recipientAccountId``.
    Other writers' events (a DynamoDB stream, S3 notifications, an application's own) lack some.
    """
    if not (
        _has(document, "eventVersion", _VERSION)
        and _has(document, "eventID", _UUID)
        and _has(document, "awsRegion", _REGION)
        and milliseconds(_string(document, "eventTime")) is not None
    ):
        return False
    delivered = _has(document, "recipientAccountId", _ACCOUNT_ID)
    if _string(document, "eventType") == _INSIGHT:
        return delivered and isinstance(document.get("insightDetails"), dict)
    return (
        _SERVICE in _string(document, "eventSource")
        and bool(_string(document, "eventName"))
        and (delivered or isinstance(document.get("userIdentity"), dict))
    )


def is_account_id(value: str) -> bool:
    """Whether a text can be an account's id: 12 digits."""
    return _ACCOUNT_ID.fullmatch(value) is not None


def _has(document: Mapping[str, object], key: str, form: re.Pattern[str]) -> bool:
    return form.fullmatch(_string(document, key)) is not None


def _string(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    # A number is a NumberText, a str of another type.
    return value if type(value) is str else ""


@lru_cache(maxsize=1024)
def milliseconds(moment: str) -> int | None:
    """Milliseconds since the epoch of an ISO 8601 time, UTC where it names no zone; else None."""
    try:
        parsed = datetime.fromisoformat(moment)
    except (ValueError, OverflowError):
        return None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return round(parsed.timestamp() * 1000)
