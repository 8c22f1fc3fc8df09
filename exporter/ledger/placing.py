"""Reads the rows that a ``Placement`` needs, all together, and writes those that it has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from exporter.ledger.counting import Placement, series_id
from exporter.ledger.overflow import Account, account_of
from exporter.ledger.shown import SeriesState
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    ACCOUNT_COUNTS,
    MEMBER_COUNTS,
    MEMBERS,
    RULE_COUNTS,
    SERIES,
    TOTALS,
)
from exporter.ledger.tally import GroupKey, Tally
from exporter.model import OVERFLOW, Increment, SeriesKey


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
    names = {
        (rule, series.metric, series_id(series)): one for (rule, series), one in increments.items()
    }
    placement.members.update(row[:3] for row in transaction.read(MEMBERS, names))
    new = [one for name, one in names.items() if name not in placement.members]
    if new:
        _read_counts(transaction, placement, ((one.rule, one.series) for one in new))
    _read_series(transaction, placement, placement.place(increments.values()))
    placement.rules.update((row[1:3], row) for row in transaction.read(RULE_COUNTS, counts))


def read_declared(
    transaction: Transaction, placement: Placement, wanted: Collection[tuple[str, SeriesKey]]
) -> None:
    """Read what declaring series of rules may change."""
    names = {(rule, key.metric, series_id(key)): key for rule, key in wanted}
    _read_series(transaction, placement, set(names.values()))
    placement.members.update(row[:3] for row in transaction.read(MEMBERS, names))
    _read_counts(transaction, placement, wanted)


def write(transaction: Transaction, placement: Placement) -> None:
    """Write the changed rows."""
    transaction.write(SERIES, placement.created)
    transaction.write(MEMBERS, placement.joined)
    totals = [placement.series[key].totals[lane] for key, lane in placement.changed_totals]
    transaction.write(TOTALS, totals)
    transaction.write(MEMBER_COUNTS, [placement.counts[one] for one in placement.changed_counts])
    transaction.write(
        ACCOUNT_COUNTS, [placement.accounts[one].row(*one) for one in placement.changed_accounts]
    )
    transaction.write(RULE_COUNTS, [placement.rules[one] for one in placement.changed_rules])


def _read_series(transaction: Transaction, placement: Placement, keys: Iterable[SeriesKey]) -> None:
    by_id = {series_id(key): key for key in keys}
    ids = [(one,) for one in by_id]
    for row in transaction.read(SERIES, ids):
        placement.series[by_id[row.id]] = SeriesState(row, by_id[row.id], {})
    for total in transaction.read(TOTALS, ids):
        placement.series[by_id[total.series]].totals[total.lane] = total


def _read_counts(
    transaction: Transaction, placement: Placement, series: Iterable[tuple[str, SeriesKey]]
) -> None:
    """Read the counts of rules whose series these are."""
    accounts = {(rule, key.metric, account_of(key)) for rule, key in series}
    rules = {name[:2] for name in accounts}
    placement.counts.update((one[:2], one) for one in transaction.read(MEMBER_COUNTS, rules))
    # Accounts that are new to a full rule count as one.
    accounts |= {(*name, OVERFLOW) for name in rules}
    placement.accounts.update(
        (one[:3], Account.of(one)) for one in transaction.read(ACCOUNT_COUNTS, accounts)
    )
