"""One process at a time: a lock on the ledger's own file."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.errors import explain_os

Identity = tuple[int, int]
"""Device and inode: the same for two names of one file only."""

_LOCKED_BYTE: Final = 1 << 62
"""SQLite locks bytes from 2^30 on and its files end at 2^48: nothing of its own is here."""
_SQLITE_LOCKS: Final = (0x40000000, 512)
"""SQLite, os.h: PENDING_BYTE and what follows. An open connection in WAL mode holds some of it."""
_FLOCK: Final = "hhqqi4x"
"""fcntl(2): struct flock: type, whence, start, length, pid."""


class FileLock:
    """Keeps a second process off a ledger's file, for as long as this one has it.

    An open file description lock (fcntl(2), F_OFD_SETLK) on one byte: it ends with the process,
    however that ends; it goes with the file when that is renamed; nobody can delete it without
    deleting the ledger. Unlike SQLite's own locks it outlives the closing of another descriptor of
    the same file, and unlike flock(2) it does not become a lock of the whole file, SQLite's bytes
    among them, where the volume is NFS.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Lock the file that is at ``path``; ``create`` it where there is none.

        Raises:
            LedgerError: another process has it, or it cannot be opened for writing.
            FileNotFoundError: there is none, and none was to be made.
        """
        while True:
            self.descriptor = _open(path, create=create)
            try:
                _lock(self.descriptor, path)
                status = os.fstat(self.descriptor)
                self.identity: Identity = (status.st_dev, status.st_ino)
                if identity(path) == self.identity:
                    return
            except BaseException:
                os.close(self.descriptor)
                raise
            os.close(self.descriptor)  # renamed or removed between the two: look again

    def release(self) -> None:
        """Let another process in."""
        os.close(self.descriptor)


def identity(path: Path) -> Identity | None:
    """Which file is at a path; None: there is none.

    Raises:
        OSError: nobody can say.
    """
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
    except (BlockingIOError, PermissionError) as error:  # EAGAIN or EACCES, says fcntl(2)
        raise LedgerError(
            f"The ledger in {path.parent} is in use by another process{_holder(descriptor)}. "
            "Stop that one first, or give this one a directory of its own with --storage.path."
        ) from error
    except OSError as error:
        raise explain_os(error, path, "locked") from error


def _holder(descriptor: int) -> str:
    """The pid of the process that has the ledger open, in brackets, where it can be known."""
    asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, *_SQLITE_LOCKS, 0)
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, asked)
    except OSError:
        return ""
    kind, _, _, _, pid = struct.unpack(_FLOCK, answer)
    return f" (pid {pid})" if kind != fcntl.F_UNLCK and pid > 0 else ""
