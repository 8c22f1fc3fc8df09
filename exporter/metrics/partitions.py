"""Metrics of reading, by partition and by (source, account, region)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.model import Partition
from exporter.sources import RESOURCE_LABELS
from exporter.sources.thinning import Rereads

_PLACE: Final = ("source", "account_id", "region")
_COUNTERS: Final = (
    ("read_bytes", "Bytes of log events read from sources."),
    ("log_events_read", "Log events read, each time that they were read."),
    ("late_events", "Log events seen later than the lookback; they are not counted."),
    ("undecodable_events", "Records that are no log events; left out."),
)


@dataclass(slots=True)
class Meter:
    """The counters and gauges of one partition. Written by one poll at a time."""

    partition: Partition
    found: float
    """When it was found, seconds since the epoch."""
    last_success: float | None = None
    """When the last poll succeeded, seconds since the epoch."""
    up: bool = False
    """Whether the last poll succeeded."""
    read_up_to: int | None = None
    """Event time up to which everything was read, milliseconds; None for files."""
    rereads: Rereads | None = None
    """How often its events are read; None for files, and before the first read."""
    bytes: int = 0
    events: int = 0
    late: int = 0
    undecodable: int = 0
    succeeded: int = 0
    failed: int = 0
    """Polls, as ``succeeded``."""


_counts: Final[Callable[[Meter], tuple[int, ...]]] = attrgetter(
    "bytes", "events", "late", "undecodable", "succeeded", "failed"
)


@dataclass(slots=True)
class _Place:
    """A (source, account, region) since a partition of it was first found."""

    counts: tuple[int, ...] = (0,) * 6
    """Sums over the partitions that are gone: counters must not go down with them."""
    created: float = field(default_factory=time.time)

    def plus(self, meter: Meter) -> _Place:
        """With the counts of one more partition."""
        counts = tuple(map(sum, zip(self.counts, _counts(meter), strict=True)))
        return replace(self, counts=counts)


class PartitionMetrics(Collector):
    """Reads the meters of all partitions when it is scraped; thread-safe."""

    def __init__(self, prefix: str) -> None:
        """``prefix`` begins the names of the metrics."""
        self._prefix = prefix
        self._lock = threading.Lock()
        self._meters: dict[Partition, Meter] = {}
        self._places: dict[tuple[str, str, str], _Place] = {}

    def add(self, meter: Meter) -> None:
        """Expose a partition, from its counters' zeros on."""
        with self._lock:
            self._meters[meter.partition] = meter
            self._places.setdefault(_place(meter.partition), _Place())

    def remove(self, meter: Meter) -> None:
        """Drop a partition's gauges; its counts stay in the sums."""
        with self._lock:
            if self._meters.get(meter.partition) is meter:
                del self._meters[meter.partition]
                name = _place(meter.partition)
                self._places[name] = self._places[name].plus(meter)

    def collect(self) -> Iterator[Metric]:
        """See ``Collector.collect``."""
        with self._lock:
            meters = list(self._meters.values())
            places = dict(self._places)
        for meter in meters:
            name = _place(meter.partition)
            places[name] = places[name].plus(meter)
        for index, (metric, text) in enumerate(_COUNTERS):
            counter = CounterMetricFamily(self._prefix + metric, text, labels=_PLACE)
            for name, place in places.items():
                counter.add_metric(name, place.counts[index], created=place.created)
            yield counter
        polls = CounterMetricFamily(
            self._prefix + "polls",
            "Polls of partitions, by how they ended.",
            labels=(*_PLACE, "outcome"),
        )
        for name, place in places.items():
            for outcome, count in zip(("success", "error"), place.counts[4:], strict=True):
                polls.add_metric((*name, outcome), count, created=place.created)
        yield polls
        yield from self._gauges(meters)

    def _gauges(self, meters: list[Meter]) -> Iterator[Metric]:
        up = self._gauge("partition_up", "Whether the partition's last poll succeeded.")
        success = self._gauge(
            "partition_last_success_timestamp_seconds",
            "When the partition was last polled with success; before that, when it was found.",
        )
        read_up_to = self._gauge(
            "partition_read_up_to_timestamp_seconds",
            "Event time up to which the partition has been read completely.",
        )
        factor = self._gauge(
            "partition_reread_factor",
            "Growth of the ages at which an event is read again: 1.5, or more while re-reads are"
            " thinned out because they do not fit into the interval.",
        )
        load = self._gauge(
            "partition_read_load_ratio",
            "Share of the interval that the scheduled reads take, thinned or not; above 1 the"
            " partition falls behind.",
        )
        for meter in meters:
            partition = meter.partition
            kind, resource = partition.kind, partition.resource
            resources = (resource if kind.label == label else "" for label in RESOURCE_LABELS)
            labels = (*_place(partition), *resources)
            up.add_metric(labels, meter.up)
            success.add_metric(labels, meter.last_success or meter.found)
            if meter.read_up_to is not None:
                read_up_to.add_metric(labels, meter.read_up_to / 1000)
            if meter.rereads is not None:
                factor.add_metric(labels, meter.rereads.factor)
                load.add_metric(labels, meter.rereads.load)
        yield from (up, success, read_up_to, factor, load)

    def _gauge(self, name: str, text: str) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._prefix + name, text, labels=(*_PLACE, *RESOURCE_LABELS))


def _place(partition: Partition) -> tuple[str, str, str]:
    return partition.source, partition.account_id, partition.region
