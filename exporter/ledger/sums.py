"""The total of a series while a batch adds to it: each value is added exactly, or not at all."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from itertools import chain, repeat
from operator import add
from typing import Final

from exporter.ledger.rows import bounds_of, buckets_of, buckets_text
from exporter.ledger.shown import SeriesState
from exporter.ledger.tables import Total
from exporter.ledger.tally import Group

_EXACT: Final = 2.0**52
"""Below it, whole numbers add up exactly in any order, and a total changes by every value that is
more than this part of it. (The same holds up to 2^53; half is left for the error of sums.)"""


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
        self.changed = True
        if self._buckets is not None:
            self._buckets[bisect_left(self._bounds or (), value)] += 1
        self._note(value, event_id, time)
        return True

    def add_together(self, groups: Sequence[Group]) -> bool:
        """Add groups of values.

        Returns False, and adds nothing, if a value might be refused, or if the result could depend
        on the order of the groups. All event times are known, or none.
        """
        values = groups[0].values
        if len(groups) > 1:
            values = list(chain.from_iterable(group.values for group in groups))
            if not all(float(value).is_integer() for value in (self._total, *set(values))):
                return False
        # One after the other: from Python 3.12 on, ``sum`` rounds in another way.
        total = reduce(add, values, self._total)
        everywhere = total + sum(self._others)
        least = min(values) or min(filter(None, values), default=1.0)
        if everywhere >= _EXACT or least <= everywhere / _EXACT:
            return False
        self._total = total
        self.changed = True
        if self._buckets is not None:
            places = map(bisect_left, repeat(self._bounds or ()), values)
            for place, count in Counter(places).items():
                self._buckets[place] += count
        last = max(groups, key=_last_match)
        self._note(float(last.increment.value or 0.0), last.event.event_id, last.latest)
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

    def _note(self, value: float, event_id: str | None, time: int | None) -> None:
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


def _last_match(one: Group) -> tuple[int, int]:
    return one.latest or 0, one.position
