"""The log events in a file or an object, whatever it is: its content says so, not its name."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from exporter.model import (
    DamagedContentError,
    EventFormat,
    LogEvent,
    Records,
    array_of_records,
)
from exporter.sources.file_content import (
    AT_ONCE,
    HEAD,
    UTF8_BOM,
    again,
    beginning,
    decode,
    inflate,
    inflate_at_once,
    is_gzip,
    pieces,
    read_chunks,
    split_lines,
)
from exporter.sources.json_records import (
    Found,
    JsonRecords,
    begins_as_subscription,
    is_dense_json,
    is_single,
)

Layout = Literal["lines", "documents"]
"""``lines``: a message a line. ``documents``: JSON with line ends anywhere."""

NOT_EVENTS: Final = (
    "it has records that are not log events, are longer than 8 MiB, or have too many values"
)

_SAMPLES = 64
_SAMPLE = 4096
_DENSE = 16
"""Bytes for each object and array. CloudTrail's records have one in 150 bytes."""
_IN_LIST: Final = 256
_JSON_START: Final = re.compile(rb'\{\s*(?:["}]|\Z)|\[\s*(?:[{\]]|\Z)')
_FIELD_NAME: Final = re.compile("[a-z0-9-]+")
_FLOW_LOG_FIELDS: Final = frozenset(
    {
        "account-id",
        "interface-id",
        "vpc-id",
        "subnet-id",
        "srcaddr",
        "dstaddr",
        "srcport",
        "dstport",
        "pkt-srcaddr",
        "pkt-dstaddr",
        "tcp-flags",
        "flow-direction",
        "log-status",
    }
)


@dataclass(slots=True)
class Leftover:
    """The parts of a document that are no log events; known once the document was split."""

    undecodable: int = 0
    damage: DamagedContentError | None = None


class Container:
    """A file or an object, from its start.

    One or many members of gzip, or plain; UTF-8 with or without byte order mark. It has lines, or
    JSON as ``JsonRecords`` reads it. With the format ``lines``, JSON is lines too, except
    subscription data of CloudWatch Logs.
    """

    def __init__(
        self,
        file: io.BufferedReader,
        size: int,
        event_format: EventFormat,
        *,
        is_log: bool = False,
        at_once: int = AT_ONCE,
        name: str = "",
    ) -> None:
        """Look at its beginning.

        ``is_log``: whether JSON is lines too. ``at_once``: see AT_ONCE. ``name``: if given, log
        events without an id of their own have one that begins so.
        """
        self._format = event_format
        self._name = name
        self.is_compressed = is_gzip(file)
        self._whole = inflate_at_once(file, size, at_once) if self.is_compressed else None
        if self._whole is None:
            self._rest = inflate(file) if self.is_compressed else read_chunks(file, size)
            self._head, self._damage = beginning(self._rest)
        head = self._head if self._whole is None else bytes(self._whole[:HEAD])
        self.layout = _layout(head.removeprefix(UTF8_BOM).lstrip(), event_format, is_log=is_log)
        self._may_be_whole = self.is_compressed or size <= at_once

    def records(self, time: int) -> tuple[Records, Leftover] | None:
        """Take its records, if they may be decoded at once: one document that fits the memory.

        ``time``: of all log events, milliseconds.
        """
        if self.layout != "documents" or not self._may_be_whole:
            return None
        if self._whole is None and not self.is_compressed:
            self._whole = b"".join((self._head, *self._rest))
        if not self._whole or not _is_one_document(self._whole):
            return None
        document, self._whole, self._head = self._whole, None, b""
        left = Leftover()

        def split(document: bytes | bytearray) -> list[LogEvent]:
            left.undecodable, left.damage = 0, None
            events: list[LogEvent] = []
            try:
                for found in self._json(pieces(document), time):
                    some = [one for one in found if one is not None]
                    left.undecodable += len(found) - len(some)
                    events += some
            except DamagedContentError as error:
                left.damage = error.with_traceback(None)
            return events

        return Records(document, time, split), left

    def events(self, time: int) -> Iterator[Found]:
        """Take its log events. Raises DamagedContentError after those before the damage."""
        if self._whole is None:
            chunks = again(self._head, self._rest, self._damage)
        else:
            chunks = pieces(self._whole)
        if self.layout == "documents":
            yield from self._json(chunks, time)
        else:
            yield from self._named(self._lines(chunks, time))

    def _json(self, chunks: Iterator[bytes], time: int) -> Iterator[Found]:
        return self._named(_in_lists(JsonRecords(self._format, time).split(decode(chunks))))

    def _lines(self, chunks: Iterator[bytes], time: int) -> Iterator[Found]:
        is_first = True
        for lines in split_lines(chunks):
            yield in_lines(lines.texts, self._format, time, is_first=is_first)
            is_first = False

    def _named(self, lists: Iterator[Found]) -> Iterator[Found]:
        if not self._name:
            yield from lists
            return
        number = 0
        for found in lists:
            yield [self._with_id(one, number + index) for index, one in enumerate(found)]
            number += len(found)

    def _with_id(self, one: LogEvent | None, number: int) -> LogEvent | None:
        if one.__class__ is not LogEvent or one is None:
            return one
        return LogEvent(one.message, one.time, f"{self._name}/{number}")


