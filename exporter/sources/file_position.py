"""The checkpoint of a file: its position, and a fingerprint of the file."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO, Literal

import msgspec

from exporter.model import DamagedCheckpointError

_SAMPLE = 1024


class FilePosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a file was read.

    Reading continues there if the inode is the same, the file is not shorter, and the bytes at both
    ends of the part that was read are the same. (The device number changes when a volume is mounted
    again, so it is not compared.) Any other file of this name is read from its start.
    """

    unit: Literal["bytes", "records"]
    """Unit of ``done``: bytes of whole lines, or records (JSON, gzip)."""
    done: int | None
    """None if all records of the ``covered`` bytes were read, without being counted."""
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
    descriptor = file.fileno()
    head = os.pread(descriptor, min(_SAMPLE, length), 0)
    start = max(0, length - _SAMPLE)
    tail = os.pread(descriptor, length - start, start)
    return hashlib.blake2b(head + tail, digest_size=8).hexdigest()
