"""gzip at the speed of the machine: the quickest library is found by measuring."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any, Final, NamedTuple

import deflate as libdeflate
from isal import isal_zlib
from zlib_ng import zlib_ng

_GZIP_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"
_LAST_BLOCK: Final = b"\x03\0"
_RAW: Final = -15
"""Window bits of a deflate stream without a header."""
_LEVELS: Final[tuple[tuple[ModuleType, int], ...]] = (
    (isal_zlib, 0),
    (zlib_ng, 1),
    (zlib, 1),
)
"""The quickest level of each. libdeflate cannot join a file from parts."""
_ROUNDS: Final = 5
_TRAILER: Final = 8
"""Bytes at the end of a member: checksum and size of its content."""


def inflate(data: bytes, limit: int) -> bytearray | None:
    """The content of a gzip file that is one undamaged member, of 1 to ``limit`` bytes.

    None for any other file: what can be read of it has to be found out by the standard library.
    """
    trailer = data[-_TRAILER:]
    size = int.from_bytes(trailer[4:], "little")
    if not 0 < size <= limit:
        return None
    try:
        content: bytearray = libdeflate.gzip_decompress(data, size)
    except (libdeflate.DeflateError, ValueError):
        return None
    # libdeflate has found checksum and size after the first member, and ignores what follows: they
    # must be the last bytes of the file, and nowhere before.
    found = libdeflate.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return content if data.find(found) == len(data) - _TRAILER else None


class Deflated(NamedTuple):
    """A part of a gzip file, which can be joined with others in any order."""

    data: bytes
    """Deflate blocks that end at a byte and refer to nothing before them."""
    crc: int
    """Checksum (CRC-32) of the text."""
    length: int
    """Bytes of the text."""
    dense: bool = False
    """Whether it was compressed well rather than quickly."""


def deflate(text: bytes, *, dense: bool = False) -> Deflated:
    """Compress a part of a gzip file: quickly, or ``dense``, to about two thirds of that size."""
    compress = _dense() if dense else _quickest()
    return Deflated(compress(text), isal_zlib.crc32(text), len(text), dense)


def gzip_file(parts: Iterable[Deflated]) -> bytes:
    """Join parts to a gzip file of one member; many clients read only the first."""
    data, crc, length = [_GZIP_HEADER], 0, 0
    combine = isal_zlib.crc32_combine
    for text, text_crc, text_length, _ in parts:
        data.append(text)
        crc = combine(crc, text_crc, text_length)
        length += text_length
    trailer = crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join((*data, _LAST_BLOCK, trailer))


def deflater(library: Any, level: int) -> Callable[[bytes], bytes]:
    """Return a function that compresses to deflate blocks that end at a byte.

    ``library`` has the interface of the standard library's ``zlib``.
    """

    def compress(text: bytes) -> bytes:
        stream = library.compressobj(level, library.DEFLATED, _RAW)
        data: bytes = stream.compress(text) + stream.flush(library.Z_SYNC_FLUSH)
        return data

    return compress


@cache
def _dense() -> Callable[[bytes], bytes]:
    """Return a compression that makes small files in half as much time again as the quickest."""
    return deflater(isal_zlib, 1)


@cache
def _quickest() -> Callable[[bytes], bytes]:
    """Return the quickest compression on this machine; measured once, in a few milliseconds."""
    text = b"".join(
        b'metric_total{region="eu-west-1",user="u-%x"} %d\n' % (n**5, n) for n in range(200)
    )
    candidates = [deflater(library, level) for library, level in _LEVELS]
    times = {
        candidate: min(_seconds(candidate, text) for _ in range(_ROUNDS))
        for candidate in candidates
    }
    return min(times, key=times.__getitem__)


def _seconds(compress: Callable[[bytes], bytes], text: bytes) -> float:
    began = time.perf_counter()
    compress(text)
    return time.perf_counter() - began
