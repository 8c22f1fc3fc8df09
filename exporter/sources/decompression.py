"""The content of compressed files: gzip, bzip2, xz and zip, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final

from exporter import compression
from exporter.model import DamagedContentError
from exporter.sources.file_content import CHUNK

# Gzip makes log lines 10 to 50 times smaller; a thousand times is an attack.
_BOMB_BYTES = 256 * 1024 * 1024
_BOMB_RATIO: Final = 200
_XZ_MEMORY: Final = 128 * 1024 * 1024
"""Bytes that xz may use for its dictionary: its best preset takes 65 MiB."""
_ZIP_FOLDER: Final = 4 * 1024 * 1024
"""Bytes of the largest list of files of a zip archive, which is read as a whole."""
_ZIP_END: Final = 22
_ZIP_COMMENT: Final = 1 << 16
_UNREAD: Final = {
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress (.Z)",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"PK\x05\x06": "an empty zip archive",
}
_LONGEST_MAGIC: Final = 10
_BZIP2_BLOCKS: Final = (b"1AY&SY", b"\x17rE8P\x90")
"""How the first block begins, or the end of an empty content."""


def is_gzip(file: io.BufferedReader) -> bool:
    """Whether the content is gzip."""
    return file.peek(2)[:2] == b"\x1f\x8b"


def decompressed(file: io.BufferedReader, size: int | None = None) -> Iterator[bytes] | None:
    """The content of the compressed file at its start; None if it is not compressed.

    ``size``: bytes of the file; None for a pipe. The iterator raises DamagedContentError at the
    first damage, after everything before it, and for a compression that is not read.
    """
    start = file.peek(_LONGEST_MAGIC)[:_LONGEST_MAGIC]
    if start[:2] == b"\x1f\x8b":
        return _bounded(_gzip(file), file.tell)
    if start[:3] == b"BZh" and start[4:10] in _BZIP2_BLOCKS:
        return _bounded(_streams(file, bz2.BZ2Decompressor, "bzip2"), file.tell)
    if start[:6] == b"\xfd7zXZ\0":
        return _bounded(_streams(file, _xz, "xz"), file.tell)
    if start[:4] == b"PK\x03\x04":
        return _bounded(_zip(file, size), lambda: size or 0)
    for magic, name in _UNREAD.items():
        if start.startswith(magic):
            return _refused(name)
    return None


def inflate_at_once(file: BinaryIO, size: int, limit: int) -> bytes | bytearray | None:
    """The content of the first ``size`` bytes of a gzip file, if it can be read in one piece.

    That is one undamaged member of at most ``limit`` bytes. None for all others, which
    ``decompressed`` reads from the start of the file.
    """
    if size > limit:
        return None
    content = compression.inflate(file.read(size), limit)
    if content is None:
        file.seek(0)
    return content


def _refused(name: str) -> Iterator[bytes]:
    raise DamagedContentError(f"it is {name}; only gzip, bzip2, xz and zip are decompressed")
    yield b""


def _bounded(chunks: Iterator[bytes], consumed: Callable[[], int]) -> Iterator[bytes]:
    """The chunks, until there are too many for the bytes that were read for them."""
    found = 0
    for chunk in chunks:
        found += len(chunk)
        if found > max(_BOMB_BYTES, _BOMB_RATIO * consumed()):
            raise DamagedContentError(
                f"its content is more than {_BOMB_RATIO} times its size, and more than "
                f"{_BOMB_BYTES >> 20} MiB: it looks like a decompression bomb"
            )
        yield chunk


def _gzip(file: BinaryIO) -> Iterator[bytes]:
    """One or many members."""
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
            yield chunk


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _streams(file: BinaryIO, make: Callable[[], Any], name: str) -> Iterator[bytes]:
    """One or many streams of bzip2 or xz, which may have zeros behind them."""
    data = file.read(CHUNK)
    while data:
        stream = make()
        while not stream.eof:
            try:
                chunk = stream.decompress(data, CHUNK)
            except (OSError, lzma.LZMAError) as error:
                raise DamagedContentError(f"its {name} data is damaged") from error
            data = b""
            if chunk:
                yield chunk
            if stream.needs_input and not stream.eof and not (data := file.read(CHUNK)):
                raise DamagedContentError(f"its {name} data ends too early")
        data = stream.unused_data.lstrip(b"\0")
        while not data and (more := file.read(CHUNK)):
            data = more.lstrip(b"\0")


def _zip(file: io.BufferedReader, size: int | None) -> Iterator[bytes]:
    """The files of an archive, one after the other."""
    if size is None:
        raise DamagedContentError("a zip archive can be read from a file only")
    file.seek(max(0, size - _ZIP_END - _ZIP_COMMENT))
    end = file.read(_ZIP_END + _ZIP_COMMENT)
    at = end.rfind(b"PK\x05\x06")
    folder = int.from_bytes(end[at + 12 : at + 16], "little")
    if at >= 0 and (folder > _ZIP_FOLDER or b"PK\x06\x07" in end[max(0, at - 20) : at]):
        raise DamagedContentError("its zip archive has too many files, or is larger than 4 GiB")
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                last = b"\n"
                with archive.open(info) as member:
                    while chunk := member.read(CHUNK):
                        yield chunk
                        last = chunk[-1:]
                if last != b"\n":
                    yield b"\n"
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        OSError,
        RuntimeError,  # it is encrypted, or compressed in a way that Python does not know
        ValueError,
    ) as error:
        raise DamagedContentError("its zip archive is damaged, encrypted or incomplete") from error
