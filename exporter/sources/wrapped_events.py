"""Log events that a program of AWS has wrapped: in the answers of its API, or in a message of SNS.

AWS: ``aws cloudtrail lookup-events`` has a record in ``CloudTrailEvent``, ``aws logs
filter-log-events`` and ``get-log-events`` a log event's text in ``message``, a notification of SNS
in ``Message``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from exporter.jsontext import REFUSED, string, value_of

LISTS: Final = ("Events", "events")
"""The members of answers that list them."""

_MARKS: Final = ('"CloudTrailEvent"', '"ingestionTime"', '"Notification"')
"""Each of them has one of these."""
_START: Final = re.compile(
    rb'(?:\[\s*)?\{\s*"(?:[Ee]vents|next\w*|NextToken|searchedLogStreams|EventId|CloudTrailEvent|'
    rb'eventId|logStreamName|timestamp|message|ingestionTime)"\s*:'
)
_MEMBER: Final = re.compile(rb'"(?:CloudTrailEvent"\s*:\s*"|ingestionTime"\s*:\s*\d)')
_NOTIFICATION: Final = re.compile(rb'(?:\[\s*)?\{\s*"Type"\s*:\s*"Notification"')
_STRINGS: Final = re.compile(rb'(?:\[\s*)?"(?:\{|\[)')


class _LookedUp(msgspec.Struct):
    text: str = msgspec.field(name="CloudTrailEvent")
    id: str = msgspec.field(name="EventId", default="")


class _Logged(msgspec.Struct, forbid_unknown_fields=True):
    text: str = msgspec.field(name="message")
    time: int = msgspec.field(name="timestamp")
    ingested: int = msgspec.field(name="ingestionTime")
    id: str = msgspec.field(name="eventId", default="")
    stream: str = msgspec.field(name="logStreamName", default="")


class _Notification(msgspec.Struct):
    type: Literal["Notification"] = msgspec.field(name="Type")
    text: str = msgspec.field(name="Message")


def _reader(of: type[Any]) -> Callable[[str], str | None]:
    decode = msgspec.json.Decoder(of).decode

    def read(raw: str) -> str | None:
        try:
            return str(decode(raw).text)
        except REFUSED:
            pass
        try:
            return str(msgspec.convert(value_of(raw), of, strict=False).text)
        except REFUSED:
            return None

    return read


_looked_up = _reader(_LookedUp)
_logged = _reader(_Logged)
_notified = _reader(_Notification)


def unwrapped(raw: str) -> tuple[str, bool] | None:
    """The text in an object that wraps it, and whether it may be a document of records itself.

    A JSON string that has an object or an array is one, too: ``jq .Events[].CloudTrailEvent``. None
    for all others.
    """
    if raw[:1] == '"':
        text = string(raw)
        return None if text is None or text[:1] not in "{[" else (text, True)
    if _MARKS[0] in raw and (text := _looked_up(raw)):
        return text, False
    if _MARKS[1] in raw and (text := _logged(raw)):
        return text, False
    if _MARKS[2] in raw and (text := _notified(raw)) and text.lstrip()[:1] in ("{", "["):
        return text, True
    return None


def begins_wrapped(start: bytes) -> bool:
    """Whether a content begins with a wrapped log event, or with a list of these."""
    if _START.match(start):
        return _MEMBER.search(start) is not None
    return _NOTIFICATION.match(start) is not None or _STRINGS.match(start) is not None
