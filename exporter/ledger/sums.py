"""The total of a series while a batch adds to it: each value is added exactly, or not at all."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from exporter.ledger.rows import bounds_of, buckets_of, buckets_text
from exporter.ledger.shown import SeriesState
from exporter.ledger.tables import Total
from exporter.ledger.tally import Group
from exporter.model import JudgedEvent

_EXACT: Final = 2.0**53
"""Below it, whole numbers add up exactly in any order."""


class Sum:
    """The part of a series' total that is counted in one ``lane``."""

    def __init__(self, state: SeriesState, lane: str) -> None:
        self.state = state
        self._lane = lane
        before = state.totals.get(lane) or Total(state.row.id, lane, 0.0, None, None, 0.0, None)
        self._before = before
        self._total = before.total
        self._others = [one.total for name, one in state.totals.items() if name != lane]
        self._bounds = bounds_of(state.row.bounds)
        self._buckets = None if self._bounds is None else buckets_of(before.buckets, self._bounds)
        self._event_id, self._event_value = before.event_id, before.event_value
        self._event_time = before.event_time
        self.changed = False

    def add(self, value: float, event_id: str | None, time: int | None) -> bool:
        """Add a value; return False if the total cannot represent it."""
        total = sum_exactly(self._total, value)
        if total is None:
            return False
        if self._others and sum_exactly(math.fsum([*self._others, self._total]), value) is None:
            return False
        self._total = total
        self._observe(value, 1, event_id, time)
        return True

    def add_together(self, groups: Sequence[Group], events: Sequence[JudgedEvent]) -> bool:
        """Add groups of values in any order.

        Returns False, and adds nothing, if the result could depend on the order. All event times
        are known, or none.
        """
        values = [one.value or 0.0 for one in groups]
        after = self._total + sum(
            value * one.count for value, one in zip(values, groups, strict=True)
        )
        whole = all(map(float.is_integer, (*values, *self._others, self._total)))
        if not whole or after + sum(self._others) >= _EXACT:
            return False
        self._total = after
        # The last match is the last one of the latest time, as if they were added in order.
        for value, one in sorted(zip(values, groups, strict=True), key=_last_match):
            self._observe(value, one.count, events[one.last].event_id, one.latest)
        return True

    def finish(self) -> None:
        """Make the result the series' total."""
        event_id = self._event_id
        if event_id is not None:
            event_id = event_id.encode("utf-8", "replace").decode()
        buckets = None if self._buckets is None else buckets_text(self._buckets)
        self.state.totals[self._lane] = self._before._replace(
            total=self._total,
            buckets=buckets,
            event_id=event_id,
            event_value=self._event_value,
            event_time=self._event_time,
        )

    def _observe(self, value: float, count: int, event_id: str | None, time: int | None) -> None:
        self.changed = True
        if self._buckets is not None:
            self._buckets[bisect_left(self._bounds or (), value)] += count
        # The last match by event time: event history comes newest first.
        if time is None or self._event_time is None or time >= self._event_time:
            self._event_id, self._event_value, self._event_time = event_id, value, time


def sum_exactly(total: float, value: float) -> float | None:
    """Return the total with a value added; None if a float cannot represent the sum.

    Whole numbers are added exactly or not at all. Other values must change the total.
    """
    after = total + value
    if not math.isfinite(after) or (value > 0 and after == total):
        return None
    if total.is_integer() and value.is_integer() and int(after) != int(total) + int(value):
        return None
    return after


def _last_match(one: tuple[float, Group]) -> tuple[int, int]:
    return one[1].latest or 0, one[1].last
