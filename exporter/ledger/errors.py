"""Errors of SQLite and of the system as sentences for the user."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.model import Partition

_RESTORE = (
    "Restore it from a backup, or move it away (with its -wal file) to create a new ledger: "
    "all counters then start from zero"
)
_NOTHING_LOST = "Nothing is lost: the ledger is as it was after its last commit"

DATABASE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""Errors of the sqlite3 module; the second if SQLite's message quotes a damaged name."""


class UnreadableRowError(ValueError):
    """A row of the ledger is damaged; the message names its table."""


def damaged(path: Path, what: str) -> LedgerError:
    """Return the error for a ledger with damaged contents."""
    return LedgerError(f"The ledger {path} is damaged: {what}. {_RESTORE}.")


def damaged_checkpoint(location: str, partition: Partition) -> LedgerError:
    """Return the error for a checkpoint that its source cannot read."""
    what = f"table checkpoints has a position of {partition} that cannot be read"
    return damaged(Path(location), what)


def not_a_ledger(path: Path, what: str) -> LedgerError:
    """Return the error for a file at the ledger's path that is something else."""
    return LedgerError(
        f"{path} is not a ledger of this exporter: {what}. Choose another directory with "
        "--storage.path, or move the file away to create a new ledger there."
    )


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Raise a LedgerError for an error of SQLite or a damaged row.

    ``doing`` completes "The ledger … could not be …": ``opened``, ``written``.
    """
    try:
        yield
    except DATABASE_ERRORS as error:
        raise _explain(error, path, doing) from error
    except UnreadableRowError as error:
        raise damaged(path, str(error)) from error


def explain_os(error: OSError, path: Path, doing: str) -> LedgerError:
    """Return the error for an error of the system: ``path`` could not be ``doing``."""
    reason = error.strerror or str(error)
    advice = "Choose another directory with --storage.path"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"Free or add space on the volume ({_free(path)})"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = f"Give the exporter's user write access there. {advice} otherwise"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        advice = f"--storage.path must name a directory. {advice}"
    return LedgerError(f"{path} could not be {doing}: {reason}. {advice}.")


def _explain(error: sqlite3.Error | UnicodeDecodeError, path: Path, doing: str) -> LedgerError:
    if isinstance(error, UnicodeDecodeError):
        return damaged(path, "it contains text that is not UTF-8")
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    failed = f"The ledger {path} could not be {doing}"
    if name.startswith("SQLITE_FULL"):
        return LedgerError(
            f"{failed}: the disk is full ({_free(path)}). Free or add space. {_NOTHING_LOST}."
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return LedgerError(
            f"{failed}: the file or its volume is read-only or not accessible ({error}). Give the "
            "exporter's user write access to the file and its directory, or choose another "
            "directory with --storage.path."
        )
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or "decode to UTF-8" in str(error):
        return damaged(path, str(error))
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return LedgerError(
            f"{failed}: another program has locked it. Close it (a sqlite3 shell, a backup). "
            f"{_NOTHING_LOST}."
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_PROTOCOL")):
        return LedgerError(
            f"{failed}: input or output failed ({name}: {error}; {_free(path)}). Check the volume "
            f"and the kernel's log. {_NOTHING_LOST}."
        )
    return LedgerError(f"{failed} ({name}: {error}). {_RESTORE}.")


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free} bytes are free there"
    except OSError:
        return "its free space is unknown"
