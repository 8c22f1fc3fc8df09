"""Reads the rows that a ``Placement`` needs, all together, and writes those that it has changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporter.ledger.counting import Placement, any_account_region, series_id
from exporter.ledger.shown import SeriesState
from exporter.ledger.store import Transaction
from exporter.ledger.tables import MEMBER_COUNTS, MEMBERS, RULE_COUNTS, SERIES, TOTALS
from exporter.ledger.tally import Tally
from exporter.model import Increment, SeriesKey


def read_for(
    transaction: Transaction,
    placement: Placement,
    source: str,
    tallies: Sequence[tuple[str, Tally]],
) -> None:
    """Read what increments may change; ``tallies`` are by ``lane``."""
    increments: dict[tuple[str, SeriesKey], Increment] = {}
    counts: dict[tuple[str, str, str], None] = {}
    for in_lane, tally in tallies:
        for group in tally.groups.values():
            one = group.increment
            counts[source, one.rule, in_lane] = None
            if group.value is not None:
                increments.setdefault((one.rule, one.series), one)
    _read_series(transaction, placement, {series for _, series in increments})
    names = {(one.rule, one.series.metric, series_id(one.series)) for one in increments.values()}
    placement.members.update(row[:3] for row in transaction.read(MEMBERS, names))
    new = [
        one
        for one in increments.values()
        if (one.rule, one.series.metric, series_id(one.series)) not in placement.members
    ]
    if new:
        _read_counts(transaction, placement, {(one.rule, one.series.metric) for one in new})
        beyond = {one.overflow for one in new} | {any_account_region(one.overflow) for one in new}
        _read_series(transaction, placement, beyond - placement.series.keys())
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
