"""What SQLite's and the system's errors mean for the ledger, as sentences for the user."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.model import Partition

_START_ANEW = (
    "Restore it from a backup, or move it away (with its -wal file) to begin a new ledger: "
    "all counters then start from zero"
)
_LAST_COMMIT_STANDS = "Nothing is lost: the ledger stands at its last commit"


DATABASE_ERRORS: Final = (sqlite3.Error, UnicodeDecodeError)
"""What the sqlite3 module raises; the second where a damaged name is in SQLite's own message."""


class UnreadableRowError(ValueError):
    """A row of the ledger does not hold what its table is for; the message begins with which."""


def damaged(path: Path, what: str) -> LedgerError:
    """The error for a ledger file whose contents cannot be trusted."""
    return LedgerError(f"The ledger {path} is damaged: {what}. {_START_ANEW}.")


def damaged_checkpoint(place: str, partition: Partition) -> LedgerError:
    """The error for a position that its source cannot read."""
    what = f"table checkpoints has a position of {partition} that cannot be read"
    return damaged(Path(place), what)


def not_a_ledger(path: Path, what: str) -> LedgerError:
    """The error for a file in the ledger's place that is none."""
    return LedgerError(
        f"{path} is not a ledger of this exporter: {what}. Choose another directory with "
        "--storage.path, or move the file away to begin a new ledger there."
    )


def explain(error: sqlite3.Error | UnicodeDecodeError, path: Path, doing: str) -> LedgerError:
    """What went wrong, at which path, and what to do about it.

    ``doing`` is the end of "The ledger … could not be …": ``opened``, ``written``.
    """
    if isinstance(error, UnicodeDecodeError):
        return damaged(path, "it has text that is no UTF-8")
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    failed = f"The ledger {path} could not be {doing}"
    if name.startswith("SQLITE_FULL"):
        return LedgerError(
            f"{failed}: the disk is full ({_free(path)}). Free or add space. {_LAST_COMMIT_STANDS}."
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
            f"{failed}: another program holds it locked. Close it (a sqlite3 shell, a backup). "
            f"{_LAST_COMMIT_STANDS}."
        )
    if name.startswith(("SQLITE_IOERR", "SQLITE_NOMEM", "SQLITE_PROTOCOL")):
        return LedgerError(
            f"{failed}: input or output failed ({name}: {error}; {_free(path)}). Check the volume "
            f"and the kernel's log. {_LAST_COMMIT_STANDS}."
        )
    return LedgerError(f"{failed} ({name}: {error}). {_START_ANEW}.")


def explain_os(error: OSError, path: Path, doing: str) -> LedgerError:
    """The same for an error of the system: ``path`` could not be ``doing`` (``created`` …)."""
    reason = error.strerror or str(error)
    advice = "Choose another directory with --storage.path"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"Free or add space on the volume ({_free(path)})"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        advice = f"Give the exporter's user write access there. {advice} otherwise"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        advice = f"--storage.path must name a directory. {advice}"
    return LedgerError(f"{path} could not be {doing}: {reason}. {advice}.")


def _free(path: Path) -> str:
    try:
        return f"{shutil.disk_usage(path.parent).free} bytes are free there"
    except OSError:
        return "its free space is unknown"
