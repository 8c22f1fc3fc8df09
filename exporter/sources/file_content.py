"""The content of a file: decompressed, and split into lines."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from exporter.model import EventFormat
from exporter.sources.json_records import BrokenContentError

Layout = Literal["lines", "documents"]
"""``lines``: a message a line. ``documents``: JSON with line ends anywhere."""

CHUNK = 256 * 1024
LINE_LENGTH = 8 * 1024 * 1024
"""Bytes. Longer lines are skipped. AWS: a log event has at most 1 MB."""

# Gzip makes log lines 10 to 50 times smaller; a thousand times is an attack.
_BOMB_BYTES = 256 * 1024 * 1024
_BOMB_RATIO = 200

_LINE_SUFFIXES = frozenset({".jsonl", ".ndjson", ".log"})
_JSON_START = re.compile(rb'\{\s*["}]|\[\s*[{\]]')
_UTF8_BOM = codecs.BOM_UTF8


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line of a file."""

    text: str | None
    """Without its end; None if it is longer than LINE_LENGTH."""
    length: int
    """Bytes, its end included."""
    terminated: bool
    """Whether it ends in a newline; the last line may not."""


def is_gzip(file: io.BufferedReader) -> bool:
    """Whether the content is gzip."""
    return file.peek(2)[:2] == b"\x1f\x8b"


def read_chunks(file: io.BufferedReader, length: int) -> Iterator[bytes]:
    """The next ``length`` bytes of a file, or fewer at its end."""
    while length > 0:
        chunk = file.read(min(CHUNK, length))
        if not chunk:
            return
        length -= len(chunk)
        yield chunk


def inflate(file: io.BufferedReader) -> Iterator[bytes]:
    """The content of a gzip file of one or many members, in bounded memory.

    Raises BrokenContentError at the first damage, after everything before it.
    """
    inflated = 0
    with gzip.GzipFile(fileobj=file, mode="rb") as stream:
        while True:
            try:
                # read1 returns the data before the damage.
                chunk = stream.read1(CHUNK)
            except EOFError as error:
                raise BrokenContentError("its gzip data ends too early") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise BrokenContentError("its gzip data is damaged") from error
            if not chunk:
                return
            inflated += len(chunk)
            if inflated > max(_BOMB_BYTES, _BOMB_RATIO * file.tell()):
                raise BrokenContentError(
                    f"its gzip data grows more than {_BOMB_RATIO}-fold, "
                    f"past {_BOMB_BYTES >> 20} MiB: it looks like a decompression bomb"
                )
            yield chunk


def layout_of(path: str, event_format: EventFormat, head: bytes) -> Layout:
    """The layout of a file; ``head`` is the beginning of its content."""
    if event_format == "lines":
        return "lines"
    name = PurePath(path.lower().removesuffix(".gz"))
    if name.suffix == ".json":
        return "documents"
    if name.suffix in _LINE_SUFFIXES:
        return "lines"
    start = head.removeprefix(_UTF8_BOM).lstrip()
    if not _JSON_START.match(start):
        return "lines"
    first, newline, _ = start.partition(b"\n")
    return "lines" if newline and _is_record(first) else "documents"


def _is_record(line: bytes) -> bool:
    """Whether a line is a whole JSON object without a list of records."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and not isinstance(value.get("Records"), list)


def decode(chunks: Iterable[bytes]) -> Iterator[str]:
    """UTF-8 text without byte order mark; invalid bytes become U+FFFD."""
    return codecs.iterdecode(chunks, "utf-8-sig", errors="replace")


def split_lines(chunks: Iterable[bytes]) -> Iterator[TextLine]:
    """The lines of a file. If the chunks end in an error, an incomplete line is dropped."""
    pending: list[bytes] = []
    length = 0
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            yield _line(pending, part, length + len(part) + 1, terminated=True)
            pending, length = [], 0
        length += len(rest)
        if length <= LINE_LENGTH:
            pending.append(rest)
        else:
            pending = []
    if length:
        yield _line(pending, b"", length, terminated=False)


def _line(pending: list[bytes], last: bytes, length: int, *, terminated: bool) -> TextLine:
    if length - terminated > LINE_LENGTH:
        return TextLine(None, length, terminated)
    raw = b"".join((*pending, last)).removesuffix(b"\r")
    return TextLine(raw.decode("utf-8", errors="replace"), length, terminated)
