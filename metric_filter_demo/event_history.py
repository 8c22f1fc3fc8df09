"""CloudTrail's event history and LookupEvents, as AWS documents them."""

from __future__ import annotations

import bisect
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from metric_filter_demo.faults import FaultInjector
from metric_filter_demo.patterns import Doubts
from metric_filter_demo.protocol import ApiError, Request, page_position, page_token

# AWS: "You can look up events that occurred in a Region within the last 90 days."
_HISTORY_SECONDS = 90 * 86400.0
_PAGE = 50
_LONGEST_VALUE = 2000
_ATTRIBUTES = (
    "EventId",
    "EventName",
    "ReadOnly",
    "Username",
    "ResourceType",
    "ResourceName",
    "EventSource",
    "AccessKeyId",
)


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    time: int
    """Whole seconds, the resolution of EventTime."""
    number: int
    """Order of arrival, unique."""
    visible_at: float = field(compare=False)
    event: dict[str, Any] = field(compare=False)
    """An Event of the API's answer."""


class EventHistory:
    """Management events by account and region; ``lookup`` answers LookupEvents. Thread-safe.

    ``retention``: seconds after which events are dropped, to bound memory; by default AWS's.
    """

    def __init__(
        self,
        injector: FaultInjector,
        *,
        clock: Callable[[], float] = time.time,
        retention: float | None = None,
    ) -> None:
        self._injector = injector
        self._clock = clock
        self._retention = min(retention or _HISTORY_SECONDS, _HISTORY_SECONDS)
        self._entries: dict[tuple[str, str], list[_Entry]] = {}
        self._numbers = 0
        self._lock = threading.Lock()

    def record(
        self,
        account: str,
        region: str,
        record: Mapping[str, Any],
        *,
        visible_in: float = 0.0,
        copies: int = 1,
    ) -> str:
        """Store a CloudTrail record; look-ups find it ``visible_in`` seconds from now.

        ``copies`` above 1 store it again under the same id, as CloudTrail at times delivers
        twice. Returns the event id (made up if the record has none). Records that are no
        management events are not part of the history and raise ValueError.
        """
        if record.get("managementEvent") is False or record.get("eventCategory") == "Data":
            raise ValueError("The event history has management events only.")
        event = _event({"eventID": str(uuid4()), **record}, self._injector.faults.doubts)
        now = self._clock()
        with self._lock:
            entries = self._entries.setdefault((account, region), [])
            for _ in range(copies):
                self._numbers += 1
                entry = _Entry(event["EventTime"], self._numbers, now + visible_in, event)
                bisect.insort(entries, entry)
            if entries[0].time < now - 2 * self._retention:
                del entries[: _index(entries, now - self._retention)]
        return str(event["EventId"])

    def lookup(self, request: Request) -> dict[str, Any]:
        """Answer LookupEvents: newest first; raises ApiError as AWS does."""
        parameters = request.parameters()
        wanted = _wanted(parameters)
        size = _size(parameters)
        start, end = parameters.get("StartTime"), parameters.get("EndTime")
        if start is not None and end is not None and start > end:
            raise ApiError(
                "InvalidTimeRangeException", "The start time is later than the end time."
            )
        before = _before(parameters)
        category = parameters.get("EventCategory")
        if category not in (None, "insight"):
            raise ApiError("InvalidEventCategoryException", f"Unknown event category: {category}")
        if category == "insight":
            return {"Events": []}
        now = self._clock()
        oldest = max(start if start is not None else 0, now - self._retention)
        with self._lock:
            entries = self._entries.get((request.account, request.region), [])
            low = _index(entries, oldest)
            high = len(entries) if end is None else _index(entries, int(end) + 1)
            if before is not None:
                high = min(high, bisect.bisect_left(entries, before))
            found = (
                entry
                for entry in reversed(entries[low:high])
                if entry.visible_at <= now and wanted(entry.event)
            )
            page, last = self._page(found, self._injector.page(size), before)
        answer: dict[str, Any] = {"Events": page}
        if last is not None:
            position = {"time": last.time, "number": last.number}
            answer["NextToken"] = page_token(position, parameters)
        return answer

    def _page(
        self, found: Iterator[_Entry], size: int, before: _Entry | None
    ) -> tuple[list[dict[str, Any]], _Entry | None]:
        """Up to ``size`` events, and the entry to continue after, if there are more."""
        page: list[dict[str, Any]] = []
        last = before
        for entry in found:
            if len(page) >= size:
                return page, last or _Entry(entry.time + 1, 0, 0, {})
            page.append(entry.event)
            if len(page) < size and self._injector.duplicated():
                page.append(entry.event)
            last = entry
        return page, None


