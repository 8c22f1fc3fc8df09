"""The open SQLite database: transactions, damage checks, and recovery of lost files."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from exporter.ledger.audit import audit
from exporter.ledger.base import LedgerCondition, LedgerError
from exporter.ledger.errors import damaged, explained
from exporter.ledger.migration import migrate
from exporter.ledger.row_cache import RowCache
from exporter.ledger.space import free_bytes, give_back, size_of
from exporter.ledger.sqlite_store import SqliteTransaction, begun
from exporter.ledger.storage import DatabaseFile, connect, make_directory, schema_of, suffixed
from exporter.ledger.store import PAUSE_SECONDS
from exporter.ledger.tables import SCHEMA_VERSION
from exporter.logs import Failures

CHECKED_BYTES: Final = 256 * 1024 * 1024
"""A ledger up to this size is checked before use (a few seconds), a larger one in background."""

_STOP_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Database:
    """The ``Store`` in an SQLite file; one transaction at a time."""

    def __init__(self, path: Path, *, temporary: bool = False) -> None:
        """Open the database, or create it and its directory if they are missing.

        ``temporary``: a new database is expected, and logs no warning.
        """
        make_directory(path.parent)
        self._path = path
        self._file = DatabaseFile.open(path)
        self._mutex = threading.RLock()
        self._rows = RowCache()
        self._closed = False
        self._losses = 0
        self.on_loss: Callable[[], object] = lambda: None
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
                "new ledger begun, every counter starts from 0; if there should be one, check"
                " --storage.path and whether its volume is mounted",
                path=str(path.absolute()),
            )

    def _migrate(self) -> None:
        connection = self._file.connection
        with explained(self._path, "migrated"):
            if connection is not None and schema_of(connection, self._path) < SCHEMA_VERSION:
                migrate(connection, self._path)

    def condition(self, created: int) -> LedgerCondition:
        """Return the state of the database."""
        problem = self._lost or (self._check and self._check.found)
        return LedgerCondition(
            created=created,
            location=str(self._path),
            files_lost=self._losses,
            checking=self._check is not None and self._check.running,
            problem=None if problem is None else str(problem),
            size=self._size(),
            free=free_bytes(self._path),
        )

    def give_back(self) -> None:
        """Return the space of large deletions to the volume, in short transactions."""
        while True:
            with self.transaction() as transaction:
                if not give_back(transaction.cursor):
                    return
            time.sleep(PAUSE_SECONDS)

    def _size(self) -> int | None:
        try:
            return size_of((self._path, suffixed(self._path, "-wal")))
        except OSError:
            return None

    def close(self) -> None:
        """Close the database, saving lost files first if possible; idempotent."""
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
    def transaction(self) -> Iterator[SqliteTransaction]:
        """See ``Store.transaction``."""
        with self._mutex:
            if self._check is not None and self._check.found is not None:
                raise self._check.found
            if not self._closed:
                self._keep_files()
            with self._begun("written", write=True) as transaction:
                yield transaction

    @contextmanager
    def reading(self) -> Iterator[SqliteTransaction]:
        """See ``Store.reading``."""
        with self._mutex, self._begun("read", write=False) as transaction:
            yield transaction

    @contextmanager
    def _begun(self, doing: str, *, write: bool) -> Iterator[SqliteTransaction]:
        connection = self._file.connection
        if self._closed or connection is None:
            raise self._lost or LedgerError(f"The ledger {self._path} is closed.")
        try:
            with (
                closing(connection.cursor()) as cursor,
                explained(self._path, doing),
                begun(cursor, write=write),
            ):
                self._rows.begin(cursor)
                yield SqliteTransaction(cursor, self._rows)
        except BaseException:
            self._rows.clear()
            raise

    def _keep_files(self) -> None:
        """Save the ledger again if its files were removed or replaced (three stat calls).

        Raises:
            LedgerError: it cannot be saved, so nothing may be committed.
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
                f"The ledger {self._path} lost its files while it was open: {what}. Its contents "
                "are kept while this process runs, and nothing is counted until they can be saved. "
                f"{error}"
            )
            self._saving.failed(self._lost)
            raise self._lost from error
        self._lost = None
        self._saving.succeeded()
        _log.error(
            "the ledger's files were removed or replaced while it was open; nothing is lost, it was"
            " saved again; find out which program does this",
            path=str(self._path),
            what=what,
        )


class _BackgroundCheck:
    """Checks a large ledger for damage while it is in use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stopped = False
        self.found: LedgerError | None = None
        self.running = True
        with explained(path, "opened"):
            self._connection = connect(path)
        self._thread = threading.Thread(target=self._run, name="ledger check", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the check before the ledger is closed."""
        self._stopped = True
        with suppress(sqlite3.Error):
            self._connection.interrupt()
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        try:
            with closing(self._connection):
                _check(self._connection, self._path)
        except LedgerError as error:
            if not self._stopped:
                self.found = error
                _log.error("the ledger is damaged, nothing is counted any more", error=str(error))
        finally:
            self.running = False


def _check(connection: sqlite3.Connection, path: Path) -> None:
    with explained(path, "checked"):
        found = audit(connection)
    if found is not None:
        raise damaged(path, found)
