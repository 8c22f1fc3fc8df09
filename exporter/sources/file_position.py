"""The checkpoint of a file: its position, and a fingerprint of the file."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Collection, Iterable
from typing import BinaryIO, Final, Literal

import msgspec

from exporter.model import DamagedCheckpointError

SAMPLE: Final = 1024
"""Bytes of each end."""


class FilePosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How far a file was read.

    Reading continues there if the inode is the same, the file is not shorter, and the bytes at both
    ends of the part that was read are the same. (The device number changes when a volume is mounted
    again, so it is not compared.) ``file_rotation`` finds out what became of any other file.
    """

    unit: Literal["bytes", "records"]
    """Unit of ``done``: bytes of whole lines, or records (JSON, compressed files)."""
    done: int | None
    """None if all records of the ``covered`` bytes, or of the ``copied`` ones, were read, without
    being counted."""
    inode: int
    covered: int
    """Bytes of the file that ``sample`` covers."""
    sample: str
    modified: int = 0
    """Records: modification time of the version that was read, nanoseconds."""
    finished: bool = False
    """Records: whether that version was read to its end."""
    midline: bool = False
    """Bytes: whether the line that ends at ``done`` was counted before it had its newline."""
    copied: int = 0
    """Records: bytes of the content that were read before they were compressed."""
    path: str = ""
    """Where the file is now, if another one has its name, or none."""
    gone: int = 0
    """Milliseconds: when it was found to be gone."""

    @classmethod
    def in_lines(
        cls, file: BinaryIO, stat: os.stat_result, done: int, *, midline: bool = False
    ) -> FilePosition:
        """After the first ``done`` bytes of an open file, in UTF-8."""
        covered = min(done, stat.st_size)  # UTF-16 may be shorter
        return cls(
            unit="bytes",
            done=done,
            inode=stat.st_ino,
            covered=covered,
            sample=sample(file, covered),
            midline=midline,
        )

    @classmethod
    def in_records(
        cls, stat: os.stat_result, done: int | None, fingerprint: str, *, finished: bool
    ) -> FilePosition:
        """After the first ``done`` records of a file with this ``sample``."""
        return cls(
            unit="records",
            done=done,
            inode=stat.st_ino,
            covered=stat.st_size,
            sample=fingerprint,
            modified=stat.st_mtime_ns,
            finished=finished,
        )

    def encode(self) -> str:
        """As text."""
        return _ENCODER.encode(self).decode()

    @classmethod
    def decode(cls, text: str) -> FilePosition:
        """From text. Raises DamagedCheckpointError."""
        try:
            position = _DECODER.decode(text)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise DamagedCheckpointError from error
        if position.done is None and position.unit == "bytes":
            raise DamagedCheckpointError
        return position

    def holds_for(self, file: BinaryIO, stat: os.stat_result) -> bool:
        """Whether an open file is the one that was read, unchanged or with more at its end."""
        return (
            stat.st_ino == self.inode
            and stat.st_size >= self.covered
            and sample(file, self.covered) == self.sample
        )

    def of_copy(self, stat: os.stat_result) -> FilePosition:
        """The same position in another file, which begins with the same bytes."""
        return msgspec.structs.replace(self, inode=stat.st_ino, finished=False, path="", gone=0)

    def in_compressed(self, stat: os.stat_result) -> FilePosition:
        """The same position in a compressed file, whose content begins with the same bytes."""
        copied = self.covered if self.unit == "records" or self.done is None else self.done
        return FilePosition("records", None, stat.st_ino, 0, _digest(b"", b""), copied=copied)

    def renamed(self, path: str) -> FilePosition:
        """The same position of a file that is at another path now."""
        return msgspec.structs.replace(self, path=path, gone=0)

    def lost(self, time: int) -> FilePosition:
        """The same position of a file that is gone; ``time``: milliseconds, 0 if it is back."""
        return msgspec.structs.replace(self, gone=time)

    def finished_with(self, stat: os.stat_result) -> bool:
        """Whether the file has not changed since it was read to its end."""
        return (
            self.finished
            and stat.st_ino == self.inode
            and stat.st_size == self.covered
            and stat.st_mtime_ns == self.modified
        )


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(FilePosition)


def sample(file: BinaryIO, length: int) -> str:
    """A fingerprint of the bytes at both ends of a file's first ``length`` bytes."""
    return _digest(*ends(file, length))


def ends(file: BinaryIO, length: int) -> tuple[bytes, bytes]:
    """The bytes at both ends of a file's first ``length`` bytes."""
    descriptor = file.fileno()
    start = max(0, length - SAMPLE)
    return os.pread(descriptor, min(SAMPLE, length), 0), os.pread(descriptor, length - start, start)


def ends_of(chunks: Iterable[bytes], lengths: Collection[int]) -> dict[int, tuple[bytes, bytes]]:
    """The bytes at both ends of a content's first bytes, for those lengths that it has."""
    found: dict[int, tuple[bytes, bytes]] = {}
    wanted = deque(sorted(set(lengths)))
    head = tail = b""
    size = 0
    for chunk in chunks:
        if len(head) < SAMPLE:
            head += chunk[: SAMPLE - len(head)]
        tail += chunk
        size += len(chunk)
        while wanted and wanted[0] <= size:
            length = wanted.popleft()
            end = len(tail) - (size - length)
            found[length] = head[:length], tail[max(0, end - SAMPLE) : end]
        if not wanted:
            break
        tail = tail[-SAMPLE:]
    return found


def sample_of(found: tuple[bytes, bytes]) -> str:
    """The fingerprint of ``ends``."""
    return _digest(*found)


def _digest(head: bytes, tail: bytes) -> str:
    return hashlib.blake2b(head + tail, digest_size=8).hexdigest()
