"""The names of accounts, as a metric to join with."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Final

from exporter.metrics.families import MetricFamily
from exporter.metrics.tables import Row, Table, Tables
from exporter.metrics.text import labels_text

_LABELS: Final = ("account_id", "account_name")


class AccountInfos(Tables):
    """A series for each account that a source reads. Thread-safe."""

    def __init__(self, name: str) -> None:
        """``name``: of the metric."""
        text = "Accounts that sources read, and their names (empty if unknown); always 1."
        self._family = MetricFamily(name, "gauge", text)
        self._lock = threading.Lock()
        self._of_source: dict[str, Mapping[str, str]] = {}
        self._rows: list[Row] = []

    def set(self, source: str, names: Mapping[str, str]) -> None:
        """Replace the names of a source's accounts, by id.

        An account has one series, with the name from the first source that knows one: a join
        would fail with two.
        """
        with self._lock:
            self._of_source[source] = names
            merged: dict[str, str] = {}
            for of_source in self._of_source.values():
                for account_id, name in of_source.items():
                    merged[account_id] = merged.get(account_id) or name
            rows = sorted(merged.items())
            self._rows = [
                Row(values, labels_text(tuple(zip(_LABELS, values, strict=True))), 1.0)
                for values in rows
            ]

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        yield Table(self._family, _LABELS, self._rows)
