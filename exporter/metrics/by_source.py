"""Metrics by source: each label set has the source's feed, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Labelled(Protocol[T_co]):
    def labels(self, *values: str) -> T_co: ...
    def remove(self, *values: str) -> None: ...


class BySource(Generic[T]):
    """A metric whose first labels are ``source`` and ``feed``; only the source is passed.

    If a source changes its feed, gauges leave the old label set. Counters keep it, so that their
    sum by source never decreases.
    """

    def __init__(
        self, metric: _Labelled[T], feed_of: Callable[[str], str], *, is_gauge: bool = False
    ) -> None:
        self.metric = metric
        self._feed_of = feed_of
        self._is_gauge = is_gauge
        self._shown: dict[tuple[str, ...], str] = {}
        """Gauges: the feed of each label set."""

    def labels(self, source: str, *rest: str) -> T:
        """The value of a label set."""
        feed = self._feed_of(source)
        if self._is_gauge and self._shown.get((source, *rest)) != feed:
            self.remove(source, *rest)
            self._shown[source, *rest] = feed
        return self.metric.labels(source, feed, *rest)

    def remove(self, source: str, *rest: str) -> None:
        """Drop a label set of a gauge."""
        feed = self._shown.pop((source, *rest), None)
        if feed is not None:
            self.metric.remove(source, feed, *rest)
