"""The checkpoint of a file: how far it was read, and how to know it again."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import BinaryIO, Literal, get_type_hints

from exporter.model import DamagedCheckpointError

_SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class FilePosition:
    """How far a file was read.

    A file goes on from its position while its inode is the same, it is no shorter, and the bytes
    at both ends of what was read are the same. (The device's number is left out: it changes when
    a volume is mounted again.) Any other file of this name is read from its start.
    """

    unit: Literal["bytes", "records"]
    """What ``done`` counts: bytes of whole lines, or records from the start (JSON, gzip)."""
    done: int
    inode: int
    covered: int
    """Bytes of the file that ``sample`` vouches for."""
    sample: str
    modified: int = 0
    """Records: the modification time of the version that was read, nanoseconds."""
    finished: bool = False
    """Records: that version was read to its end."""
    midline: bool = False
    """Bytes: the line that ends at ``done`` was counted before its newline was there."""

    def encode(self) -> str:
        """As text."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> FilePosition:
        """From text. Raises DamagedCheckpointError."""
        try:
            position = cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise DamagedCheckpointError from error
        for name, kind in get_type_hints(cls).items():
            value = getattr(position, name)
            if value not in ("bytes", "records") if name == "unit" else type(value) is not kind:
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
        """Whether nothing happened to the file since it was read to its end."""
        return (
            self.finished
            and stat.st_ino == self.inode
            and stat.st_size == self.covered
            and stat.st_mtime_ns == self.modified
        )


def sample(file: BinaryIO, length: int) -> str:
    """A fingerprint of the bytes at both ends of a file's first ``length`` bytes."""
    descriptor = file.fileno()
    head = os.pread(descriptor, min(_SAMPLE, length), 0)
    start = max(0, length - _SAMPLE)
    tail = os.pread(descriptor, length - start, start)
    return hashlib.blake2b(head + tail, digest_size=8).hexdigest()
