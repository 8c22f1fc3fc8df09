"""The log events in a file or an object, whatever it is: its content says so, not its name."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from exporter.jsontext import string
from exporter.model import (
    DamagedContentError,
    EventFormat,
    LogEvent,
    Records,
    array_of_records,
)
from exporter.sources.decompression import decompressed, inflate_at_once, is_gzip
from exporter.sources.exports import Messages, cells, column_of, exported, is_export
from exporter.sources.file_content import (
    AT_ONCE,
    HEAD,
    UTF8_BOM,
    Lines,
    again,
    beginning,
    decode,
    encoding_of,
    ends_in_cr,
    in_utf8,
    limited,
    pieces,
    read_chunks,
    skipped,
    split_lines,
    with_line_ends,
)
from exporter.sources.json_records import (
    Found,
    JsonRecords,
    begins_as_subscription,
    is_dense_json,
    is_single,
)
from exporter.sources.wrapped_events import begins_wrapped

Layout = Literal["lines", "documents", "export", "csv"]
"""``lines``: a message a line. ``documents``: JSON with line ends anywhere. ``export``: a message
from a time to the next. ``csv``: a message in a column."""

NOT_EVENTS: Final = (
    "it has records that are not JSON, are not log events, are longer than 8 MiB, or have too many"
    " values"
)

_SAMPLES = 64
_SAMPLE = 4096
_DENSE = 16
"""Bytes for each object and array. CloudTrail's records have one in 150 bytes."""
_IN_LIST: Final = 256
_JSON_START: Final = re.compile(rb'\{\s*(?:["}]|\Z)|\[\s*(?:[{\]]|\Z)')
_IS_LOG: Final = re.compile(r".*\.(?:log|jsonl|ndjson)(?:[.-][^/]*)?", re.IGNORECASE | re.DOTALL)
"""Files of these names have lines, even if one of them is a document of records."""
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

    Plain, or compressed (gzip, bzip2, xz, zip); UTF-8, UTF-16 or UTF-32, with or without byte order
    mark. It has lines, JSON as ``JsonRecords`` reads it, or a format of ``exports``. With the
    format ``lines``, JSON is lines too, except what CloudWatch Logs wraps.
    """

    def __init__(
        self,
        file: io.BufferedReader,
        size: int,
        event_format: EventFormat,
        *,
        path: str = "",
        has_lines: bool = False,
        at_once: int = AT_ONCE,
        name: str = "",
        most: int | None = None,
    ) -> None:
        """Look at its beginning.

        ``path``: of the file, or the object's key. ``has_lines``: whether its JSON is known to be
        lines. ``at_once``: see AT_ONCE. ``name``: if given, log events without an id of their own
        have one that begins so. ``most``: bytes of the content in UTF-8 that are read of a
        compressed file.
        """
        self._format = event_format
        self._name = name
        self._file, self._size, self._most = file, size, most
        self._whole = inflate_at_once(file, size, at_once) if is_gzip(file) else None
        unpacked = None if self._whole is not None else decompressed(file, size)
        self.is_compressed = self._whole is not None or unpacked is not None
        if self._whole is None:
            self._rest = read_chunks(file, size) if unpacked is None else unpacked
            self._head, self._damage = beginning(self._rest)
        head = self._head if self._whole is None else bytes(self._whole[:HEAD])
        self._encoding = encoding_of(head)
        if self._encoding is not None:
            chunks = pieces(self._whole) if self._whole else again(head, self._rest, self._damage)
            utf8 = in_utf8(chunks, self._encoding)
            head, self._damage = beginning(utf8)
            self._whole, self._head, self._rest = None, head, utf8
        start = head.removeprefix(UTF8_BOM).lstrip(b"\0 \t\r\n")
        self.layout, self._column = _layout(start, event_format, path, has_lines=has_lines)
        self._start = head
        self._may_be_whole = self._encoding is None and (self.is_compressed or size <= at_once)

    def _chunks(self) -> Iterator[bytes]:
        if self._whole is None:
            chunks = again(self._head, self._rest, self._damage)
        else:
            chunks = pieces(self._whole)
        return chunks if self._most is None else limited(chunks, self._most)

    def lines(self, start: int = 0, *, is_growing: bool = False) -> Iterator[Lines]:
        """Take its lines after ``start`` bytes.

        These are bytes of the content in UTF-8, so of the file if that is all it has.
        ``is_growing``: more may be written to its last line.
        """
        if self.is_compressed or self._encoding is not None:
            chunks = skipped(self._chunks(), start)
        else:
            self._file.seek(start)
            chunks = read_chunks(self._file, self._size - start)
        known = self._start[:start] if start else self._start
        is_known = start or not is_growing or len(known) >= HEAD
        return split_lines(with_line_ends(chunks) if is_known and ends_in_cr(known) else chunks)

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
        if self.layout == "documents":
            yield from self._json(self._chunks(), time)
        else:
            yield from self._named(self._lines(time))

    def _json(self, chunks: Iterator[bytes], time: int) -> Iterator[Found]:
        return self._named(_in_lists(JsonRecords(self._format, time).split(decode(chunks))))

    def _lines(self, time: int) -> Iterator[Found]:
        messages: Iterator[Messages] = (some.texts for some in self.lines())
        if self.layout == "csv":
            messages = cells(self.lines(), self._column)
        elif self.layout == "export":
            messages = exported(self.lines())
        is_first = True
        for texts in messages:
            yield in_lines(texts, self._format, time, is_first=is_first)
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


def _layout(
    start: bytes, event_format: EventFormat, path: str, *, has_lines: bool
) -> tuple[Layout, int]:
    """The layout, and the column of the messages if it is CSV."""
    if has_lines:
        return "lines", 0
    if begins_as_subscription(start) or begins_wrapped(start):
        return "documents", 0
    first, newline, _ = start.partition(b"\n")
    if not _JSON_START.match(start):
        line = first.decode(errors="replace").rstrip("\r")
        if path.removesuffix(".gz").endswith(".json") and string(line) is not None:
            return "documents", 0
        column = column_of(line)
        if column is not None:
            return "csv", column
        return ("export" if is_export(line, path) else "lines"), 0
    if event_format == "lines" or _IS_LOG.fullmatch(path):
        return "lines", 0
    is_line = newline and is_single(first.decode(errors="replace").rstrip("\r"))
    return ("lines" if is_line else "documents"), 0


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