def in_lines(
    texts: Sequence[str | None], event_format: EventFormat, time: int, *, is_first: bool
) -> Found:
    """The log events in lines; ``is_first``: they are at the beginning of the content.

    With the format ``lines``, a header of a flow log is no log event. With the format
    ``cloudtrail``, only the records in the lines are.
    """
    if is_first and texts[0]:
        first = texts[0].removeprefix("\ufeff")
        is_header = event_format == "lines" and _is_header(first)
        texts = [*([] if is_header else [first]), *texts[1:]]
    if event_format != "cloudtrail":
        # AWS: a log event's message has at least one character.
        return [
            LogEvent(text, time) if text and not is_dense_json(text) else None
            for text in texts
            if text != ""
        ]
    records = JsonRecords(event_format, time)
    found: list[LogEvent | None] = []
    for text in texts:
        if text is None:
            found.append(None)
        elif text:
            found += records.in_line(text)
    return found


def _layout(start: bytes, event_format: EventFormat, *, is_log: bool) -> Layout:
    if begins_as_subscription(start):
        return "documents"
    if event_format == "lines" or is_log or not _JSON_START.match(start):
        return "lines"
    first, newline, _ = start.partition(b"\n")
    is_line = newline and is_single(first.decode(errors="replace").rstrip("\r"))
    return "lines" if is_line else "documents"


def _is_header(line: str) -> bool:
    """Whether a line has the names of a flow log's fields. AWS: the first of each file has them."""
    names = line[:4096].split(" ")
    return len(_FLOW_LOG_FIELDS.intersection(names)) > 1 and all(map(_FIELD_NAME.fullmatch, names))


def _is_one_document(content: bytes | bytearray) -> bool:
    """Whether a content may be decoded at once: one document of records that fits the memory."""
    return array_of_records(content) is not None and not _is_dense(content)


def _is_dense(content: bytes | bytearray) -> bool:
    """Whether a document has so many objects and arrays that they would fill the memory.

    An empty object has two bytes in the file, and fifty times as many in memory. Samples are
    enough, at places that whoever wrote the file cannot know.
    """
    if len(content) <= _SAMPLES * _SAMPLE:
        return False
    found = 0
    for _ in range(_SAMPLES):
        start = secrets.randbelow(len(content) - _SAMPLE)
        found += content.count(b"{", start, start + _SAMPLE)
        found += content.count(b"[", start, start + _SAMPLE)
    return found * _DENSE > _SAMPLES * _SAMPLE


def _in_lists(events: Iterable[LogEvent | None]) -> Iterator[Found]:
    """Single log events in lists. All that come before an error are passed on before it."""
    gathered: list[LogEvent | None] = []
    try:
        for event in events:
            gathered.append(event)
            if len(gathered) == _IN_LIST:
                yield gathered
                gathered = []
    except DamagedContentError:
        yield gathered
        raise
    yield gathered
