"""The last match of each series of a rule, from the ledger."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Final

from exporter.ledger.base import SeriesTotal
from exporter.ledger.shown import state_of
from exporter.ledger.store import Store
from exporter.ledger.tables import MEMBER_COUNTS, MEMBERS, SERIES, TOTALS, Total

_TOGETHER: Final = 500
"""Series that are read in one transaction, which commits wait for."""


def latest_matches(store: Store, rule: str, most: int) -> list[SeriesTotal]:
    """See ``Ledger.latest_matches``."""
    with store.reading() as transaction:
        members = transaction.read(MEMBERS, [(rule,)])
        metrics = {member.metric for member in members}
        others = [
            (one.rule, one.metric)
            for one in transaction.read(MEMBER_COUNTS)
            if one.rule != rule and one.metric in metrics
        ]
    latest: dict[bytes, int] = {}
    ids = sorted({member.series for member in members})
    for start in range(0, len(ids), _TOGETHER):
        with store.reading() as transaction:
            keys = [(one,) for one in ids[start : start + _TOGETHER]]
            for total in transaction.read(TOTALS, keys):
                if total.event_time is not None:
                    latest[total.series] = max(latest.get(total.series, 0), total.event_time)
    candidates = sorted(latest, key=lambda one: -latest[one])[:_TOGETHER]
    with store.reading() as transaction:
        alone = (
            one
            for one in candidates
            if not transaction.read(MEMBERS, [(*other, one) for other in others])
        )
        keys = [(one,) for one in islice(alone, most)]
        totals: dict[bytes, list[Total]] = defaultdict(list)
        for total in transaction.read(TOTALS, keys):
            totals[total.series].append(total)
        shown = [state_of(row, totals[row.id]).shown() for row in transaction.read(SERIES, keys)]
    return sorted(shown, key=lambda one: -(one.event_time or 0))
