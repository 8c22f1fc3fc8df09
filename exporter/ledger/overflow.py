"""The label sets of a rule past its ``max_series``: which labels keep their values.

All of it is in the ledger, so a restart and a replay choose the same series.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from exporter.ledger.tables import AccountCount
from exporter.model import OVERFLOW, Increment, SeriesKey
from exporter.sources import SERIES_LABELS

MAX_VALUES: Final = 100
"""Values of a bounded label that are told apart in an account past ``max_series``."""
_PLACE: Final = frozenset(SERIES_LABELS) - {"source"}


@dataclass(slots=True)
class Account:
    """A rule's series of a metric in an account."""

    series: int = 0
    overflow: int = 0
    values: dict[str, dict[str | None, None]] = field(default_factory=dict)
    """The first values of its labels, in order, by name; a last None stands for all others."""

    @classmethod
    def of(cls, row: AccountCount) -> Account:
        """Read a row."""
        values = json.loads(row.label_values)
        return cls(
            row.series, row.overflow, {name: dict.fromkeys(of) for name, of in values.items()}
        )

    def row(self, rule: str, metric: str, account_id: str) -> AccountCount:
        """Return its row."""
        text = json.dumps({name: list(of) for name, of in self.values.items()})
        return AccountCount(rule, metric, account_id, self.series, self.overflow, text)

    def see(self, labels: Iterable[tuple[str, str]]) -> bool:
        """Note the values of labels; return whether there is a new one."""
        is_new = False
        for name, value in labels:
            known = self.values.setdefault(name, {})
            if value not in known and len(known) <= MAX_VALUES:
                known[value if len(known) < MAX_VALUES else None] = None
                is_new = True
        return is_new

    def overflowed(
        self, increment: Increment, unbounded: frozenset[str], max_series: int
    ) -> SeriesKey:
        """Return the series for an increment past ``max_series``; its values have been seen.

        The ``unbounded`` labels lose their values. Of the others, each keeps its first MAX_VALUES.
        If a rule marks none, labels with more values than that, or than ``max_series``, lose all.
        """
        values, few = self.values, min(MAX_VALUES, max_series)
        labels = []
        for own, over in zip(increment.series.labels, increment.overflow.labels, strict=True):
            name, value = own
            known = values.get(name, ())
            is_kept = value in known and name not in unbounded if unbounded else len(known) <= few
            labels.append(own if is_kept else over)
        return SeriesKey(increment.series.metric, tuple(labels))


def account_of(key: SeriesKey) -> str:
    """Return the account of a series."""
    return next((value for name, value in key.labels if name == "account_id"), "")


def bounded(increment: Increment, unbounded: frozenset[str]) -> list[tuple[str, str]]:
    """Return the dynamic labels of an increment that may keep their values."""
    pairs = zip(increment.series.labels, increment.overflow.labels, strict=True)
    return [own for own, over in pairs if own != over and own[0] not in unbounded]


def any_place(key: SeriesKey) -> SeriesKey:
    """Return the overflow series for accounts, regions and log groups beyond all limits."""
    labels = ((n, OVERFLOW if n in _PLACE else v) for n, v in key.labels)
    return SeriesKey(key.metric, tuple(labels))
