"""Messages from files and pipes, and results to pipes that may close."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from exporter.commands.options import USAGE_ERROR, fail

_LONGEST_OBJECT = 64 * 2**20
"""Bytes of a file that are looked at as one pretty-printed JSON object."""


@contextlib.contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """A file's bytes, or those of standard input for ``-``; ends the command on an error."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as stream:
            yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{file}: {error.strerror}", USAGE_ERROR)


def decoded(line: bytes) -> str:
    """A line as a message: without its line ending, bytes that are no UTF-8 replaced."""
    return line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")


def messages(stream: BinaryIO) -> Iterator[str]:
    """One message a line; a stream that is one JSON object over several lines is one message."""
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
        yield decoded(start.strip())
        return
    yield from _lines([*blanks, *io.BytesIO(start)], stream)


def _lines(start: Iterable[bytes], rest: BinaryIO) -> Iterator[str]:
    yield from (decoded(line) for line in start if line)
    yield from map(decoded, rest)


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


@contextlib.contextmanager
def closable_output() -> Iterator[None]:
    """End the output quietly where the reader has gone (``| head``)."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes standard output once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
