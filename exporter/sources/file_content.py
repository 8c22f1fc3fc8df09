"""The content of a file or an object: decompressed, and split into lines."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from exporter import compression
from exporter.model import LONGEST, DamagedContentError

AT_ONCE = 32 * 1024 * 1024
"""Bytes of the largest document that is inflated and decoded in one call each."""
CHUNK = 256 * 1024
UTF8_BOM = codecs.BOM_UTF8
HEAD = 64 * 1024
"""Bytes from which the layout is known."""

# Gzip makes log lines 10 to 50 times smaller; a thousand times is an attack.
_BOMB_BYTES = 256 * 1024 * 1024
_BOMB_RATIO = 200


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a file that follow one another."""

    texts: Sequence[str | None]
    """Without their ends. A line that is longer than LONGEST is alone, and None."""
    length: int
    """Bytes, the ends of lines included."""
    terminated: bool
    """Whether they end in a newline; the last line of a file may not, and is alone then."""
    raw: bytes = b""

    def cut(self, count: int) -> tuple[Lines, Lines]:
        """The first ``count`` lines, and the others."""
        if count >= len(self.texts):
            return self, _NO_LINES
        first = sum(map(len, self.raw.split(b"\n", count)[:count])) + count
        return (
            Lines(self.texts[:count], first, True, self.raw[:first]),
            Lines(self.texts[count:], self.length - first, True, self.raw[first:]),
        )


_NO_LINES = Lines((), 0, terminated=True)


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


def inflate_at_once(file: BinaryIO, size: int, limit: int) -> bytes | bytearray | None:
    """The content of the first ``size`` bytes of a gzip file, if it can be read in one piece.

    That is one undamaged member of at most ``limit`` bytes. None for all others, which ``inflate``
    reads from the start of the file.
    """
    if size > limit:
        return None
    content = compression.inflate(file.read(size), limit)
    if content is None:
        file.seek(0)
    return content


def inflate(file: BinaryIO) -> Iterator[bytes]:
    """The content of a gzip file of one or many members, in bounded memory.

    Raises DamagedContentError at the first damage, after everything before it.
    """
    inflated = 0
    with gzip.GzipFile(fileobj=file, mode="rb") as stream:
        while True:
            try:
                # read1 returns the data before the damage.
                chunk = stream.read1(CHUNK)
            except EOFError as error:
                raise DamagedContentError("its gzip data ends too early") from error
            except (gzip.BadGzipFile, zlib.error) as error:
                raise DamagedContentError("its gzip data is damaged") from error
            if not chunk:
                return
            inflated += len(chunk)
            if inflated > max(_BOMB_BYTES, _BOMB_RATIO * file.tell()):
                raise DamagedContentError(
                    f"its gzip data grows more than {_BOMB_RATIO}-fold, "
                    f"past {_BOMB_BYTES >> 20} MiB: it looks like a decompression bomb"
                )
            yield chunk


def decode(chunks: Iterable[bytes]) -> Iterator[str]:
    """UTF-8 text without byte order mark; invalid bytes become U+FFFD."""
    return codecs.iterdecode(chunks, "utf-8-sig", errors="replace")


def beginning(content: Iterator[bytes]) -> tuple[bytes, DamagedContentError | None]:
    """The first HEAD bytes of a file or more, and the error after them, if any."""
    head = bytearray()
    try:
        while len(head) < HEAD and (chunk := next(content, b"")):
            head += chunk
    except DamagedContentError as error:
        return bytes(head), error
    return bytes(head), None


def again(
    head: bytes, rest: Iterator[bytes], broken: DamagedContentError | None
) -> Iterator[bytes]:
    """The whole content, from its head and the rest."""
    yield head
    if broken is not None:
        raise broken
    yield from rest


def pieces(content: bytes | bytearray) -> Iterator[bytes]:
    """A content in chunks."""
    return (bytes(content[at : at + CHUNK]) for at in range(0, len(content), CHUNK))


def split_lines(chunks: Iterable[bytes]) -> Iterator[Lines]:
    """The lines of a file. If the chunks end in an error, an incomplete line is dropped."""
    pending: list[bytes] = []
    length = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            if length <= LONGEST:
                yield from _whole_lines(b"".join((*pending, memoryview(chunk)[:end])))
            else:
                first = chunk.find(b"\n") + 1
                yield Lines((None,), length + first, terminated=True)
                yield from _whole_lines(chunk[first:end])
            pending, length = [], 0
        length += len(chunk) - end
        if length <= LONGEST:
            pending.append(chunk[end:])
        else:
            pending = []
    if length > LONGEST:
        yield Lines((None,), length, terminated=False)
    elif length:
        yield Lines((_text(b"".join(pending)),), length, terminated=False)


def _whole_lines(raw: bytes) -> Iterator[Lines]:
    """Lines that all end in a newline."""
    if not raw:
        return
    if len(raw) > LONGEST:
        for line in raw.split(b"\n")[:-1]:
            text = _text(line) if len(line) <= LONGEST else None
            yield Lines((text,), len(line) + 1, terminated=True)
        return
    texts: list[str]
    try:
        texts = raw.decode().split("\n")
    except UnicodeDecodeError:
        texts = [line.decode(errors="replace") for line in raw.split(b"\n")]
    del texts[-1]
    if b"\r" in raw:
        texts = [text.removesuffix("\r") for text in texts]
    yield Lines(texts, len(raw), terminated=True, raw=raw)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode(errors="replace")
