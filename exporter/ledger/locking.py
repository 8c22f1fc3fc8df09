"""A lock on the ledger's own file, so that only one process uses it."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.errors import explain_os

FileId = tuple[int, int]
"""Device and inode, which identify a file whatever its name."""

_LOCKED_BYTE: Final = 1 << 62
"""Not used by SQLite, which locks bytes from 2^30 on and whose files end at 2^48."""
_SQLITE_LOCKS: Final = (0x40000000, 512)
"""SQLite, os.h: from PENDING_BYTE on. An open connection in WAL mode locks some of these."""
_FLOCK: Final = "hhqqi4x"
"""fcntl(2): struct flock: type, whence, start, length, pid."""


class FileLock:
    """An open file description lock (fcntl(2), F_OFD_SETLK) on one byte of a file.

    It ends with the process, stays with the file when that is renamed, and cannot be deleted.
    Unlike SQLite's locks, it is not released when another descriptor of the file is closed. Unlike
    flock(2), it does not lock the whole file, including SQLite's bytes, on NFS.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Lock the file at ``path``, which is created if ``create`` is set.

        Raises:
            LedgerError: another process has locked it, or it cannot be opened for writing.
            FileNotFoundError: it does not exist.
        """
        while True:
            self.descriptor = _open(path, create=create)
            try:
                _lock(self.descriptor, path)
                status = os.fstat(self.descriptor)
                self.file_id: FileId = (status.st_dev, status.st_ino)
                if file_id(path) == self.file_id:
                    return
            except BaseException:
                os.close(self.descriptor)
                raise
            os.close(self.descriptor)  # renamed or removed meanwhile: try again

    def release(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


def file_id(path: Path) -> FileId | None:
    """Return the id of the file at a path; None if there is no file. Raises OSError."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _open(path: Path, *, create: bool) -> int:
    try:
        flags = os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise explain_os(error, path, "opened for writing") from error


def _lock(descriptor: int, path: Path) -> None:
    wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _LOCKED_BYTE, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, wanted)
    except (BlockingIOError, PermissionError) as error:  # fcntl(2): EAGAIN or EACCES
        raise LedgerError(
            f"The ledger in {path.parent} is in use by another process{_holder(descriptor)}. "
            "Stop that process first, or choose another directory with --storage.path."
        ) from error
    except OSError as error:
        raise explain_os(error, path, "locked") from error


def _holder(descriptor: int) -> str:
    """Return the pid of the process that has the ledger open, in brackets, if it is known."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_SQLITE_LOCKS, 0)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    except OSError:
        return ""
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return f" (pid {pid})" if kind != fcntl.F_UNLCK and pid > 0 else ""