def _index(entries: list[_Entry], since: float) -> int:
    """Index of the first entry at or after a time."""
    return bisect.bisect_left(entries, since, key=lambda entry: entry.time)


def _size(parameters: Mapping[str, Any]) -> int:
    size = parameters.get("MaxResults", _PAGE)
    if not isinstance(size, int) or not 1 <= size <= _PAGE:
        raise ApiError(
            "InvalidMaxResultsException", f"MaxResults must be 1 through {_PAGE}, not {size}."
        )
    return size


def _before(parameters: Mapping[str, Any]) -> _Entry | None:
    token = parameters.get("NextToken")
    if token is None:
        return None
    position = page_position(token, parameters)
    if position is None:
        raise ApiError(
            "InvalidNextTokenException",
            "The token is not valid, or was given to a call with other parameters.",
        )
    return _Entry(position["time"], position["number"], 0, {})


def _wanted(parameters: Mapping[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """The condition that LookupAttributes put."""
    attributes = parameters.get("LookupAttributes") or []
    if not attributes:
        return lambda _event: True
    key = attributes[0].get("AttributeKey")
    value = attributes[0].get("AttributeValue")
    # AWS: "Currently the list can contain only one item."
    if (
        len(attributes) > 1
        or key not in _ATTRIBUTES
        or not isinstance(value, str)
        or not 1 <= len(value) <= _LONGEST_VALUE
    ):
        raise ApiError(
            "InvalidLookupAttributesException",
            "Exactly one lookup attribute with a known key and a value can be given.",
        )
    if key in ("ResourceType", "ResourceName"):
        return lambda event: any(resource.get(key) == value for resource in event["Resources"])
    return lambda event: event.get(key) == value


def _event(record: Mapping[str, Any], doubts: Doubts) -> dict[str, Any]:
    """The answer's Event for a CloudTrail record."""
    identity = record.get("userIdentity") or {}
    event = {
        "EventId": record["eventID"],
        "EventName": record.get("eventName"),
        # AWS does not say how it selects records that do not say it.
        "ReadOnly": str(record["readOnly"]).lower() if "readOnly" in record else None,
        "AccessKeyId": identity.get("accessKeyId"),
        "EventTime": int(datetime.fromisoformat(record["eventTime"]).timestamp()),
        "EventSource": record.get("eventSource"),
        "Username": _user_name(identity, doubts),
        "Resources": [
            {"ResourceType": resource.get("type"), "ResourceName": resource.get("ARN")}
            for resource in record.get("resources") or ()
        ],
        "CloudTrailEvent": json.dumps(record, separators=(",", ":")),
    }
    return {name: value for name, value in event.items() if value is not None}


def _user_name(identity: Mapping[str, Any], doubts: Doubts) -> str | None:
    if identity.get("type") == "Root":
        # AWS: userName of the root user is the account's alias, if there is one.
        return str(identity.get("userName") or "root") if doubts.messages else "root"
    if identity.get("type") == "AssumedRole":
        return str(identity.get("arn", "")).rpartition("/")[2] or None
    name = identity.get("userName")
    return str(name) if name else None
