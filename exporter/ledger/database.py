"""The ledger's database while it is open: transactions, its files kept in place, its check."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from exporter.ledger.audit import audit
from exporter.ledger.base import LedgerCondition, LedgerError
from exporter.ledger.errors import DATABASE_ERRORS, UnreadableRowError, damaged, explain
from exporter.ledger.migration import migrate
from exporter.ledger.sqlite_store import begun
from exporter.ledger.storage import DatabaseFile, connect, make_directory, schema_of
from exporter.ledger.tables import SCHEMA_VERSION
from exporter.logs import Failures

CHECKED_BYTES: Final = 256 * 1024 * 1024
"""Up to this size a ledger is checked before it is used (some seconds); a larger one meanwhile."""

_END_OF_CHECK: Final = 5.0

_log = structlog.get_logger(__name__)


class Database:
    """A ledger's database; thread-safe, one transaction at a time.

    Raises LedgerError, a sentence, for whatever goes wrong in it.
    """

    def __init__(self, path: Path, *, temporary: bool = False) -> None:
        """Open the database, or create it and its directory where there is none.

        ``temporary``: that is no warning.
        """
        make_directory(path.parent)
        self._path = path
        self._file = DatabaseFile.open(path)
        self._mutex = threading.RLock()
        self._closed = False
        self._losses = 0
        self.on_loss: Callable[[], object] = lambda: None
        """Called whenever files were lost."""
        self._lost: LedgerError | None = None
        self._saving = Failures("saving of the ledger", path=str(path))
        self._check: _BackgroundCheck | None = None
        try:
            self._migrate()
            if path.stat().st_size > CHECKED_BYTES:
                self._check = _BackgroundCheck(path)
            elif self._file.connection is not None:
                _check(self._file.connection, path)
        except BaseException:
            self._file.close()
            raise
        if self._file.is_new and not temporary:
            _log.warning(
                "new ledger begun, every counter starts from 0; if there should have been one,"
                " check --storage.path and whether its volume is mounted",
                path=str(path.absolute()),
            )

    def _migrate(self) -> None:
        connection = self._file.connection
        try:
            if connection is not None and schema_of(connection, self._path) < SCHEMA_VERSION:
                migrate(connection, self._path)
        except DATABASE_ERRORS as error:
            raise explain(error, self._path, "migrated") from error
        except UnreadableRowError as error:
            raise damaged(self._path, str(error)) from error

    def condition(self, created: int) -> LedgerCondition:
        """How it is; ``created`` as in LedgerCondition."""
        problem = self._lost or (self._check and self._check.found)
        return LedgerCondition(
            created=created,
            place=str(self._path),
            files_lost=self._losses,
            checking=self._check is not None and self._check.running,
            problem=None if problem is None else str(problem),
        )

    def close(self) -> None:
        """Close it; idempotent. Files that were lost are saved before, if they can be."""
        if self._check is not None:
            self._check.stop()
        with self._mutex:
            if self._closed:
                return
            try:
                with suppress(LedgerError):
                    self._keep_files()
            finally:
                self._closed = True
                self._file.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Cursor]:
        """All that is done with the cursor becomes durable at the end, or nothing."""
        with self._mutex:
            if self._check is not None and self._check.found is not None:
                raise self._check.found
            if not self._closed:
                self._keep_files()
            with self._cursor("written") as cursor, begun(cursor, write=True):
                yield cursor

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Cursor]:
        """A cursor to read one state with."""
        with self._mutex, self._cursor("read") as cursor, begun(cursor, write=False):
            yield cursor

    @contextmanager
    def _cursor(self, doing: str) -> Iterator[sqlite3.Cursor]:
        connection = self._file.connection
        if self._closed or connection is None:
            raise self._lost or LedgerError(f"The ledger {self._path} is closed.")
        with closing(connection.cursor()) as cursor:
            try:
                yield cursor
            except DATABASE_ERRORS as error:
                raise explain(error, self._path, doing) from error
            except UnreadableRowError as error:
                raise damaged(self._path, str(error)) from error

    def _keep_files(self) -> None:
        """Notice files that were removed or replaced, and write what is open to their paths again.

        Costs three stat calls, some microseconds. Raises LedgerError where they cannot be written:
        nothing may be committed to files that are gone with this process.
        """
        what = self._file.strayed()
        if what is None:
            return
        if self._lost is None:
            self._losses += 1
            self.on_loss()
        try:
            self._file.save()
        except LedgerError as error:
            self._lost = LedgerError(
                f"The ledger {self._path} lost its files while it was open: {what}. What was "
                "counted is there as long as this process runs; nothing more is counted until it "
                f"can be saved. {error}"
            )
            self._saving.failed(self._lost)
            raise self._lost from error
        self._lost = None
        self._saving.succeeded()
        _log.error(
            "the ledger's files were removed or replaced while it was open; nothing is lost, all"
            " was written to its path again; find out who does this",
            path=str(self._path),
            what=what,
        )


class _BackgroundCheck:
    """Checks a large ledger for damage while it is at work."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopped = False
        self.found: LedgerError | None = None
        """What is damaged."""
        self.running = True
        try:
            self._connection = connect(path)
        except DATABASE_ERRORS as error:
            raise explain(error, path, "opened") from error
        self._thread = threading.Thread(target=self._run, name="ledger check", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it before the ledger is closed."""
        self._stopped = True
        with suppress(sqlite3.Error):
            self._connection.interrupt()
        self._thread.join(_END_OF_CHECK)

    def _run(self) -> None:
        try:
            with closing(self._connection):
                _check(self._connection, self._path)
        except LedgerError as error:
            if not self._stopped:
                self.found = error
                _log.error("the ledger is damaged, nothing more is counted", error=str(error))
        finally:
            self.running = False


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        found = audit(connection)
    except DATABASE_ERRORS as error:
        raise explain(error, path, "checked") from error
    if found is not None:
        raise damaged(path, found)
