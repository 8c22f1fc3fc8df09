"""Log files and CloudTrail files: six characters of options, then the file's content."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from exporter.model import DamagedContentError, EventFormat, Partition, SourceError
from exporter.sources import file_content
from exporter.sources.base import Reading
from exporter.sources.file_content import decode, split_lines
from exporter.sources.files import Files
from exporter.sources.json_records import JsonRecords
from fuzz.folders import own_folder

_FOLDER = own_folder("files")
_FORMATS: tuple[EventFormat, ...] = ("auto", "cloudtrail", "lines")
_SUFFIXES = ("", ".json", ".log", ".jsonl")
_CHUNK = file_content.CHUNK
_CONTAINERS = frozenset(
    {"Records", "logEvents", "digestS3Object", "Events", "events", "CloudTrailEvent", "Message"}
    | {"ingestionTime"}
)
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
_Packing = Literal["plain", "gzip", "members", "cut", "damaged"]
_PACKINGS: tuple[_Packing, ...] = ("plain", "gzip", "members", "cut", "damaged")
_Outcome = tuple[list[str | None], bool]
"""The records, and whether the rest is broken."""


def check(data: bytes) -> None:
    """Only the sources' own errors escape; the result does not depend on how the input arrives.

    The options, each a character: format, suffix, packing, chunk size, batch size, cut.
    """
    options, content = data[:6].ljust(6, b"0"), data[6:]
    event_format = _FORMATS[options[0] % len(_FORMATS)]
    suffix = _SUFFIXES[options[1] % len(_SUFFIXES)]
    packing = _PACKINGS[options[2] % len(_PACKINGS)]
    size, batch = 1 + options[3] % 64, 1 + options[4] % 8
    cut = len(content) * (options[5] % 64) // 64
    _check_pieces(content, size)
    packed = _pack(content, packing, cut)
    path = _FOLDER / f"file{suffix}{'.gz' if packing != 'plain' else ''}"
    path.write_bytes(packed)
    try:
        damaged = packing == "damaged" or content.startswith(b"\x1f\x8b")
        whole = _check_readings(path, event_format, size=size, batch=batch, damaged=damaged)
        # A growing file must show its type from the first byte on.
        known = event_format == "lines" or bool(suffix)
        if known and packing == "plain" and not packed.startswith(b"\x1f"):
            _check_growth(path, event_format, packed, cut, whole)
    finally:
        path.unlink()


def _pack(content: bytes, packing: _Packing, cut: int) -> bytes:
    if packing == "plain":
        return content
    if packing == "members":
        return b"".join(gzip.compress(part, 1, mtime=0) for part in (content[:cut], content[cut:]))
    packed = bytearray(gzip.compress(content, 1, mtime=0))
    if packing == "cut":
        del packed[len(packed) * cut // (len(content) + 1) :]
    if packing == "damaged":
        packed[10 + cut % (len(packed) - 10)] ^= 0x55
    return bytes(packed)


def _check_pieces(content: bytes, size: int) -> None:
    """Chunks of any size give the same text, lines and records."""
    text = "".join(decode((content,)))
    lines = _lines((content,))
    records = _outcome((text,))
    for step in {1, size} if len(content) < 2000 else {size}:
        assert "".join(decode(_pieces(content, step))) == text
        assert _lines(_pieces(content, step)) == lines
        assert _outcome(_pieces(text, step)) == records
    # Zeros at the end are no line (yet).
    ends = {len(content), len(content.rstrip(b"\0"))}
    assert sum(length for _, length, _ in lines) in ends
    expected = _expected(text)
    assert expected is None or records == (expected, False)


def _lines(chunks: Iterable[bytes]) -> list[tuple[str | None, int, bool]]:
    """Each line: its text, its length in bytes, and whether it has a newline."""
    found = []
    for lines in split_lines(chunks):
        while lines.texts:
            line, lines = lines.cut(1)  # noqa: PLW2901
            found.append((line.texts[0], line.length, line.terminated))
    return found


def _pieces(content: Any, size: int) -> Iterator[Any]:
    return (content[at : at + size] for at in range(0, len(content), size))


def _outcome(chunks: Sequence[str] | Iterator[str]) -> _Outcome:
    records: list[str | None] = []
    try:
        found = JsonRecords("auto", 0).split(chunks)
        records.extend(None if one is None else one.message for one in found)
    except DamagedContentError:
        return records, True
    return records, False


def _expected(text: str) -> list[str | None] | None:
    """The record, if a text is one JSON object that contains no others; else None."""
    try:
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    alone = isinstance(value, dict) and _CONTAINERS.isdisjoint(value)
    return [text.strip(" \t\r\n")] if alone else None


def _check_readings(
    path: Path, event_format: EventFormat, *, size: int, batch: int, damaged: bool
) -> list[str]:
    """Whole documents, chunks, batches and restarts make no difference. Returns the messages."""
    whole = _read(path, event_format)
    file_content.CHUNK = size
    try:
        readings = _read(path, event_format, batch=batch, at_once=0)
    finally:
        file_content.CHUNK = _CHUNK
    if damaged:  # how much of it can be inflated depends on the chunks
        whole = readings = _read(path, event_format, batch=batch)
    messages, undecodable = _contents(whole)
    assert _contents(readings) == (messages, undecodable)
    done = 0
    for count, reading in enumerate(itertools.islice(readings, 3), 1):
        done += len(reading.events)
        rest = _read(path, event_format, checkpoint=reading.checkpoint, batch=batch)
        assert _contents(rest)[0] == messages[done:], count
    return messages


def _check_growth(
    path: Path, event_format: EventFormat, content: bytes, cut: int, messages: list[str]
) -> None:
    """A file that is read while it is written has the same messages in the end."""
    path.write_bytes(content[:cut])
    grown = Files([str(path)], name="fuzz", format=event_format, clock=lambda: 0.0)
    partition = Partition("fuzz", resource=str(path))
    readings = list(grown.poll(partition, None, own_starts={}))
    with path.open("ab") as file:
        file.write(content[cut:])
    for _ in range(2):
        checkpoint = readings[-1].checkpoint if readings else None
        readings += grown.poll(partition, checkpoint, own_starts={})
    assert _contents(readings)[0] == messages


def _read(
    path: Path,
    event_format: EventFormat,
    *,
    checkpoint: str | None = None,
    batch: int = 5000,
    at_once: int = 2**20,
) -> list[Reading]:
    files = Files(
        [str(path)],
        name="fuzz",
        format=event_format,
        complete=True,
        batch_events=batch,
        at_once=at_once,
        clock=lambda: 0.0,
    )
    partition = Partition("fuzz", resource=str(path))
    readings = []
    try:
        for reading in files.poll(partition, checkpoint, own_starts={}):
            len(reading.events)  # what is left out of a document is known once it is split
            readings.append(reading)
    except SourceError as error:
        raise AssertionError("the file can be read") from error
    return readings


def _contents(readings: Sequence[Reading]) -> tuple[list[str], int]:
    messages = [event.message for reading in readings for event in reading.events]
    return messages, sum(reading.undecodable for reading in readings)
