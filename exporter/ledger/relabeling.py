"""Series whose rules gain or lose labels: they keep their totals under the new label names."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from exporter.ledger.base import Relabeled
from exporter.ledger.counting import series_id
from exporter.ledger.rows import bounds_of, buckets_of, buckets_text, labels_of, labels_text
from exporter.ledger.shown import last_match, state_of
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    ACCOUNT_COUNTS,
    EARLIER,
    MEMBER_COUNTS,
    MEMBERS,
    SERIES,
    TOTALS,
    Member,
    MemberCount,
    Series,
    Total,
)
from exporter.model import SeriesKey
from exporter.sources import SERIES_LABELS

Moves: TypeAlias = Sequence[tuple[Series, frozenset[str]]]
"""Series, and the names of the labels that rules give them from now on."""


def relabel(transaction: Transaction, moves: Moves) -> list[Relabeled]:
    """Give series other labels, and return the changes, by metric and label names.

    A label that is gained is empty, which Prometheus takes for the same series as before. Series
    that differ in labels that are lost become one, with the sum of their totals, the earliest
    creation and the last match of all.
    """
    if not moves:
        return []
    keys = {row.id: _relabeled(row, names) for row, names in moves}
    ids = {old: series_id(key) for old, key in keys.items()}
    rows: dict[bytes, Series] = {}
    # One with the new labels may exist: an earlier edit was taken back.
    there = transaction.read(SERIES, [(one,) for one in set(ids.values())])
    renamed = [
        row._replace(id=ids[row.id], labels=labels_text(keys[row.id].labels)) for row, _ in moves
    ]
    for row in (*there, *renamed):
        other = rows.get(row.id, row)
        rows[row.id] = row._replace(
            created=min(row.created, other.created), revealed=max(row.revealed, other.revealed)
        )
    affected = ids | {row.id: row.id for row in there}
    totals = _summed(transaction, affected, rows)
    gained = {row.id: not names.issubset(_names(row)) for row, names in moves}
    _move_members(transaction, affected, gained)
    transaction.delete(SERIES, [(one,) for one in ids])
    transaction.write(SERIES, rows.values())
    return _outcome(moves, ids, rows, totals)


def _names(row: Series) -> frozenset[str]:
    """Return the names of the labels that its rules give."""
    return frozenset(name for name, _ in labels_of(row.labels)).difference(SERIES_LABELS)


def _relabeled(row: Series, names: Collection[str]) -> SeriesKey:
    kept = {n: v for n, v in labels_of(row.labels) if n in SERIES_LABELS or n in names}
    return SeriesKey(row.metric, tuple(sorted((dict.fromkeys(names, "") | kept).items())))


def _summed(
    transaction: Transaction, ids: Mapping[bytes, bytes], rows: Mapping[bytes, Series]
) -> dict[bytes, list[Total]]:
    """Write and return the totals of the new series, by ``lane`` as before."""
    keys = [(one,) for one in ids]
    parts: dict[tuple[bytes, str], list[Total]] = defaultdict(list)
    for one in transaction.read(TOTALS, keys):
        parts[ids[one.series], one.lane].append(one)
    totals: dict[bytes, list[Total]] = defaultdict(list)
    for (series, _), of in parts.items():
        bounds, buckets = bounds_of(rows[series].bounds), None
        if bounds is not None:
            counts = [buckets_of(one.buckets, bounds) for one in of]
            buckets = buckets_text(map(sum, zip(*counts, strict=True)))
        value = math.fsum(one.total for one in of)
        last = max(of, key=last_match)
        totals[series].append(last._replace(series=series, total=value, buckets=buckets))
    transaction.delete(TOTALS, keys)
    transaction.write(TOTALS, chain.from_iterable(totals.values()))
    return totals


def _move_members(
    transaction: Transaction, ids: Mapping[bytes, bytes], gained: Mapping[bytes, bool]
) -> None:
    """Move members; those that gain labels leave ``max_series`` to label sets that have them."""
    before = [one for one in transaction.scan(MEMBERS) if one.series in ids]
    after: dict[tuple[str, str, bytes], Member] = {}
    for one in before:
        overflow = one.overflow
        if one.series in gained:
            overflow = overflow % EARLIER + EARLIER * gained[one.series]
        moved = one._replace(series=ids[one.series], overflow=overflow)
        other = after.get(moved[:3], moved)
        after[moved[:3]] = moved._replace(overflow=min(moved.overflow, other.overflow))
    transaction.delete(MEMBERS, [one[:3] for one in before])
    transaction.write(MEMBERS, after.values())
    rules = {one[:2] for one in before}
    transaction.write(MEMBER_COUNTS, [_count(transaction, *one) for one in rules])
    # ``count_by_account`` counts them again.
    transaction.delete(ACCOUNT_COUNTS, rules)


def _count(transaction: Transaction, rule: str, metric: str) -> MemberCount:
    counts = [one.counts for one in transaction.read(MEMBERS, [(rule, metric)])]
    return MemberCount(rule, metric, sum(one for one, _ in counts), sum(one for _, one in counts))


def _outcome(
    moves: Moves,
    ids: Mapping[bytes, bytes],
    rows: Mapping[bytes, Series],
    totals: Mapping[bytes, Iterable[Total]],
) -> list[Relabeled]:
    groups: dict[tuple[str, frozenset[str], frozenset[str]], list[Series]] = defaultdict(list)
    for row, names in moves:
        before = _names(row)
        groups[row.metric, names - before, before - names].append(row)
    return [
        Relabeled(
            metric,
            tuple(sorted(gained)),
            tuple(sorted(lost)),
            before=[SeriesKey(metric, labels_of(row.labels)) for row in of],
            after=[
                state_of(rows[one], totals.get(one, ())).shown()
                for one in dict.fromkeys(ids[row.id] for row in of)
            ],
        )
        for (metric, gained, lost), of in groups.items()
    ]
