"""Cutting JSON files into the texts of their records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

RECORD_LENGTH = 8 * 1024 * 1024
"""Characters. Longer records are refused: CloudTrail's end at 256 KB, log events at 1 MB."""

_SPACE = re.compile(r"[ \t\r\n]*")
# Numbers are only skipped: as text they are never too long or too large.
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str, strict=False)
_NUMBER_GOES_ON = ("", ".", "e", "E")
_CLOUDTRAIL_KEYS = ("eventVersion", "eventID", "eventName", "eventSource")


class BrokenContentError(Exception):
    """The rest of a file cannot be read; the message says why, without the content."""


def looks_like_cloudtrail(record: Mapping[str, Any]) -> bool:
    """Whether a JSON object can be a CloudTrail record (a digest file, say, is none)."""
    return any(key in record for key in _CLOUDTRAIL_KEYS)


def split_records(
    chunks: Iterable[str], accept: Callable[[Mapping[str, Any]], bool] = lambda _record: True
) -> Iterator[str | None]:
    """The text of each record, exactly as written, in order; None where something is no record.

    Takes documents ``{"Records": […]}``, arrays of records or of such documents, and single
    records, one or many in a file, with or without anything between them. ``accept`` says which
    JSON objects are records. Memory is bounded by RECORD_LENGTH. Raises BrokenContentError at the
    first place that is no JSON, after everything before it.
    """
    text = _Text(chunks)
    while text.peek():
        if text.peek() == "[":
            for raw, value in text.elements():
                if _holds_records(value):
                    yield from split_records((raw,), accept)
                else:
                    yield _judge(raw, value, accept)
            continue
        text.expect("{")
        complete = text.object_at_hand()
        entries = text.records() if complete is None else (complete,)
        for raw, value in entries:
            yield _judge(raw, value, accept)


def _holds_records(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("Records"), list)


def _judge(raw: str, value: object, accept: Callable[[Mapping[str, Any]], bool]) -> str | None:
    return raw if isinstance(value, dict) and accept(value) else None


class _Text:
    """A window on JSON text that comes in chunks."""

    def __init__(self, chunks: Iterable[str]) -> None:
        self._chunks = iter(chunks)
        self._text = ""
        self._at = 0
        self._mark: int | None = None
        """Where the text begins that must be kept, if not at ``_at``."""
        self._ended = False
        self._broken: BrokenContentError | None = None
        """What the chunks ended in: raised once everything before it was read."""

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def expect(self, characters: str) -> str:
        """The next character, which must be one of these; it is not taken."""
        character = self.peek()
        if not character:
            raise BrokenContentError("it ends in the middle of a JSON document")
        if character not in characters:
            raise BrokenContentError("it is not JSON (any more)")
        return character

    def object_at_hand(self) -> tuple[str, Any] | None:
        """Take the next object if it is whole, in memory already, and names no records.

        Of two ``Records`` the decoder keeps the last, a list or not: ``records`` sees both.
        """
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except (ValueError, RecursionError):
            return None
        if "Records" in value:
            return None
        return self._take(end), value

    def elements(self) -> Iterator[tuple[str, Any]]:
        """Take an array: each element's text and value."""
        self._at += 1
        while self.expect_element():
            yield self._value()
            if self.expect(",]") == ",":
                self._at += 1
        self._at += 1

    def expect_element(self) -> bool:
        """Whether an array goes on."""
        character = self.peek()
        if not character:
            raise BrokenContentError("it ends in the middle of an array of records")
        return character != "]"

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
                        "it is no JSON, or ends in the middle of a record"
                    ) from error
                continue
            # A number at the end of what is in memory may go on (`1` of `1.5` and of `1e5`, too,
            # where `.` and `e` are there already); nothing else can.
            closed = (
                self._text[end - 1] in '"}]' or self._text[end : end + 1] not in _NUMBER_GOES_ON
            )
            if self._ended or closed:
                return self._take(end), value
            self._more()

    def _take(self, end: int) -> str:
        raw = self._text[self._at : end]
        self._at = end
        return raw

    def _more(self) -> bool:
        """Bring in more text, twice as much each time: a long record is tried a few times only."""
        if self._ended:
            return False
        keep = self._at if self._mark is None else self._mark
        pending = len(self._text) - keep
        if pending > RECORD_LENGTH:
            raise BrokenContentError(f"it has a record of more than {RECORD_LENGTH >> 20} MiB")
        pieces = [self._text[keep:]]
        gained = self._gather(pieces, pending)
        self._text = "".join(pieces)
        self._at -= keep
        self._mark = None if self._mark is None else 0
        return gained > 0

    def _gather(self, pieces: list[str], enough: int) -> int:
        """Add chunks of more than ``enough`` characters, if there are; return how many came."""
        gained = 0
        try:
            if self._broken is not None:
                raise self._broken
            for chunk in self._chunks:
                pieces.append(chunk)
                gained += len(chunk)
                if gained > enough:
                    return gained
            self._ended = True
        except BrokenContentError as error:
            if not gained:
                raise
            self._broken = error
        return gained
