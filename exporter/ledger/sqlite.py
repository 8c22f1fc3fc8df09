"""The embedded ledger: one SQLite file under ``--storage.path``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from exporter.clock import elapsed
from exporter.ledger.base import LedgerCondition, Member
from exporter.ledger.database import Database
from exporter.ledger.ledger import StoredLedger
from exporter.ledger.migration import EarlierMatches
from exporter.ledger.storage import LEDGER_FILE

HOLDER: Final = "embedded"
"""The name of the only process that has the ledger open."""


class SqliteLedger(StoredLedger):
    """The ``Ledger`` protocol on SQLite: WAL, synced at each commit, for one process."""

    def __init__(
        self, database: Database, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        self._database = database
        with database.reading() as transaction:
            earlier = EarlierMatches.of(transaction.cursor)
        super().__init__(database, clock, steady, holder=HOLDER, earlier=earlier)

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = elapsed,
        temporary: bool = False,
    ) -> SqliteLedger:
        """Open the ledger in a directory; both are created if they are missing.

        Args:
            directory: the directory.
            clock: returns seconds since the epoch.
            steady: returns monotonic seconds.
            temporary: a new ledger is expected, and logs no warning.

        Raises:
            LedgerError: another process has it open; or it is empty, damaged, of a newer version,
                not a ledger, or cannot be written. Such a file is never replaced.
        """
        database = Database(directory / LEDGER_FILE, temporary=temporary)
        try:
            return cls(database, clock, steady)
        except BaseException:
            database.close()
            raise

    def expire(self, feed: str, members: Sequence[Member]) -> int:
        """See ``Ledger.expire``. Gives the space back if much was deleted."""
        deleted = super().expire(feed, members)
        if deleted:
            self._database.give_back()
        return deleted

    def condition(self) -> LedgerCondition:
        """See ``Ledger.condition``."""
        return self._database.condition(self._created)

    def watch_files(self, on_loss: Callable[[], object]) -> None:
        """See ``Ledger.watch_files``."""
        self._database.on_loss = on_loss

    def close(self) -> None:
        """See ``Ledger.close``; waits for the current transaction."""
        self._database.close()
