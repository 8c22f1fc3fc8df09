"""CloudWatch Logs' FilterLogEvents as AWS documents it; log groups themselves are moto's."""

from __future__ import annotations

import bisect
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metric_filter_demo.faults import FaultInjector
from metric_filter_demo.patterns import InvalidPattern, read_pattern
from metric_filter_demo.protocol import ApiError, Request, page_position, page_token

# AWS: "Each page returned can contain up to 1 MB of log events or up to 10,000 log events."
_PAGE_BYTES = 1_048_576
_PAGE_EVENTS = 10_000
_EVENT_OVERHEAD = 26
# AWS: "The token expires after 24 hours."
_TOKEN_SECONDS = 86400.0

GroupKey = tuple[str, str, str]
"""Account, region and name of a log group."""


@dataclass(frozen=True, slots=True, order=True)
class _Entry:
    timestamp: int
    ingestion: int
    number: int
    """Order of arrival, unique."""
    id: str = field(compare=False)
    stream: str = field(compare=False)
    message: str = field(compare=False)
    visible_at: float = field(compare=False)

    def answer(self) -> dict[str, Any]:
        return {
            "logStreamName": self.stream,
            "timestamp": self.timestamp,
            "message": self.message,
            "ingestionTime": self.ingestion,
            "eventId": self.id,
        }


class LogEvents:
    """Log events by log group; ``filter`` answers FilterLogEvents. Thread-safe.

    ``retention``: seconds after which events are dropped, to bound memory.
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
        self._retention = retention
        self._entries: dict[GroupKey, list[_Entry]] = {}
        self._numbers = 0
        self._lock = threading.Lock()

    def put(
        self,
        group: GroupKey,
        message: str,
        *,
        timestamp: int | None = None,
        stream: str = "main",
        visible_in: float = 0.0,
    ) -> str:
        """Store a log event; it is found ``visible_in`` seconds from now. Returns its id.

        ``timestamp``: milliseconds, default now. The ingestion time is when it becomes visible.
        """
        now = self._clock()
        ingestion = int((now + visible_in) * 1000)
        stamp = ingestion if timestamp is None else timestamp
        # AWS's ids are 56 digits that grow with the timestamp.
        event_id = f"{(stamp << 128) + secrets.randbits(128):056d}"
        with self._lock:
            self._numbers += 1
            entries = self._entries.setdefault(group, [])
            entry = _Entry(
                stamp, ingestion, self._numbers, event_id, stream, message, now + visible_in
            )
            if entries and entry < entries[-1]:
                bisect.insort(entries, entry)
            else:  # Most come in order; a search among some hundred thousand takes longer.
                entries.append(entry)
            self._drop_old(entries, now)
        return event_id

    def drop(self, group: GroupKey) -> None:
        """Forget a log group's events."""
        with self._lock:
            self._entries.pop(group, None)

    def filter(self, request: Request, group: GroupKey) -> dict[str, Any]:
        """Answer FilterLogEvents for an existing group; raises ApiError as AWS does."""
        parameters = request.parameters()
        _check(parameters)
        pattern = parameters.get("filterPattern") or ""
        try:
            match = read_pattern(pattern, self._injector.faults.doubts)
        except InvalidPattern as error:
            raise _invalid(f"Invalid filter pattern: {error}") from None
        newest_first, after = self._position(parameters)
        now = self._clock()
        start = parameters.get("startTime", 0)
        end = parameters.get("endTime")
        with self._lock:
            entries = self._entries.get(group, [])
            low = _index(entries, start)
            high = len(entries) if end is None else _index(entries, end + 1)
            if after is not None and newest_first:
                high = min(high, bisect.bisect_left(entries, after))
            elif after is not None:
                low = max(low, bisect.bisect_right(entries, after))
            window = entries[low:high]
        chosen = _stream_condition(parameters)
        found = (
            entry
            for entry in (reversed(window) if newest_first else window)
            if entry.visible_at <= now and chosen(entry.stream) and match(entry.message) is not None
        )
        page, last, more = self._page(found, parameters.get("limit", _PAGE_EVENTS), after)
        # AWS: searchedLogStreams "returns an empty list" since May 15, 2020.
        answer: dict[str, Any] = {"events": page, "searchedLogStreams": []}
        if more:
            answer["nextToken"] = page_token(
                {
                    "timestamp": last.timestamp if last else None,
                    "ingestion": last.ingestion if last else None,
                    "number": last.number if last else None,
                    "newest_first": newest_first,
                    "expires": now + _TOKEN_SECONDS,
                },
                _token_parameters(parameters),
            )
        return answer

    def _page(
        self, found: Iterator[_Entry], limit: int, after: _Entry | None
    ) -> tuple[list[dict[str, Any]], _Entry | None, bool]:
        """A page, the entry to continue after (None for the start), and whether a token is due.

        A full page has a token even if nothing follows, as AWS's do.
        """
        most = self._injector.page(min(limit, _PAGE_EVENTS))
        page: list[dict[str, Any]] = []
        if most == 0:
            return page, after, True
        last, size = after, 0
        for entry in found:
            size += len(entry.message.encode()) + _EVENT_OVERHEAD
            if page and size > _PAGE_BYTES:
                return page, last, True
            page.append(entry.answer())
            if len(page) < most and self._injector.duplicated():
                page.append(entry.answer())
            last = entry
            if len(page) >= most:
                return page, last, True
        return page, last, False

    def _position(self, parameters: Mapping[str, Any]) -> tuple[bool, _Entry | None]:
        """Whether newest come first, and the entry after which the page starts."""
        token = parameters.get("nextToken")
        if token is None:
            return parameters.get("startFromHead") is False, None
        position = page_position(token, _token_parameters(parameters))
        if position is None or position["expires"] < self._clock():
            raise _invalid("The specified nextToken is invalid.")
        newest_first = bool(position["newest_first"])
        if position["timestamp"] is None:
            return newest_first, None
        return newest_first, _Entry(
            position["timestamp"], position["ingestion"], position["number"], "", "", "", 0.0
        )

    def _drop_old(self, entries: list[_Entry], now: float) -> None:
        if self._retention is None:
            return
        if entries[0].timestamp < (now - 2 * self._retention) * 1000:
            del entries[: _index(entries, (now - self._retention) * 1000)]


