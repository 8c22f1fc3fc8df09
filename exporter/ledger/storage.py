"""The ledger's files: created atomically, locked, and saved again if they are removed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.errors import DATABASE_ERRORS, damaged, explain_os, explained, not_a_ledger
from exporter.ledger.locking import FileId, FileLock, file_id
from exporter.ledger.sqlite_store import CREATE_TABLES
from exporter.ledger.tables import SCHEMA_VERSION

LEDGER_FILE: Final = "ledger.sqlite3"
APPLICATION_ID: Final = 0x4D46454C
"""``MFEL``, in the header of each ledger."""
EARLIEST_SCHEMA: Final = 1
"""Earlier schemas cannot be migrated."""

_OLD_LOCK_FILE: Final = "ledger.lock"
"""Left by versions before 0.1.0."""
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_BUSY_SECONDS: Final = 5.0
_LOG_BYTES: Final = 16 * 1024 * 1024
"""The write-ahead log is cut to this size after large transactions."""


class DatabaseFile:
    """A ledger's file, open and locked. Not thread-safe."""

    def __init__(self, path: Path, lock: FileLock, *, is_new: bool) -> None:
        """Open the locked file. ``is_new``: this process created it. Raises LedgerError."""
        self.path = path
        self.is_new = is_new
        self._lock = lock
        self.connection: sqlite3.Connection | None = None
        self._connect()

    @classmethod
    def open(cls, path: Path) -> DatabaseFile:
        """Open the ledger file, or create it if it does not exist.

        Raises:
            LedgerError: another process has locked it; or it is empty, cut, of another version or
                program, or cannot be written.
        """
        try:
            lock, made = _lock_or_create(path)
            try:
                _check_header(path, lock.descriptor)
                _remove(path.with_name(_OLD_LOCK_FILE))
                return cls(path, lock, is_new=made)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise explain_os(error, path, "opened") from error

    def close(self) -> None:
        """Close the file and release its lock."""
        connection, self.connection = self.connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            # Last, because SQLite's locks end when any descriptor of the file is closed.
            self._lock.release()

    def strayed(self) -> str | None:
        """Return which open file is no longer at its path, and why; None if all are.

        SQLite reports no error if its open files are removed or replaced, and what it writes to
        them is lost when the process ends.
        """
        if self.connection is None:
            return "it could not be opened again"
        for path, opened in self._opened.items():
            try:
                found = file_id(path)
            except OSError:
                continue  # If this is a problem, SQLite reports it.
            if found != opened:
                return f"{path.name} was {'removed' if found is None else 'replaced'}"
        return None

    def save(self) -> None:
        """Copy the open ledger to its path, and use the copy from now on.

        A file that replaced the ledger is kept as ``….replaced``.

        Raises:
            LedgerError: the copy cannot be written, or another process has locked the file at the
                path. The open files are unchanged.
        """
        try:
            with explained(self.path, "saved again"):
                if self.connection is not None:
                    self._write_again(self.connection)
                self._connect()
        except OSError as error:
            raise explain_os(error, self.path, "saved again") from error

    def _write_again(self, connection: sqlite3.Connection) -> None:
        make_directory(self.path.parent)
        new = suffixed(self.path, ".new")
        lock = FileLock(new, create=True)
        other: FileLock | None = None
        try:
            _empty(new, lock)
            with closing(sqlite3.connect(new, isolation_level=None)) as copy:
                connection.backup(copy)
            os.fsync(lock.descriptor)
            found = file_id(self.path)
            if found not in (None, self._lock.file_id):
                other = FileLock(self.path)
                self.path.rename(suffixed(self.path, ".replaced"))
            wal = suffixed(self.path, "-wal")
            if file_id(wal) not in (None, self._opened[wal]):
                # SQLite would apply this log to the copy, which has all of the own log.
                wal.rename(suffixed(self.path, ".replaced-wal"))
            new.rename(self.path)
            sync(self.path.parent)
        except BaseException:
            _remove(new)
            lock.release()
            raise
        finally:
            if other is not None:
                other.release()
        # Closing removes the log by its name, so it comes before the copy gets a log.
        self.connection = None
        with suppress(sqlite3.Error):
            connection.close()
        self._lock.release()
        self._lock = lock
        for suffix in ("-wal", "-shm"):
            _remove(suffixed(self.path, suffix))

    def _connect(self) -> None:
        with explained(self.path, "opened"):
            connection = connect(self.path)
            try:
                _prepare(connection, self.path)
                names = (suffixed(self.path, suffix) for suffix in ("-wal", "-shm"))
                self._opened: dict[Path, FileId | None] = {
                    self.path: self._lock.file_id,
                    **{name: file_id(name) for name in names},
                }
            except BaseException:
                connection.close()
                raise
        self.connection = connection


def make_directory(directory: Path) -> None:
    """Create the ledger's directory if it is missing. Raises LedgerError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os(error, directory, "created") from error


def connect(path: Path, *, mode: str = "rw") -> sqlite3.Connection:
    """Open an existing ledger file. Raises sqlite3.Error."""
    # Without a mode SQLite would create a missing file.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a ledger read-only, without creating files next to it. Raises sqlite3.Error.

    SQLite would create the log's files, and leave them to the user who only reads; the exporter
    might not be allowed to write them. So a closed ledger is read as immutable; the caller has to
    read again if ``is_in_use`` afterwards.
    """
    return connect(path, mode="ro" if is_in_use(path) else "ro&immutable=1")


