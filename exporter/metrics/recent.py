"""The last matches of each rule, for the status page: place, time and id, no contents."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from exporter.ledger.base import SeriesTotal
from exporter.model import EXCLUDED_METRIC, JudgedEvent, Labels
from exporter.sources import RESOURCE_LABELS

LAST: Final = 5
"""Matches that are kept of a rule."""
_PLACE: Final = ("account_id", "region", "source")
_LONGEST_ID: Final = 128
"""Characters. AWS: an eventID has 36, the id of a log event 56."""


@dataclass(frozen=True, slots=True)
class Match:
    """A log event that counted for a rule."""

    time: int | None
    """When it happened, milliseconds; None if unknown (a line of a file)."""
    event_id: str | None
    account_id: str = ""
    region: str = ""
    source: str = ""
    """The source or feed."""
    log_group: str = ""

    @classmethod
    def of(cls, time: int | None, event_id: str | None, labels: Labels) -> Match:
        """Return a match whose place is that of its series."""
        given = dict(labels)
        account_id, region, source = (given.get(name, "") for name in _PLACE)
        resource = next((given[name] for name in RESOURCE_LABELS if name in given), "")
        cut = event_id and event_id[:_LONGEST_ID]
        return cls(time, cut, account_id, region, source, resource)


class RecentMatches:
    """The last matches of each rule since the start; thread-safe.

    They go by when they were counted, so an event with a false time cannot keep later ones out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_rule: dict[str, deque[Match]] = {}

    def add(self, events: Sequence[JudgedEvent]) -> None:
        """Add events of a commit; event history has the latest first, others mostly last."""
        latest: dict[str, list[tuple[int, int, JudgedEvent, Labels]]] = {}
        # Backwards, since then few events replace another.
        for number, event in zip(count(len(events), -1), reversed(events), strict=False):
            time = event.time if event.event_time is None else event.event_time
            for increment in event.increments:
                kept = latest.get(increment.rule)
                if kept is None:
                    kept = latest[increment.rule] = []
                elif len(kept) == LAST and time <= kept[0][0]:
                    continue
                if increment.series.metric == EXCLUDED_METRIC:
                    continue
                push = heapq.heappush if len(kept) < LAST else heapq.heapreplace
                push(kept, (time, number, event, increment.series.labels))
        with self._lock:
            for rule, kept in latest.items():
                self._by_rule.setdefault(rule, deque(maxlen=LAST)).extend(
                    Match.of(event.event_time, event.event_id, labels)
                    for _, _, event, labels in sorted(kept, key=lambda one: one[:2])
                )

    def keep(self, rules: Collection[str]) -> None:
        """Forget all other rules."""
        with self._lock:
            self._by_rule = {rule: kept for rule, kept in self._by_rule.items() if rule in rules}

    def of(self, rule: str) -> list[Match]:
        """Return the last matches of a rule, the last counted one first."""
        with self._lock:
            return list(reversed(self._by_rule.get(rule, ())))


def with_stored(recent: Sequence[Match], stored: Iterable[SeriesTotal]) -> list[Match]:
    """Return the last matches, completed by those that the ledger knows from before the start."""
    known = {(match.time, match.event_id) for match in recent}
    matches = (Match.of(one.event_time, one.event_id, one.key.labels) for one in stored)
    earlier = [match for match in matches if (match.time, match.event_id) not in known]
    return [*recent, *earlier][:LAST]
