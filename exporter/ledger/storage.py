"""The ledger's files: created whole or not at all, kept at their paths, saved when they go."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from exporter.ledger.base import LedgerError
from exporter.ledger.errors import (
    DATABASE_ERRORS,
    damaged,
    explain,
    explain_os,
    not_a_ledger,
)
from exporter.ledger.locking import FileLock, Identity, identity
from exporter.ledger.sqlite_store import CREATE_TABLES
from exporter.ledger.tables import SCHEMA_VERSION

LEDGER_FILE: Final = "ledger.sqlite3"
APPLICATION_ID: Final = 0x4D46454C
"""``MFEL``: marks a ledger among SQLite files."""
EARLIEST_SCHEMA: Final = 1
"""Ledgers from this schema version on are migrated."""

_OLD_LOCK_FILE: Final = "ledger.lock"
"""What versions before 0.1.0 locked; nobody looks at it any more."""
_MAGIC: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 100
_BUSY_SECONDS: Final = 5.0


class DatabaseFile:
    """A ledger's file, open and locked. Not thread-safe."""

    def __init__(self, path: Path, lock: FileLock, *, is_new: bool) -> None:
        """Open what ``lock`` holds at ``path``.

        Raises:
            LedgerError: it cannot be opened or written, or is no ledger of this version.
        """
        self.path = path
        self.is_new = is_new
        """Whether this process made the ledger: there was none."""
        self._lock = lock
        self.connection: sqlite3.Connection | None = None
        self._connect()

    @classmethod
    def open(cls, path: Path) -> DatabaseFile:
        """Open the ledger file, or create it where there is none.

        Raises:
            LedgerError: another process has it; or it is empty, cut, of another version or another
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
        """Close the file and let another process in."""
        connection, self.connection = self.connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            # Last: SQLite's own locks go when any descriptor of the file is closed.
            self._lock.release()

    def strayed(self) -> str | None:
        """Which of the open files is no longer what is at its path, and how; None: all are there.

        SQLite goes on with open files that have lost their names as if nothing were wrong; all
        that it writes to them is gone when the process ends.
        """
        if self.connection is None:
            return "it could not be opened again"
        for path, opened in self._opened.items():
            try:
                found = identity(path)
            except OSError:
                continue  # Nobody can say; SQLite's own error comes if it is one.
            if found != opened:
                return f"{path.name} was {'removed' if found is None else 'replaced'}"
        return None

    def save(self) -> None:
        """Write all that is open to the path again, and go on with that; nothing is lost.

        A file that took the ledger's place is kept as ``….replaced``.

        Raises:
            LedgerError: it cannot be written there, or another process has taken the place. The
                open files are then as they were.
        """
        try:
            if self.connection is not None:
                self._write_again(self.connection)
            self._connect()
        except OSError as error:
            raise explain_os(error, self.path, "saved again") from error
        except DATABASE_ERRORS as error:
            raise explain(error, self.path, "saved again") from error

    def _write_again(self, connection: sqlite3.Connection) -> None:
        make_directory(self.path.parent)
        new = beside(self.path, ".new")
        lock = FileLock(new, create=True)
        in_the_way: FileLock | None = None
        try:
            _empty(new, lock)
            with closing(sqlite3.connect(new, isolation_level=None)) as copy:
                connection.backup(copy)
            os.fsync(lock.descriptor)
            found = identity(self.path)
            if found not in (None, self._lock.identity):
                in_the_way = FileLock(self.path)
                self.path.rename(beside(self.path, ".replaced"))
            wal = beside(self.path, "-wal")
            if identity(wal) not in (None, self._opened[wal]):
                # Another's log must not be played into the copy. Our own has nothing else in it.
                wal.rename(beside(self.path, ".replaced-wal"))
            new.rename(self.path)
            sync_directory(self.path.parent)
        except BaseException:
            _remove(new)
            lock.release()
            raise
        finally:
            if in_the_way is not None:
                in_the_way.release()
        # The copy is in place. Closing removes the log by its name: before the next one is made.
        self.connection = None
        with suppress(sqlite3.Error):
            connection.close()
        self._lock.release()
        self._lock = lock
        for suffix in ("-wal", "-shm"):
            _remove(beside(self.path, suffix))

    def _connect(self) -> None:
        try:
            connection = connect(self.path)
            try:
                _prepare(connection, self.path)
                names = (beside(self.path, suffix) for suffix in ("-wal", "-shm"))
                self._opened: dict[Path, Identity | None] = {
                    self.path: self._lock.identity,
                    **{name: identity(name) for name in names},
                }
            except BaseException:
                connection.close()
                raise
        except DATABASE_ERRORS as error:
            raise explain(error, self.path, "opened") from error
        self.connection = connection


def make_directory(directory: Path) -> None:
    """Create the ledger's directory where it is missing.

    Raises:
        LedgerError: it cannot be created, or is no directory.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain_os(error, directory, "created") from error


