"""The interface to a database: sets of rows, read and written in transactions.

``tests/ledger/test_stores.py`` is the conformance suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

from exporter.ledger.tables import Key, Row, Table

PAUSE_SECONDS: Final = 0.01
"""Between the transactions of long work, for commits that wait."""


class Transaction(Protocol):
    """Reads and writes rows. At the end all changes become durable, or none.

    Reading a row with a wrong checksum raises UnreadableRowError. All prefixes of one call have the
    same length.
    """

    def read(self, table: Table[Row], prefixes: Iterable[Key] = ((),)) -> list[Row]:
        """Return the rows whose keys begin with one of the prefixes."""

    def scan(self, table: Table[Row]) -> Iterator[Row]:
        """Yield all rows, one at a time, in the order of their keys."""

    def at_most(self, table: Table[Row], key: Key) -> Row | None:
        """Return the row with the greatest key up to ``key`` that differs in the last part only."""

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Insert rows, replacing those with the same key."""

    def delete(self, table: Table[Row], prefixes: Iterable[Key]) -> None:
        """Delete the rows whose keys begin with one of the prefixes."""


class Store(Protocol):
    """A database with the ledger's tables; thread-safe. Every method raises LedgerError."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Read and write, serializable."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """Read a snapshot of the database."""
