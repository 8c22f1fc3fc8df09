"""The content of a file or an object: as UTF-8, and split into lines."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.model import LONGEST, DamagedContentError

CHUNK = 256 * 1024
AT_ONCE = 32 * 1024 * 1024
"""Bytes of the largest document that is inflated and decoded in one call each."""
UTF8_BOM = codecs.BOM_UTF8
HEAD = 64 * 1024
"""Bytes from which the layout is known."""

_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""That of UTF-32 begins as that of UTF-16."""
# A file that was truncated while it is written has no mark.
_LITTLE: Final = re.compile(rb"(?:[\t\r\n -~]\0){4}")
_BIG: Final = re.compile(rb"(?:\0[\t\r\n -~]){4}")


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


def read_chunks(file: io.BufferedReader, length: int) -> Iterator[bytes]:
    """The next ``length`` bytes of a file, or fewer at its end."""
    while length > 0:
        chunk = file.read(min(CHUNK, length))
        if not chunk:
            return
        length -= len(chunk)
        yield chunk


def encoding_of(head: bytes) -> str | None:
    """The encoding of a content that is not UTF-8, by its byte order mark or its first letters."""
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            return name
    if _LITTLE.match(head):
        return "utf-16-le"
    return "utf-16-be" if _BIG.match(head) else None


def in_utf8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """A content in another encoding, as UTF-8."""
    for text in codecs.iterdecode(chunks, encoding, errors="replace"):
        yield text.encode("utf-8", "replace")


def ends_in_cr(start: bytes) -> bool:
    """Whether lines end in CR alone, as the start of the content shows."""
    return b"\n" not in start and b"\r" in start


def with_line_ends(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A content whose lines end in CR, with LF instead."""
    return (chunk.replace(b"\r", b"\n") for chunk in chunks)


def skipped(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """A content after its first ``count`` bytes."""
    for chunk in chunks:
        if count < len(chunk):
            yield chunk[count:]
        count = max(0, count - len(chunk))


def limited(chunks: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The first ``count`` bytes of a content."""
    for chunk in chunks:
        yield chunk[:count]
        count -= len(chunk)
        if count <= 0:
            return


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
    """The lines of a file. If the chunks end in an error, an incomplete line is dropped.

    NUL bytes at the beginning of a line are left out: a program that keeps writing at its old
    position after ``copytruncate`` leaves a hole. At the end of a file they are no line (yet).
    """
    pending: list[bytes] = []
    length = zeros = 0
    for chunk in chunks:
        rest = chunk
        if length == zeros and rest[:1] == b"\0":
            rest = rest.lstrip(b"\0")
            zeros += len(chunk) - len(rest)
            length = zeros
        end = rest.rfind(b"\n") + 1
        if end:
            first = 0
            if zeros or length > LONGEST:
                first = rest.find(b"\n") + 1
                is_long = length - zeros > LONGEST
                text = None if is_long else _text(b"".join((*pending, rest[: first - 1])))
                yield Lines((text,), length + first, terminated=True)
                pending = []
            yield from _whole_lines(b"".join((*pending, memoryview(rest)[first:end])))
            pending, length, zeros = [], 0, 0
            rest = rest[end:]
            if rest[:1] == b"\0":
                zeros = length = len(rest) - len(rest := rest.lstrip(b"\0"))
        length += len(rest)
        if length - zeros <= LONGEST:
            pending.append(rest)
        else:
            pending = []
    if length - zeros > LONGEST:
        yield Lines((None,), length, terminated=False)
    elif length > zeros:
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
    if b"\0" in raw:
        texts = [text.lstrip("\0") for text in texts]
    yield Lines(texts, len(raw), terminated=True, raw=raw)


def _text(line: bytes) -> str:
    return line.lstrip(b"\0").removesuffix(b"\r").decode(errors="replace")
