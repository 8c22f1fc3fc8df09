"""Totals as they are exposed: summed over every ``lane`` (see counting)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.ledger.base import RuleTotal, SeriesTotal
from exporter.ledger.rows import bounds_of, buckets_of, labels_of
from exporter.ledger.tables import AccountCount, MemberCount, RuleCount, Series, Total
from exporter.model import SeriesKey


@dataclass(slots=True)
class SeriesState:
    """A series and its totals, while a batch changes them."""

    row: Series
    key: SeriesKey
    totals: dict[str, Total]
    """By account, region and API."""

    def shown(self) -> SeriesTotal:
        """Return the series with the sum of its totals and the last match of all."""
        bounds = bounds_of(self.row.bounds)
        totals = list(self.totals.values())
        buckets = None
        if bounds is not None:
            counts = [buckets_of(one.buckets, bounds) for one in totals]
            empty = (0,) * (len(bounds) + 1)
            buckets = tuple(map(sum, zip(empty, *counts, strict=True)))
        last = max(totals, key=last_match, default=None)
        return SeriesTotal(
            key=self.key,
            total=math.fsum(one.total for one in totals),
            buckets=buckets,
            created=self.row.created,
            revealed=bool(self.row.revealed),
            event_id=last and last.event_id,
            event_value=last.event_value if last else 0.0,
            event_time=last and last.event_time,
        )


def state_of(row: Series, totals: Iterable[Total]) -> SeriesState:
    """Return a series from its rows."""
    key = SeriesKey(row.metric, labels_of(row.labels))
    return SeriesState(row, key, {one.lane: one for one in totals})


def rule_totals(
    counts: Iterable[RuleCount], members: Iterable[MemberCount], accounts: Iterable[AccountCount]
) -> list[RuleTotal]:
    """Return the sums of these rows, by source and rule."""
    by_rule: dict[tuple[str, str], list[RuleCount]] = defaultdict(list)
    for one in counts:
        by_rule[one.source, one.rule].append(one)
    series: dict[str, int] = defaultdict(int)
    for member in members:
        series[member.rule] += member.series
    fullest: dict[str, int] = defaultdict(int)
    for account in accounts:
        fullest[account.rule] = max(fullest[account.rule], account.series)
    return [
        RuleTotal(
            source,
            rule,
            matches=sum(one.matches for one in lanes),
            value_errors=sum(one.value_errors for one in lanes),
            overflowed=sum(one.overflowed for one in lanes),
            series=series[rule],
            last_event_time=max(
                (one.last_event_time for one in lanes if one.last_event_time is not None),
                default=None,
            ),
            fullest=fullest[rule],
        )
        for (source, rule), lanes in sorted(by_rule.items())
    ]


def last_match(total: Total) -> tuple[bool, int]:
    """Return a key by which the part with the last match is the greatest."""
    return total.event_time is not None, total.event_time or 0
