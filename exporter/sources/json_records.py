"""Splits JSON files into the texts of their records.

msgspec splits the records that are complete in memory: it validates JSON without making objects,
which saves memory and time. The standard library reads values that msgspec rejects (NaN, lone
surrogates, incomplete records), one at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypedDict

import msgspec

RECORD_LENGTH = 8 * 1024 * 1024
"""Characters; the maximum. AWS: a CloudTrail record has at most 256 KB, a log event 1 MB."""

_BLANKS = " \t\r\n"
_SPACE = re.compile(f"[{_BLANKS}]*")
# Numbers are skipped; as text they are never too long or too large.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
_NUMBER_CONTINUES = ("", ".", "e", "E")
# An envelope of EventBridge, in which a record may come, has ``detail-type``.
_CLOUDTRAIL_KEYS = ("eventVersion", "eventID", "eventName", "eventSource", "detail-type")
_OPENING = 16
"""Number of characters used to find the start of a record: records of a file begin alike."""
_RECORDS_FIRST = re.compile(rf'\{{[{_BLANKS}]*"Records"')


_Header = TypedDict(
    "_Header",
    {
        "eventVersion": msgspec.Raw,
        "eventID": msgspec.Raw,
        "eventName": msgspec.Raw,
        "eventSource": msgspec.Raw,
        "detail-type": msgspec.Raw,
        "Records": msgspec.Raw,
    },
    total=False,
)
"""The keys that identify an object; msgspec skips the others."""

_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_HEADERS = msgspec.json.Decoder(_Header)
_REFUSED = (msgspec.MsgspecError, ValueError, RecursionError)


class BrokenContentError(Exception):
    """The rest of a file cannot be read; the message says why, without file content."""


def split_records(chunks: Iterable[str], *, cloudtrail: bool = False) -> Iterator[str | None]:
    """Yield the text of each record as it was written; None for a value that is not a record.

    Accepts one or many documents ``{"Records": […]}``, arrays of records or of such documents, and
    single records, with or without white space between them. With ``cloudtrail``, only objects that
    can be CloudTrail records are records (a digest file is not). Memory is bounded by
    RECORD_LENGTH. Raises BrokenContentError at the first invalid JSON, after the records before it.
    """
    text = _Text(chunks)
    while text.peek():
        if text.peek() == "[":
            for raw, value in text.elements():
                if isinstance(value, dict) and isinstance(value.get("Records"), list):
                    yield from split_records((raw,), cloudtrail=cloudtrail)
                else:
                    yield _record(raw, value, cloudtrail=cloudtrail)
            continue
        text.expect("{")
        complete = text.complete_object()
        for raw, value in text.records() if complete is None else (complete,):
            yield _record(raw, value, cloudtrail=cloudtrail)


def records_in_line(line: str | None) -> Sequence[str | None]:
    """The CloudTrail records in a line; None if it has none, or has more than records."""
    if line is None:
        return (None,)
    if line.startswith("{") and line.endswith("}"):
        header = _header(line)
        if header is not None and "Records" not in header:
            return (_record(line, header, cloudtrail=True),)
    records: list[str | None] = []
    try:
        records.extend(split_records((line,), cloudtrail=True))
    except BrokenContentError:
        records.append(None)
    return records


def _record(raw: str, value: object, *, cloudtrail: bool) -> str | None:
    if not isinstance(value, dict) or (
        cloudtrail and not any(key in value for key in _CLOUDTRAIL_KEYS)
    ):
        return None
    return raw


class _Text:
    """A window of JSON text that is read in chunks."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0
        self._mark: int | None = None
        """Start of the text to keep, if it is not ``_at``."""
        self._unsplit = False
        """Whether msgspec has not tried the newest text yet."""
        self._ended = False
        self._broken: BrokenContentError | None = None
        """The error at the end of the chunks; raised after the text before it was read."""

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def upcoming(self) -> str:
        """Return the next character that is not white space; at the end, BrokenContentError."""
        character = self.peek()
        if not character:
            raise BrokenContentError("it ends in the middle of a JSON document")
        return character

    def expect(self, characters: str) -> str:
        """Return the next character, without taking it, if it is one of these; else raise."""
        character = self.upcoming()
        if character not in characters:
            raise BrokenContentError("it is not JSON (any more)")
        return character

    def complete_object(self) -> tuple[str, Any] | None:
        """Take the next object if it is complete in memory and has no ``Records``.

        If the key ``Records`` is repeated, the decoder keeps only the last; ``records`` reads all.
        """
        if _RECORDS_FIRST.match(self._text, self._at):
            return None
        if self._unsplit:
            self._unsplit = False
            rest = self._text[self._at :].rstrip(_BLANKS)
            header = _header(rest)
            if header is not None and "Records" not in header:
                return self._take(self._at + len(rest)), header
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        if "Records" in value:
            return None
        return self._take(end), value

    def elements(self) -> Iterator[tuple[str, Any]]:
        """Take an array: text and value of each element."""
        self._at += 1
        opening = ""
        while self.upcoming() != "]":
            whole = self._whole_elements(opening)
            yield from whole
            if not whole:
                raw, value = self._value()
                opening = raw[:_OPENING]
                yield raw, value
            if self.expect(",]") == ",":
                self._at += 1
        self._at += 1

    def _whole_elements(self, opening: str) -> list[tuple[str, Any]]:
        """Take the next elements, if msgspec can split them.

        The last one that starts with ``opening`` is left, because it may be incomplete.
        """
        if not opening or not self._unsplit:
            return []
        self._unsplit = False
        last = self._text.rfind(opening, self._at)
        piece = self._text[self._at : max(last, self._at)].rstrip(_BLANKS)
        if not piece.endswith(","):
            return []
        try:
            elements = _ELEMENTS.decode(f"[{piece[:-1]}]")
        except _REFUSED:
            return []
        headers = list(map(_header, elements))
        if any(header and "Records" in header for header in headers):
            return []
        self._at += len(piece) - 1
        return [(str(raw, "utf-8"), header) for raw, header in zip(elements, headers, strict=True)]

    def records(self) -> Iterator[tuple[str, Any]]:
        """Take an object: the elements of its ``Records``, or the object if it has none."""
        self._mark = self._at
        self._at += 1
        keys: dict[str, Any] = {}
        found = False
        while self.expect('"}') != "}":
            key = str(self._value()[1])
            self.expect(":")
            self._at += 1
            if key == "Records" and self.peek() == "[":
                found, self._mark = True, None
                yield from self.elements()
            else:
                keys[key] = self._value()[1]
            if self.expect(",}") == ",":
                self._at += 1
        self._at += 1
        start, self._mark = self._mark, None
        if not found and start is not None:
            yield self._text[start : self._at], keys

    def _value(self) -> tuple[str, Any]:
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except RecursionError as error:
                raise BrokenContentError("its JSON is nested too deeply") from error
            except ValueError as error:
                if not self._more():
                    raise BrokenContentError(
                        "it is not JSON, or ends in the middle of a record"
                    ) from error
                continue
            # A number at the end of the text in memory may be incomplete (`1` of `1.5` or `1e5`,
            # even if `.` or `e` follows already); other values cannot.
            closed = (
                self._text[end - 1] in '"}]' or self._text[end : end + 1] not in _NUMBER_CONTINUES
            )
            if closed or (self._ended and self._broken is None):
                return self._take(end), value
            self._more()

    def _take(self, end: int) -> str:
        raw = self._text[self._at : end]
        self._at = end
        return raw

    def _more(self) -> bool:
        """Read more text, doubling it each time, so a long record is tried only a few times."""
        keep = self._at if self._mark is None else self._mark
        pending = len(self._text) - keep
        if not self._ended and pending > RECORD_LENGTH:
            raise BrokenContentError(f"it has a record of more than {RECORD_LENGTH >> 20} MiB")
        pieces = [self._text[keep:]]
        gained = 0
        while not self._ended and gained <= pending:
            try:
                pieces.append(next(self._chunks))
            except StopIteration:
                self._ended = True
            except BrokenContentError as error:
                self._ended, self._broken = True, error
            else:
                gained += len(pieces[-1])
        if not gained:
            if self._broken is not None:
                raise self._broken
            return False
        self._text = "".join(pieces)
        self._at -= keep
        self._mark = None if self._mark is None else 0
        self._unsplit = True
        return True


def _header(text: msgspec.Raw | str) -> _Header | None:
    """The identifying keys of an object; None if the text is not one that msgspec accepts."""
    try:
        return _HEADERS.decode(text)
    except _REFUSED:
        return None
