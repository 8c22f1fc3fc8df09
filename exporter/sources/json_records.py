"""The log events in JSON: records, documents of records, and subscription data of log groups."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypedDict

import msgspec

from exporter.jsontext import (
    REFUSED,
    JsonText,
    NotJsonError,
    elements,
    is_dense,
    members,
    string,
    value_of,
)
from exporter.model import (
    LONG,
    LONGEST,
    DamagedContentError,
    Delivered,
    Enveloped,
    EventFormat,
    LogEvent,
    PartitionKind,
)
from exporter.patterns.document import may_be_object
from exporter.sources.wrapped_events import LISTS, unwrapped

DELIVERED: Final = PartitionKind(
    "log_group", "Log group", on_series=True, by_event_time=False, local_ids=True
)
"""The log groups of subscription data."""

Found = Sequence[LogEvent | None]
"""Log events that follow one another; None for others, and for those that are too long or dense."""

_RECORDS_FIRST: Final = re.compile(r'\{[ \t\r\n]*"Records"')
# An envelope of EventBridge, in which a record may come, has ``detail-type``.
_CLOUDTRAIL_KEYS: Final = ("eventVersion", "eventID", "eventName", "eventSource", "detail-type")
_WRAPPINGS: Final = frozenset({"CloudTrailEvent", "ingestionTime", "Message"})
_AGGREGATED: Final = '"AwsAggregatedEvent"'
_DATA: Final = "DATA_MESSAGE"
_LATEST: Final = 253_402_300_799_999
"""Milliseconds: the end of the year 9999."""
_MESSAGE_TYPES: Final = (_DATA, "CONTROL_MESSAGE")
_SUBSCRIPTION_START: Final = re.compile(
    rb'[ \t\r\n]*\{[ \t\r\n]*"messageType"[ \t\r\n]*:[ \t\r\n]*"(DATA|CONTROL)_MESSAGE"'
)

_Header = TypedDict(
    "_Header",
    {
        "eventVersion": msgspec.Raw,
        "eventID": msgspec.Raw,
        "eventName": msgspec.Raw,
        "eventSource": msgspec.Raw,
        "detail-type": msgspec.Raw,
        "Records": msgspec.Raw,
        "messageType": msgspec.Raw,
        "logEvents": msgspec.Raw,
        "digestS3Object": msgspec.Raw,
        "logFiles": msgspec.Raw,
        "Events": msgspec.Raw,
        "events": msgspec.Raw,
        "CloudTrailEvent": msgspec.Raw,
        "ingestionTime": msgspec.Raw,
        "Message": msgspec.Raw,
    },
    total=False,
)
"""The keys that tell what an object is; msgspec skips the others."""


_Id = Annotated[str, msgspec.Meta(min_length=1)]


class _Line(msgspec.Struct):
    id: _Id
    timestamp: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
    message: str


class _Group(msgspec.Struct):
    message_type: str = msgspec.field(name="messageType")
    owner: str
    log_group: str = msgspec.field(name="logGroup")


class _Subscription(_Group):
    log_events: list[_Line] = msgspec.field(name="logEvents")


class _Window(msgspec.Struct):
    start: datetime = msgspec.field(name="windowStart")


class _Aggregated(msgspec.Struct):
    type: Literal["AwsAggregatedEvent"] = msgspec.field(name="eventType")
    id: _Id = msgspec.field(name="eventId")
    account_id: str = msgspec.field(name="accountId")
    region: str = msgspec.field(name="awsRegion")
    window: _Window = msgspec.field(name="timeWindow")


_header = msgspec.json.Decoder(_Header).decode
_line = msgspec.json.Decoder(_Line).decode
_subscription = msgspec.json.Decoder(_Subscription).decode
_aggregated = msgspec.json.Decoder(_Aggregated).decode


class JsonRecords:
    """Finds the log events in JSON texts of a source; ``time`` of all of them: milliseconds."""

    def __init__(self, event_format: EventFormat, time: int) -> None:
        """With the format ``cloudtrail``, other objects than CloudTrail's are no log events."""
        self._is_cloudtrail = event_format == "cloudtrail"
        self._time = time

    def split(self, chunks: Iterable[str]) -> Iterator[LogEvent | None]:
        """The log event of each record, with the text that was written, and None for others.

        Accepts one or many documents with or without white space between them: CloudTrail's
        ``{"Records": […]}``, subscription data of CloudWatch Logs, arrays of these or of records,
        answers of the AWS command line, and single records. Memory is bounded by LONGEST.

        A part that is not JSON is None, up to the next line that begins with an object or an array.
        If no such line follows, or such parts are too long, it raises DamagedContentError.
        """
        text = JsonText(chunks)
        while True:
            try:
                yield from self._values(text)
            except NotJsonError:
                if not text.next_line():
                    raise
                yield None
            else:
                return

    def _values(self, text: JsonText) -> Iterator[LogEvent | None]:
        """The log events in the values of a text."""
        while start := text.peek():
            text.begin()
            if start == "[":
                for raw in text.elements():
                    yield from self._element(raw)
                continue
            if start == '"':
                raw = text.value()
                if raw is not None and "\n" in raw:  # a quote that another line closes
                    raise NotJsonError("it is not JSON (any more)")
                yield from self._string(raw)
                continue
            text.expect("{")
            raw = None if text.is_at(_RECORDS_FIRST) else text.whole_object()
            whole = None if raw is None else self._whole(raw)
            if raw is None or whole is None:
                yield from self._in_parts(text)
            else:
                text.take(raw)
                yield from whole

    def in_line(self, line: str) -> Found:
        """The log events in a line; None if it has none, or has more than records."""
        found: list[LogEvent | None] = []
        try:
            if line.startswith("{") and line.endswith("}"):
                whole = self._whole(line)
                if whole is not None:
                    return whole
            found.extend(self.split((line,)))
        except DamagedContentError:
            found.append(None)
        return found

    def _element(self, raw: str | None) -> Iterator[LogEvent | None]:
        """The log events of an element of an array that is no list of ``Records``."""
        if raw is not None and ('"Records"' in raw or '"logEvents"' in raw):
            header = _header_of(raw)
            if header and (_is_list(header.get("Records")) or _is_subscription(header)):
                yield from self.split((raw,))
                return
        inner = None if raw is None else self._unwrapped(raw)
        yield from (self._event(raw),) if inner is None else inner

    def _string(self, raw: str | None) -> Found:
        """The log events of a string at the root: ``jq .events[].message``."""
        inner = None if raw is None else self._unwrapped(raw)
        if inner is None:
            text = None if self._is_cloudtrail else string(raw)
            return (None,) if not text else (LogEvent(text, self._time),)
        return inner

    def _unwrapped(self, raw: str) -> Found | None:
        """The log events in an object that wraps them, or in a text; None if it does not."""
        inner = unwrapped(raw)
        if inner is None:
            return None
        text, may_be_document = inner
        if may_be_document:
            return self.in_line(text)
        if is_dense_json(text) or (self._is_cloudtrail and not self._may_be_record(text)):
            return (None,)
        return (LogEvent(text, self._time),)

    def _whole(self, raw: str) -> Found | None:
        """The log events of an object; None if it has to be read part by part."""
        header = _header_of(raw)
        if header is None or len(raw) > LONGEST:
            return None
        if "digestS3Object" in header and "logFiles" in header:
            raise DamagedContentError("it is a digest file of CloudTrail, which has no log events")
        if _is_subscription(header):
            return self._delivered(raw)
        if "Records" in header or any(_is_list(header.get(name)) for name in LISTS):
            return None
        if not _WRAPPINGS.isdisjoint(header) and (inner := self._unwrapped(raw)) is not None:
            return inner
        return (self._event(raw, header),)

    def _in_parts(self, text: JsonText) -> Iterator[LogEvent | None]:
        """Take an object: the elements of its list, or the object if it has none."""
        text.keep()
        has_list = False
        known: dict[str, str | None] = {}
        for name in text.names():
            if name == "Records" and text.peek() == "[":
                has_list = True
                text.kept()
                for raw in text.elements():
                    yield self._event(raw)
            elif name == "logEvents" and text.peek() == "[" and (group := _group(known)):
                has_list = True
                text.kept()
                for raw in text.elements():
                    if group.message_type == _DATA:
                        yield self._line(group, raw)
            elif name in LISTS and text.peek() == "[":
                has_list = yield from self._wrapped_list(text)
            else:
                value = text.value()
                if name in ("messageType", "owner", "logGroup"):
                    known[name] = value
        raw = text.kept()
        if not has_list:
            whole = None if raw is None else self._whole(raw)
            yield from (self._event(raw),) if whole is None else whole

    def _wrapped_list(self, text: JsonText) -> Generator[LogEvent | None, None, bool]:
        """Take a list. Returns whether the first of it wraps a log event: then all are expected to.

        If not, none is a log event by itself.
        """
        is_one = False
        for number, raw in enumerate(text.elements()):
            inner = None if raw is None or (number and not is_one) else self._unwrapped(raw)
            if not number and inner is not None:
                is_one = True
                text.kept()
            if is_one:
                yield from (None,) if inner is None else inner
        return is_one

    def _event(self, raw: str | None, header: Mapping[str, Any] | None = None) -> LogEvent | None:
        """The log event of a record; None if it is not a record."""
        if raw is None or not raw.startswith("{") or is_dense(raw):
            return None
        if self._is_cloudtrail:
            header = header or _header_of(raw)
            if header is None or not any(key in header for key in _CLOUDTRAIL_KEYS):
                return None
            if "eventID" in header:
                return LogEvent(raw, self._time)
        if _AGGREGATED in raw and '"eventID"' not in raw:
            return _summary(raw, self._time) or LogEvent(raw, self._time)
        return LogEvent(raw, self._time)

    def _delivered(self, raw: str) -> Found:
        """The log events of subscription data."""
        try:
            found = _subscription(raw)
        except REFUSED:
            pass
        else:
            is_data = found.message_type == _DATA
            return [self._of_group(found, line) for line in found.log_events] if is_data else ()
        parts = members(raw) or {}
        group, lines = _group(parts), elements(parts.get("logEvents", ""))
        if group is None or lines is None:
            return (None,)
        return [self._line(group, line) for line in lines] if group.message_type == _DATA else ()

    def _line(self, group: _Group, raw: str | None) -> LogEvent | None:
        """A log event of subscription data; None if it is not one, or too long."""
        if raw is None:
            return None
        try:
            return self._of_group(group, _line(raw))
        except REFUSED:
            pass
        try:
            return self._of_group(group, msgspec.convert(value_of(raw), _Line, strict=False))
        except REFUSED:
            return None

    def _of_group(self, group: _Group, line: _Line) -> LogEvent | None:
        if is_dense_json(line.message):
            return None
        if self._is_cloudtrail and not self._may_be_record(line.message):
            return None
        return Delivered(
            line.message,
            self._time,
            line.id,
            group.owner,
            group.log_group,
            line.timestamp,
            DELIVERED,
        )

    @staticmethod
    def _may_be_record(message: str) -> bool:
        header = _header_of(message)
        return header is not None and any(key in header for key in _CLOUDTRAIL_KEYS)