def is_in_use(path: Path) -> bool:
    """Whether a process has the ledger open, or was killed while it had."""
    return suffixed(path, "-wal").exists()


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def needs_migration(path: Path) -> bool:
    """Return whether opening the ledger at a path will migrate it from an earlier schema."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return EARLIEST_SCHEMA <= int.from_bytes(header[60:64], "big") < SCHEMA_VERSION


def check_file(path: Path) -> None:
    """Check the file's header, without a lock and without SQLite.

    Raises:
        LedgerError: it is empty, cut, of another program or a newer version, or unreadable.
    """
    try:
        with path.open("rb") as file:
            _check_header(path, file.fileno())
    except OSError as error:
        raise explain_os(error, path, "read") from error


def _check_header(path: Path, descriptor: int) -> None:
    """Check the header before SQLite opens the file, which could recover and change it."""
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    if not header:
        raise damaged(path, "the file is empty")
    if header[: len(_MAGIC)] != _MAGIC[: len(header)]:
        raise not_a_ledger(path, "it is not an SQLite database")
    if len(header) < _HEADER_BYTES:
        raise damaged(path, f"the file ends after {len(header)} bytes")
    # SQLite file format 1.3: user_version at offset 60, application_id at 68, big-endian.
    version = int.from_bytes(header[60:64], "big")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise not_a_ledger(path, "it is another program's SQLite database")
    if not EARLIEST_SCHEMA <= version <= SCHEMA_VERSION:
        raise another_version(path, version)


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version; the file's header may have an older one than the log.

    Raises:
        LedgerError: it is of a newer version of the exporter.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise another_version(path, version)
    return int(version)


def _lock_or_create(path: Path) -> tuple[FileLock, bool]:
    """Return the lock of the ledger file, and whether the file is new."""
    while True:
        try:
            return FileLock(path), False
        except FileNotFoundError:
            lock = _create(path)
        if lock is not None:
            return lock, True


def _create(path: Path) -> FileLock | None:
    """Create a ledger under a temporary name, and rename it once it is durable.

    So an empty or cut ledger is always damage. It is locked before it is renamed, so of two
    processes that start together one is refused. Returns None if another process was faster.
    """
    for suffix in ("-wal", "-journal"):
        if suffixed(path, suffix).exists():
            raise LedgerError(
                f"The ledger {path} is missing, but its {path.name}{suffix} exists. Put the file "
                f"back, or delete {path.name}{suffix} to create a new ledger: all counters then "
                "start from zero."
            )
    new = suffixed(path, ".new")
    lock = FileLock(new, create=True)
    try:
        if path.exists():
            _remove(new)
            raise FileExistsError
        _empty(new, lock)
        with (
            explained(path, "created"),
            closing(sqlite3.connect(new, isolation_level=None)) as connection,
        ):
            connection.executescript(
                # Before the first table, so that space can be given back (see ``space.py``).
                "PRAGMA auto_vacuum = INCREMENTAL;"
                f"PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID};"
                f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {CREATE_TABLES}; COMMIT;"
            )
        os.fsync(lock.descriptor)
        new.rename(path)
        sync(path.parent)
    except FileExistsError:
        lock.release()
        return None
    except BaseException:
        lock.release()
        raise
    return lock


def _empty(new: Path, lock: FileLock) -> None:
    """Delete the remains of an interrupted creation."""
    os.ftruncate(lock.descriptor, 0)
    for suffix in ("-journal", "-wal", "-shm"):
        _remove(suffixed(new, suffix))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"The ledger {path} cannot use a write-ahead log here (SQLite's journal mode stays "
            f"{mode!r}). Choose a directory on a local volume with --storage.path."
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    # SQLite silently opens a file without write access as read-only, and even BEGIN IMMEDIATE
    # succeeds. This write fails; it is rolled back and never reaches the disk.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("PRAGMA user_version = 0")
    connection.execute("ROLLBACK")


def another_version(path: Path, schema: int) -> LedgerError:
    """Return the error for a ledger of an unknown schema; it names the exporter's version."""
    with suppress(*DATABASE_ERRORS), closing(connect_to_read(path)) as connection:
        query = "SELECT value FROM facts WHERE name = 'exporter version'"
        found = connection.execute(query).fetchone()
    by = f"version {found[0]}" if found else "another version"
    copy = suffixed(path, f".v{SCHEMA_VERSION}")
    restore = (
        f" To downgrade, replace it with the copy from before the upgrade, {copy}, and delete "
        f"{path.name}-wal: counters then continue from there."
        if copy.exists()
        else ""
    )
    return LedgerError(
        f"The ledger {path} was written by {by} of the exporter (its schema is {schema}; this "
        f"version supports up to {SCHEMA_VERSION}). Run that version, or move the file away to "
        f"create a new ledger: all counters then start from zero.{restore}"
    )


def suffixed(path: Path, suffix: str) -> Path:
    """Return the path with a suffix added to its name."""
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
