"""How AWS's request quotas are used: by source and reason, and by quota."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from exporter.aws.bucket import QuotaState
from exporter.aws.uses import Reason, current_use
from exporter.metrics.families import MetricFamily
from exporter.metrics.tables import Row, Table, Tables
from exporter.metrics.text import labels_text

_REQUESTS: Final = ("source", "feed", "operation", "reason")
_READS: Final = ("source", "feed", "reason")
_QUOTA: Final = ("account_id", "region", "operation")
_COUNTERS: Final = (
    ("source_read_pages", "Readings of the source, by why they were read."),
    ("source_read_events", "Log events read, by why they were read."),
    ("source_read_bytes", "Bytes of log events read, by why they were read."),
)
_GAUGES: Final = (
    (
        "api_quota_limit",
        "Requests a second that the exporter may make now: AWS's published quota, less while AWS"
        " throttles, and the part that `budget` leaves.",
    ),
    ("api_quota_used_ratio", "Share of the limit that was used in the last minute."),
    (
        "api_quota_needed_ratio",
        "Share of the limit that all scheduled reads need; above 1, re-reads are left out.",
    ),
    (
        "api_quota_least_needed_ratio",
        "Share of the limit that the fewest reads need; above 1, all partitions are read later.",
    ),
)


class Usage(Tables):
    """Counts requests and readings by reason, and shows the quotas; thread-safe."""

    def __init__(self, prefix: str, feed_of: Callable[[str], str]) -> None:
        """``prefix`` begins the names of the metrics. ``feed_of`` returns the feed of a source."""
        self._prefix = prefix
        self._feed_of = feed_of
        self._lock = threading.Lock()
        self._began = time.time()
        self._requests: dict[tuple[str, ...], int] = {}
        self._reads: dict[tuple[str, ...], list[int]] = {}
        self.quotas: Callable[[], Sequence[QuotaState]] = tuple
        """The quotas as they are now."""

    def request(self, operation: str) -> None:
        """Count a request that this thread made, if it was for a source."""
        use = current_use()
        if use.source:
            name = (use.source, self._feed_of(use.source), operation, use.reason)
            with self._lock:
                self._requests[name] = self._requests.get(name, 0) + 1

    def read(self, source: str, reason: Reason, *, events: int, size: int) -> None:
        """Count a reading and its log events; ``size``: in bytes."""
        name = (source, self._feed_of(source), reason)
        with self._lock:
            sums = self._reads.setdefault(name, [0, 0, 0])
            for index, count in enumerate((1, events, size)):
                sums[index] += count

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        with self._lock:
            requests = list(self._requests.items())
            reads = [(name, tuple(sums)) for name, sums in self._reads.items()]
        text = "Requests to AWS APIs for the source, by operation and why they were made."
        yield self._counter("source_api_requests", text, _REQUESTS, requests)
        for index, (metric, text) in enumerate(_COUNTERS):
            yield self._counter(metric, text, _READS, [(name, sums[index]) for name, sums in reads])
        rows: tuple[list[Row], ...] = tuple([] for _ in _GAUGES)
        for one in self.quotas():
            place = (one.account_id, one.region, one.operation)
            text = labels_text(tuple(zip(_QUOTA, place, strict=True)))
            values = (one.limit, one.used, one.needed, one.fewest)
            for of_metric, value in zip(rows, values, strict=True):
                of_metric.append(Row(place, text, value))
        for (metric, text), of_metric in zip(_GAUGES, rows, strict=True):
            yield Table(MetricFamily(self._prefix + metric, "gauge", text), _QUOTA, of_metric)

    def _counter(
        self,
        metric: str,
        text: str,
        labels: tuple[str, ...],
        counts: Sequence[tuple[tuple[str, ...], int]],
    ) -> Table:
        rows = [
            Row(name, labels_text(tuple(zip(labels, name, strict=True))), float(count), self._began)
            for name, count in counts
        ]
        return Table(MetricFamily(f"{self._prefix}{metric}_total", "counter", text), labels, rows)
