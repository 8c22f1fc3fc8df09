"""Reads the rows that a ``Placement`` needs, all together, and writes those that it has changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exporter.ledger.counting import Placement, any_place, series_id
from exporter.ledger.shown import SeriesState
from exporter.ledger.store import Transaction
from exporter.ledger.tables import MEMBER_COUNTS, MEMBERS, RULE_COUNTS, SERIES, TOTALS
from exporter.ledger.tally import GroupKey, Tally
from exporter.model import Increment, SeriesKey


def read_for(
    transaction: Transaction,
    placement: Placement,
    source: str,
    tallies: Sequence[tuple[str, Tally]],
) -> None:
    """Read what increments may change; ``tallies`` are by ``lane``."""
    increments: dict[GroupKey, Increment] = {}
    counts: dict[tuple[str, str, str], None] = {}
    for in_lane, tally in tallies:
        rules = {rule for rule, _ in tally.groups} | {rule for rule, _ in tally.errors}
        counts |= dict.fromkeys((source, rule, in_lane) for rule in rules)
        increments |= {key: group.increment for key, group in tally.groups.items()}
    ids = {series: series_id(series) for _, series in increments}
    names = {(rule, series.metric, ids[series]): series for rule, series in increments}
    placement.members.update(row[:3] for row in transaction.read(MEMBERS, names))
    new = Counter(name[:2] for name in names if name not in placement.members)
    if new:
        _read_counts(transaction, placement, new)
    wanted: set[SeriesKey] = set()
    overflow: set[SeriesKey] = set()
    for (rule, series), one in increments.items():
        if (rule, series.metric, ids[series]) in placement.members:
            wanted.add(series)
            continue
        left = placement.left(one)
        if left > 0:
            wanted.add(series)
        if new[rule, series.metric] > left:
            overflow.add(one.overflow)
    wanted |= overflow | set(map(any_place, overflow))
    _read_series(transaction, placement, wanted)
    placement.rules.update((row[1:3], row) for row in transaction.read(RULE_COUNTS, counts))


def read_declared(
    transaction: Transaction, placement: Placement, wanted: Iterable[tuple[str, SeriesKey]]
) -> None:
    """Read what declaring series of rules may change."""
    names = {(rule, key.metric, series_id(key)): key for rule, key in wanted}
    _read_series(transaction, placement, set(names.values()))
    placement.members.update(row[:3] for row in transaction.read(MEMBERS, names))
    _read_counts(transaction, placement, {name[:2] for name in names})


def write(transaction: Transaction, placement: Placement) -> None:
    """Write the changed rows."""
    transaction.write(SERIES, placement.created)
    transaction.write(MEMBERS, placement.joined)
    totals = [placement.series[key].totals[lane] for key, lane in placement.changed_totals]
    transaction.write(TOTALS, totals)
    transaction.write(MEMBER_COUNTS, [placement.counts[one] for one in placement.changed_counts])
    transaction.write(RULE_COUNTS, [placement.rules[one] for one in placement.changed_rules])


def _read_series(transaction: Transaction, placement: Placement, keys: Iterable[SeriesKey]) -> None:
    by_id = {series_id(key): key for key in keys}
    ids = [(one,) for one in by_id]
    for row in transaction.read(SERIES, ids):
        placement.series[by_id[row.id]] = SeriesState(row, by_id[row.id], {})
    for total in transaction.read(TOTALS, ids):
        placement.series[by_id[total.series]].totals[total.lane] = total


def _read_counts(
    transaction: Transaction, placement: Placement, names: Iterable[tuple[str, str]]
) -> None:
    counts = transaction.read(MEMBER_COUNTS, names)
    placement.counts.update(((one.rule, one.metric), one) for one in counts)
