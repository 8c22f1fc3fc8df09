"""The shapes in which EventBridge's events come in a queue."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from exporter.jsontext import elements, members, string
from exporter.sources.sns import is_from_sns, notified

_DEEPEST: Final = 5
"""Lists, SNS notifications and metadata around an event."""
_ENVELOPE: Final = ("id", "detail-type", "source", "account", "time", "region")
_RECORD: Final = ("eventVersion", "eventID", "eventTime", "eventSource")


class UnknownShapeError(Exception):
    """A body or a part of it is not in one of EventBridge's shapes; the message says why."""


class BusEvent(NamedTuple):
    """An event of a message."""

    text: str
    """Its JSON: an envelope, a CloudTrail record, or the data of an event with metadata."""
    id: str | None
    """EventBridge's id of the data; None if the event has its own."""


def bus_events(body: str) -> Iterator[BusEvent | UnknownShapeError]:
    """The events of a message's body, with an error for each part that is not an event.

    AWS: a rule sends the envelope. A subscriber of a custom event bus sends the published data
    (RAW) or ``Data``, ``Metadata`` and ``SystemMetadata`` (WITH_METADATA), and may send several in
    a list. SNS wraps any of these in the text of a notification.
    """
    yield from _events(body, 0)


def _events(text: str, depth: int) -> Iterator[BusEvent | UnknownShapeError]:
    if depth > _DEEPEST:
        yield UnknownShapeError("its events are nested too deeply")
        return
    start = text.lstrip(" \t\r\n")[:1]
    if start == "[":
        parts = elements(text)
        if parts is None:
            yield UnknownShapeError("it is not JSON")
        elif not parts:
            yield UnknownShapeError("it is an empty list")
        else:
            for part in parts:
                yield from _events(part, depth + 1)
        return
    found = members(text) if start == "{" else None
    if found is None:
        yield UnknownShapeError("it is not a JSON object or list")
    elif _has_texts(found, _ENVELOPE) and found.get("detail", "").startswith("{"):
        yield BusEvent(text, None)
    elif is_from_sns(found):
        yield from _notification(found, depth)
    elif "Data" in found and found.get("SystemMetadata", "").startswith("{"):
        yield from _with_metadata(found, depth)
    elif _has_texts(found, _RECORD):
        yield BusEvent(text, None)
    else:
        yield UnknownShapeError(
            "it is neither an envelope of EventBridge nor a CloudTrail record: deliver events as"
            " they are, without an input transformer"
        )


def _notification(found: dict[str, str], depth: int) -> Iterator[BusEvent | UnknownShapeError]:
    message = notified(found)
    if message is None:
        yield UnknownShapeError("it is from SNS, but is no notification: confirm subscriptions")
    else:
        yield from _events(message, depth + 1)


def _with_metadata(found: dict[str, str], depth: int) -> Iterator[BusEvent | UnknownShapeError]:
    data = found["Data"]
    system = members(found["SystemMetadata"]) or {}
    event_id = string(system.get("aws:EventId"))
    inner = list(_events(data, depth + 1))
    if not any(isinstance(one, UnknownShapeError) for one in inner):
        yield from inner
    elif data.startswith("{") and event_id:
        # Any other data is an event too, which its metadata identifies.
        yield BusEvent(data, event_id)
    else:
        yield UnknownShapeError("the data of an event is not a JSON object")


def _has_texts(found: dict[str, str], names: tuple[str, ...]) -> bool:
    return all(string(found.get(name)) for name in names)
