"""What a database must do to be a ledger's store: sets of rows, in one transaction.

``tests/ledger/test_stores.py`` holds every store to this.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from exporter.ledger.tables import Key, Row, Table


class Transaction(Protocol):
    """Reads and writes rows; all of it becomes durable at the end, or nothing.

    A row whose checksum is wrong raises UnreadableRowError as soon as it is read.
    """

    def read(self, table: Table[Row], prefixes: Iterable[Key] = ((),)) -> list[Row]:
        """Return the rows whose key begins with one of the prefixes, which are of one length."""

    def scan(self, table: Table[Row]) -> Iterator[Row]:
        """Yield all rows, one at a time."""

    def at_most(self, table: Table[Row], key: Key) -> Row | None:
        """Return the row with the greatest key up to ``key``, all but the last part being equal."""

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Insert rows, or replace those with the same key."""

    def delete(self, table: Table[Row], prefixes: Iterable[Key]) -> None:
        """Delete the rows whose key begins with one of the prefixes, which are of one length."""


class Store(Protocol):
    """A database with the ledger's tables; thread-safe. Every method raises LedgerError."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Read and write as if alone (serializable)."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """Read one state of the database."""