def connect(path: Path, *, options: str = "mode=rw") -> sqlite3.Connection:
    """A connection to a ledger file that exists. Raises sqlite3.Error."""
    # Without a mode SQLite would create what is missing, an empty ledger.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_SECONDS,
    )


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection that leaves no file beside the ledger. Raises sqlite3.Error.

    SQLite would create the log's files, and leave them to the user who only looked: the exporter
    might not be allowed to write them. So a ledger that is closed is read as one that nobody
    changes; the caller has to look again if ``is_in_use`` afterwards.
    """
    return connect(path, options="mode=ro" if is_in_use(path) else "mode=ro&immutable=1")


def is_in_use(path: Path) -> bool:
    """Whether a process has the ledger open, or was killed while it had."""
    return beside(path, "-wal").exists()


def sync_directory(directory: Path) -> None:
    """Make a renaming in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def needs_migration(path: Path) -> bool:
    """Whether the ledger at a path is of an earlier schema; opening it takes longer then."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return False
    return EARLIEST_SCHEMA <= int.from_bytes(header[60:64], "big") < SCHEMA_VERSION


def check_file(path: Path) -> None:
    """Look at the file, without a lock and without SQLite.

    Raises:
        LedgerError: it is empty, cut, of another program or a newer version, or unreadable.
    """
    try:
        with path.open("rb") as file:
            _check_header(path, file.fileno())
    except OSError as error:
        raise explain_os(error, path, "read") from error


def _check_header(path: Path, descriptor: int) -> None:
    """Look at the file before SQLite does, which would recover and change what is not ours."""
    header = os.pread(descriptor, _HEADER_BYTES, 0)
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
    if not EARLIEST_SCHEMA <= version <= SCHEMA_VERSION:
        raise another_version(path, version)


def schema_of(connection: sqlite3.Connection, path: Path) -> int:
    """The schema version, which the file's header has only once the log is written back.

    Raises:
        LedgerError: it is of a newer version of the exporter.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise another_version(path, version)
    return int(version)


def _lock_or_create(path: Path) -> tuple[FileLock, bool]:
    """The lock of the ledger file, and whether the file was made for it."""
    while True:
        try:
            return FileLock(path), False
        except FileNotFoundError:
            lock = _create(path)
        if lock is not None:
            return lock, True


def _create(path: Path) -> FileLock | None:
    """Make a new ledger under a temporary name, and give it its name when it is on the disk.

    So a file under the ledger's name was whole once: an empty or cut one is damage, never new. It
    is locked from before it has its name: of two processes that begin together, one is refused.
    None: another process was quicker.
    """
    for suffix in ("-wal", "-journal"):
        if beside(path, suffix).exists():
            raise LedgerError(
                f"The ledger {path} is missing, but its {path.name}{suffix} is there. Put the "
                f"file back, or delete {path.name}{suffix} to begin a new ledger: all counters "
                "then start from zero."
            )
    new = beside(path, ".new")
    lock = FileLock(new, create=True)
    try:
        if path.exists():
            _remove(new)
            raise FileExistsError
        _empty(new, lock)
        try:
            with closing(sqlite3.connect(new, isolation_level=None)) as connection:
                connection.executescript(
                    f"PRAGMA synchronous = FULL; PRAGMA application_id = {APPLICATION_ID};"
                    f"PRAGMA user_version = {SCHEMA_VERSION}; BEGIN; {CREATE_TABLES}; COMMIT;"
                )
        except DATABASE_ERRORS as error:
            raise explain(error, path, "created") from error
        os.fsync(lock.descriptor)
        new.rename(path)
        sync_directory(path.parent)
    except FileExistsError:
        lock.release()
        return None
    except BaseException:
        lock.release()
        raise
    return lock


def _empty(new: Path, lock: FileLock) -> None:
    """Take away what an interrupted creation has left."""
    os.ftruncate(lock.descriptor, 0)
    for suffix in ("-journal", "-wal", "-shm"):
        _remove(beside(new, suffix))


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerError(
            f"The ledger {path} cannot use a write-ahead log here (SQLite's journal mode stays "
            f"{mode!r}). Choose a directory on a local volume with --storage.path."
        )
    connection.execute("PRAGMA synchronous = FULL")
    # SQLite opens a file that it may not write as a read-only one, without a word, and even BEGIN
    # IMMEDIATE succeeds there. Rolled back, this writes nothing to the disk.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("PRAGMA user_version = 0")
    connection.execute("ROLLBACK")


def another_version(path: Path, schema: int) -> LedgerError:
    """The error for a ledger that a newer exporter has written, which says which one."""
    with suppress(*DATABASE_ERRORS), closing(connect_to_read(path)) as connection:
        query = "SELECT value FROM facts WHERE name = 'exporter version'"
        found = connection.execute(query).fetchone()
    by = f"version {found[0]}" if found else "another version"
    copy = beside(path, f".v{SCHEMA_VERSION}")
    restore = (
        f" To go back, put the copy that was kept before the upgrade, {copy}, in its place and "
        f"delete {path.name}-wal: counters then go on from there."
        if copy.exists()
        else ""
    )
    return LedgerError(
        f"The ledger {path} was written by {by} of the exporter (its schema is {schema}, this one "
        f"knows up to {SCHEMA_VERSION}). Run that version, or move the file away to begin a new "
        f"ledger: all counters then start from zero.{restore}"
    )


def beside(path: Path, suffix: str) -> Path:
    """A file beside another, whose name goes on with ``suffix``."""
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