def group_of(parameters: Mapping[str, Any], account: str, region: str) -> GroupKey:
    """The log group that a call names, by name or identifier (a name or an ARN)."""
    name = parameters.get("logGroupName")
    identifier = parameters.get("logGroupIdentifier")
    if bool(name) == bool(identifier):
        raise _invalid("Exactly one of logGroupName and logGroupIdentifier must be given.")
    if name:
        return account, region, str(name)
    if not str(identifier).startswith("arn:"):
        return account, region, str(identifier)
    # arn:aws:logs:<region>:<account>:log-group:<name>, at times with a trailing :*
    parts = str(identifier).split(":")
    if len(parts) < 7:
        raise _invalid("logGroupIdentifier is not the ARN of a log group.")
    return parts[4], parts[3], parts[6]


def _check(parameters: Mapping[str, Any]) -> None:
    limit = parameters.get("limit", 1)
    if not isinstance(limit, int) or not 1 <= limit <= _PAGE_EVENTS:
        raise _invalid(f"limit must be 1 through {_PAGE_EVENTS}, not {limit}.")
    if parameters.get("logStreamNames") and parameters.get("logStreamNamePrefix"):
        raise _invalid("logStreamNames and logStreamNamePrefix cannot both be given.")
    if len(parameters.get("logStreamNames") or ()) > 100:
        raise _invalid("logStreamNames can hold 100 names at most.")
    start, end = parameters.get("startTime", 0), parameters.get("endTime")
    if start < 0 or (end is not None and end < 0):
        raise _invalid("startTime and endTime cannot be negative.")
    if end is not None and start > end:
        raise _invalid("startTime is later than endTime.")


def _token_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    # AWS: "If you provide both nextToken and startFromHead, the direction of the nextToken is
    # used."
    left_out = ("startFromHead", "limit", "interleaved")
    return {name: value for name, value in parameters.items() if name not in left_out}


def _stream_condition(parameters: Mapping[str, Any]) -> Callable[[str], bool]:
    names = frozenset(parameters.get("logStreamNames") or ())
    prefix = parameters.get("logStreamNamePrefix") or ""
    return lambda stream: (not names or stream in names) and stream.startswith(prefix)


def _index(entries: list[_Entry], since: float) -> int:
    """Index of the first entry at or after a timestamp."""
    return bisect.bisect_left(entries, since, key=lambda entry: entry.timestamp)


def _invalid(message: str) -> ApiError:
    return ApiError("InvalidParameterException", message)