def begins_as_subscription(content: bytes | bytearray) -> bool:
    """Whether a content begins as CloudWatch Logs writes subscription data."""
    return _SUBSCRIPTION_START.match(content) is not None


def is_dense_json(message: str) -> bool:
    """Whether a message is too dense to be decoded, if it is decoded."""
    return len(message) > LONG and may_be_object(message) and is_dense(message)


def is_single(line: str) -> bool:
    """Whether a line is a whole JSON object without a list of records or log events."""
    header = _header_of(line)
    return header is not None and not (_is_list(header.get("Records")) or _is_subscription(header))


def _header_of(raw: str) -> Mapping[str, Any] | None:
    """The keys that tell what an object is; None if it is not an object."""
    try:
        return _header(raw)
    except REFUSED:
        pass
    try:
        value = value_of(raw)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (
        isinstance(value, msgspec.Raw) and bytes(memoryview(value)[:1]) == b"["
    )


def _is_subscription(header: Mapping[str, Any]) -> bool:
    if "logEvents" not in header:
        return False
    kind = header.get("messageType")
    if isinstance(kind, msgspec.Raw):
        kind = string(str(kind, "utf-8"))
    return kind in _MESSAGE_TYPES and _is_list(header.get("logEvents"))


def _group(known: Mapping[str, str | None]) -> _Group | None:
    texts = [string(known.get(name)) for name in ("messageType", "owner", "logGroup")]
    message_type, owner, log_group = texts
    if message_type not in _MESSAGE_TYPES or owner is None or log_group is None:
        return None
    return _Group(message_type, owner, log_group)


def _summary(raw: str, time: int) -> LogEvent | None:
    """A summary of data events (CloudTrail's aggregated events): its id and place are its own."""
    try:
        one = _aggregated(raw)
    except REFUSED:
        return None
    start = one.window.start
    happened = start if start.tzinfo else start.replace(tzinfo=UTC)
    milliseconds = round(happened.timestamp() * 1000)
    return Enveloped(raw, time, None, one.id, one.account_id, one.region, milliseconds)
