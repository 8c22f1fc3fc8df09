"""Counts the series of rules by account, where that has not been done as they were created."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from exporter.ledger.counting import RuleSpec
from exporter.ledger.overflow import Account, account_of
from exporter.ledger.rows import labels_of
from exporter.ledger.store import Transaction
from exporter.ledger.tables import ACCOUNT_COUNTS, MEMBER_COUNTS, MEMBERS, SERIES, Member
from exporter.model import SeriesKey
from exporter.sources import SERIES_LABELS

_FIXED = frozenset((*SERIES_LABELS, "rule"))


def count_by_account(transaction: Transaction, specs: Mapping[tuple[str, str], RuleSpec]) -> None:
    """Count again what does not agree with the members of rules.

    That is so after series were deleted, and in a ledger that an earlier version has written.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for row in transaction.read(ACCOUNT_COUNTS):
        counted[row.rule, row.metric] += row.series
    members = {(one.rule, one.metric): one.series for one in transaction.read(MEMBER_COUNTS)}
    # A rule without a row is not one with 0: all its members may be from before it gained labels.
    wrong = {
        name for name in counted.keys() | members.keys() if counted.get(name) != members.get(name)
    }
    if not wrong:
        return
    transaction.delete(ACCOUNT_COUNTS, wrong)
    of_series: dict[bytes, list[Member]] = defaultdict(list)
    for one in transaction.scan(MEMBERS):
        if (one.rule, one.metric) in wrong:
            of_series[one.series].append(one)
    accounts: dict[tuple[str, str, str], Account] = defaultdict(Account)
    for series in transaction.read(SERIES, [(one,) for one in of_series]):
        labels = labels_of(series.labels)
        for one in of_series[series.id]:
            account = accounts[one.rule, one.metric, account_of(SeriesKey(one.metric, labels))]
            new, overflow = one.counts
            account.series += new
            account.overflow += overflow
            spec = specs.get((one.rule, one.metric))
            unbounded = _FIXED if spec is None else _FIXED | spec.unbounded
            account.see(label for label in labels if label[0] not in unbounded)
    transaction.write(ACCOUNT_COUNTS, (one.row(*name) for name, one in accounts.items()))
