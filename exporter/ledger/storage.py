"""The ledger's files: one process at a time, created whole or not at all, checked when opened."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.errors import damaged, explain, explain_os, not_a_ledger
from exporter.ledger.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES

LEDGER_FILE: Final = "ledger.sqlite3"
LOCK_FILE: Final = "ledger.lock"

CHECKED_BYTES: Final = 256 * 1024 * 1024
"""Up to this size the whole file is checked when it is opened (about a second); above, SQLite
checks each page as it reads it."""

_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_BUSY_SECONDS: Final = 5.0


class DirectoryLock:
    """Keeps a second process off a ledger, for as long as this one lives.

    A lock of the kernel (flock): it ends with the process, however that ends.
    """

    def __init__(self, directory: Path) -> None:
        """Take the lock.

        Raises:
            LedgerError: another process has it, or there can be no lock in this directory.
        """
        path = directory / LOCK_FILE
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise explain_os(error, path, "opened for writing") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise LedgerError(
                f"The ledger in {directory} is in use by another process (pid {holder or '?'}). "
                "Stop that one first, or give this one a directory of its own with --storage.path."
            ) from error
        except OSError as error:
            os.close(self._descriptor)
            raise explain_os(error, path, "locked") from error
        # The pid is for the message above only: on a full disk the lock holds without it.
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another process in."""
        os.close(self._descriptor)


def make_directory(directory: Path) -> None:
    """Create the ledger's directory where it is missing.

    Raises:
        LedgerError: it cannot be created, or is no directory.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os(error, directory, "created") from error


def open_database(path: Path) -> sqlite3.Connection:
    """Open the ledger file, or create it where there is none; the caller holds the lock.

    Raises:
        LedgerError: the file is empty, damaged, of another version or another program, or cannot
            be written.
    """
    try:
        if path.exists():
            _check_header(path)
        else:
            _create(path)
        size = path.stat().st_size
    except OSError as error:
        raise explain_os(error, path, "opened") from error
    try:
        connection = _connect(path)
    except sqlite3.Error as error:
        raise explain(error, path, "opened") from error
    try:
        _prepare(connection, path, check=size <= CHECKED_BYTES)
    except sqlite3.Error as error:
        connection.close()
        raise explain(error, path, "opened") from error
    except LedgerError:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # mode=rw: SQLite would otherwise create what is missing, an empty ledger.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )


def _check_header(path: Path) -> None:
    """Look at the file before SQLite does, which would recover and change what is not ours."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not header:
        raise damaged(path, "the file is empty")
    if header[: len(_MAGIC)] != _MAGIC[: len(header)]:
        raise not_a_ledger(path, "it is no SQLite database")
    if len(header) < _HEADER_BYTES:
        raise damaged(path, f"the file ends after {len(header)} bytes")
    # SQLite file format 1.3: user_version at offset 60, application_id at 68, big-endian.
    version = int.from_bytes(header[60:64], "big")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise not_a_ledger(path, "it is another program's SQLite database")
    if version != SCHEMA_VERSION:
        raise LedgerError(
            f"The ledger {path} was written by another version of the exporter (its layout is "
            f"{version}, this one knows {SCHEMA_VERSION}). Run that version, or move the file "
            "away to begin a new ledger: all counters then start from zero."
        )


def _create(path: Path) -> None:
    """Make a new ledger under a temporary name, and give it its name when it is on the disk.

    So a file under the ledger's name was whole once: an empty or cut one is damage, never new.
    """
    for suffix in ("-wal", "-journal"):
        if path.with_name(path.name + suffix).exists():
            raise LedgerError(
                f"The ledger {path} is missing, but its {path.name}{suffix} is there. Put the "
                f"file back, or delete {path.name}{suffix} to begin a new ledger: all counters "
                "then start from zero."
            )
    new = path.with_name(path.name + ".new")
    for leftover in (new, new.with_name(new.name + "-journal")):
        leftover.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.executescript(
                f"PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {TABLES} COMMIT;"
            )
    except sqlite3.Error as error:
        raise explain(error, path, "created") from error
    _sync(new)
    new.rename(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path, *, check: bool) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"The ledger {path} cannot use a write-ahead log here (SQLite's journal mode stays "
            f"{mode!r}). Choose a directory on a local volume with --storage.path."
        )
    connection.execute("PRAGMA synchronous = FULL")
    if check:
        found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
        if found != ["ok"]:
            raise damaged(path, "; ".join(found))
    # SQLite opens a file that it may not write as a read-only one, without a word, and even BEGIN
    # IMMEDIATE succeeds there. Rolled back, this writes nothing to the disk.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("ROLLBACK")
