"""Messages from files and pipes, and results to pipes that may close."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from exporter.model import DamagedContentError
from exporter.sources.decompression import decompressed
from exporter.sources.file_content import CHUNK

STANDARD_INPUT = "-"

_LONGEST_OBJECT = 64 * 2**20
"""Bytes of a file that are looked at as one pretty-printed JSON object."""


class InputError(Exception):
    """A file cannot be read to its end; the message names it and says why."""


class Message(NamedTuple):
    """A message, and the line of the input in which it begins, counted from 1."""

    line: int
    text: str


def shown_name(name: str) -> str:
    """A file's name for people, as grep has it."""
    if name == STANDARD_INPUT:
        return "(standard input)"
    return os.fsencode(name).decode(errors="replace")


def decoded(line: bytes) -> str:
    """A line as a message: without its line ending, bytes that are no UTF-8 replaced."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")


def lines(name: str) -> Iterator[bytes]:
    """The lines of a file (``-``: of standard input) with their ends, decompressed.

    Raises InputError, after the messages that could be read.
    """
    with _opened(name) as stream:
        yield from stream


def messages(name: str) -> Iterator[Message]:
    """One message a line; a file that is one JSON object over several lines is one message.

    Reads as ``lines`` does, and raises InputError.
    """
    with _opened(name) as stream:
        yield from _messages(stream)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    try:
        if name == STANDARD_INPUT:
            yield _inflated(io.BufferedReader(_Counted(sys.stdin.buffer), CHUNK))
            return
        with Path(name).open("rb") as file:
            yield _inflated(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise InputError(f"{shown_name(name)}: {error.strerror}") from error
    except DamagedContentError as error:
        raise InputError(f"{shown_name(name)}: {error}") from error


def _messages(stream: BinaryIO) -> Iterator[Message]:
    first = stream.readline()
    blanks = []
    while first and not first.strip():
        blanks.append(first)
        first = stream.readline()
    if not first.lstrip().startswith(b"{") or _is_json(first):
        yield from _lines([*blanks, first], stream)
        return
    start = first + stream.read(_LONGEST_OBJECT)
    if not start.endswith(b"\n"):
        start += stream.readline()
    if _is_json(start):
        yield Message(len(blanks) + 1, decoded(start.strip()))
        return
    yield from _lines([*blanks, *io.BytesIO(start)], stream)


def _lines(start: Iterable[bytes], rest: BinaryIO) -> Iterator[Message]:
    line = 0
    for some in (start, rest):
        for raw in some:
            if raw:
                line += 1
                yield Message(line, decoded(raw))


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


def _inflated(file: io.BufferedReader, size: int | None = None) -> BinaryIO:
    chunks = decompressed(file, size)
    return file if chunks is None else io.BufferedReader(_Chunks(chunks), CHUNK)


class _Counted(io.RawIOBase):
    """A pipe with a position, as files have."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        # Available data only: programs that write line by line wait for the answers.
        data = self._stream.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def tell(self) -> int:
        return self._position


class _Chunks(io.RawIOBase):
    """Chunks as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._rest = self._rest or next(self._chunks, b"")
        data, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


@contextlib.contextmanager
def closable_output() -> Iterator[None]:
    """End the output quietly if the reader has gone (``| head``)."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
