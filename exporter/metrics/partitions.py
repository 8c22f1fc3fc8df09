"""Metrics of reading, by partition and by (source, account, region)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final

from exporter.clock import elapsed
from exporter.metrics.families import MetricFamily
from exporter.metrics.tables import Row, Table, Tables
from exporter.metrics.text import labels_text
from exporter.model import EventPlace, Partition
from exporter.planning.plan import Plan
from exporter.sources import RESOURCE_LABELS
from exporter.sources.base import Backlog
from exporter.sources.thinning import Rereads

_PLACE: Final = ("source", "feed", "account_id", "region")
_OUTCOMES: Final = ("success", "error")
_COUNTERS: Final = (
    ("read_bytes", "Bytes of log events read from sources."),
    ("log_events_read", "Log events read, each time that they were read."),
    ("late_events", "Log events seen later than the lookback; they are not counted."),
    ("undecodable_events", "Records that are no log events; left out."),
    (
        "refused_requests",
        "Requests for some of the log events that AWS did not accept; all are read instead.",
    ),
)
_GAUGES: Final = (
    ("partition_up", "Whether the partition's last poll succeeded."),
    (
        "partition_last_success_timestamp_seconds",
        "When the partition was last polled with success; before that, when it was found.",
    ),
    (
        "partition_read_up_to_timestamp_seconds",
        "Event time up to which the partition has been read completely.",
    ),
    (
        "partition_counted_since_timestamp_seconds",
        "Event time from which the partition has been counted: the first `start`, or when its"
        " source was configured again after it had been removed. Rules may be younger.",
    ),
    (
        "partition_catching_up",
        "1 while the partition counts events of a time in which it was not read (an outage, a stop,"
        " the `start` of the first run), and for 20 minutes after, so that no count over 15 minutes"
        " includes them while this is 0. Also by account, region and log group of these"
        " events, if they are others.",
    ),
    (
        "partition_reread_factor",
        "Growth of the ages at which an event is read again: 1.5, or more while re-reads are"
        " thinned out because they do not fit into the interval.",
    ),
    (
        "partition_read_load_ratio",
        "Share of the interval that the scheduled reads take, thinned or not; above 1 the"
        " partition falls behind.",
    ),
    (
        "partition_backlog_objects",
        "Objects, or messages of a queue, that are known and were not read yet.",
    ),
    ("partition_backlog_bytes", "Size of these objects, before decompression."),
    (
        "partition_backlog_oldest_timestamp_seconds",
        "When the oldest of these objects was written, or of these messages was sent.",
    ),
)
CATCHING_UP_HOLD: Final = 1200.0
"""Seconds: 15 minutes, and time for scrapes and evaluations."""
_POLLS: Final = (*_PLACE, "outcome")
_RESOURCE: Final = (*_PLACE, *RESOURCE_LABELS)


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
    counted_since: int | None = None
    """See ``Ledger.counted_since``; None if everything counts, or if it is unknown."""
    catching_up_until: float = 0.0
    """Seconds of ``clock.elapsed``."""
    catching_up_places: frozenset[EventPlace] = frozenset()
    """Where the events happened that it counts while it catches up."""
    plan: Plan | None = None
    """The requests that read it; None before the first read, and if events come once."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """See ``Reading.rates``."""
    rereads: Rereads | None = None
    """How often its events are read; None for files, and before the first read."""
    backlog: Backlog | None = None
    """What waits to be read; None if it is not known."""
    bytes: int = 0
    events: int = 0
    late: int = 0
    undecodable: int = 0
    refused: int = 0
    succeeded: int = 0
    failed: int = 0
    """Polls, as ``succeeded``."""


_counts: Final[Callable[[Meter], tuple[int, ...]]] = attrgetter(
    "bytes", "events", "late", "undecodable", "refused", "succeeded", "failed"
)


@dataclass(slots=True)
class _Place:
    """A (source, account, region) since a partition of it was first found."""

    counts: tuple[int, ...] = (0,) * 7
    """Sums over the partitions that are gone: counters must not go down with them."""
    created: float = field(default_factory=time.time)
    labels: tuple[str, ...] = ()
    text: str = ""
    """The label set of a counter."""
    polls: tuple[str, ...] = ()
    """The label sets of ``polls``, one for each of ``_OUTCOMES``."""

    def named(self, labels: tuple[str, ...]) -> _Place:
        """With these values of ``_PLACE``."""
        polls = tuple(_text(_POLLS, (*labels, outcome)) for outcome in _OUTCOMES)
        return replace(self, labels=labels, text=_text(_PLACE, labels), polls=polls)

    def plus(self, meter: Meter) -> _Place:
        """With the counts of one more partition."""
        counts = tuple(map(sum, zip(self.counts, _counts(meter), strict=True)))
        return replace(self, counts=counts)


class PartitionMetrics(Tables):
    """Reads the meters of all partitions when it is scraped; thread-safe."""

    def __init__(self, prefix: str, feed_of: Callable[[str], str]) -> None:
        """``prefix`` begins the names of the metrics. ``feed_of`` returns the feed of a source."""
        self._prefix = prefix
        self._feed_of = feed_of
        self.steady: Callable[[], float] = elapsed
        """The clock of ``Meter.catching_up_until``."""
        self._lock = threading.Lock()
        self._meters: dict[Partition, Meter] = {}
        self._texts: dict[Partition, str] = {}
        """The label set of each partition's gauges."""
        self._places: dict[tuple[str, str, str], _Place] = {}

    def add(self, meter: Meter) -> None:
        """Expose a partition, from its counters' zeros on."""
        name = _place(meter.partition)
        with self._lock:
            self._meters[meter.partition] = meter
            self._texts[meter.partition] = _text(_RESOURCE, self._resource(meter.partition))
            if name not in self._places:
                self._places[name] = _Place().named(self._labels(name))

    def rename(self) -> None:
        """Use the present feeds of sources."""
        with self._lock:
            self._texts = {one: _text(_RESOURCE, self._resource(one)) for one in self._meters}
            for name, place in self._places.items():
                self._places[name] = place.named(self._labels(name))

    def remove(self, meter: Meter) -> None:
        """Drop a partition's gauges; its counts stay in the sums."""
        with self._lock:
            if self._meters.get(meter.partition) is meter:
                del self._meters[meter.partition], self._texts[meter.partition]
                name = _place(meter.partition)
                self._places[name] = self._places[name].plus(meter)

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        with self._lock:
            meters = [(meter, self._texts[name]) for name, meter in self._meters.items()]
            places = dict(self._places)
        for meter, _ in meters:
            name = _place(meter.partition)
            places[name] = places[name].plus(meter)
        for index, (metric, text) in enumerate(_COUNTERS):
            family = MetricFamily(f"{self._prefix}{metric}_total", "counter", text)
            rows = [
                Row(place.labels, place.text, float(place.counts[index]), place.created)
                for place in places.values()
            ]
            yield Table(family, _PLACE, rows)
        polls = [
            Row((*place.labels, outcome), text, float(count), place.created)
            for place in places.values()
            for outcome, text, count in zip(_OUTCOMES, place.polls, place.counts[5:], strict=True)
        ]
        help_text = "Polls of partitions, by how they ended."
        yield Table(MetricFamily(self._prefix + "polls_total", "counter", help_text), _POLLS, polls)
        yield from self._gauges(meters)

    def _gauges(self, meters: list[tuple[Meter, str]]) -> Iterator[Table]:
        rows: tuple[list[Row], ...] = tuple([] for _ in _GAUGES)
        up, success, read_up_to, since, catching_up, factor, load, objects, size, oldest = rows
        now = self.steady()
        for meter, text in meters:
            labels = self._resource(meter.partition)
            up.append(Row(labels, text, float(meter.up)))
            success.append(Row(labels, text, meter.last_success or meter.found))
            if meter.read_up_to is not None:
                read_up_to.append(Row(labels, text, meter.read_up_to / 1000))
            if meter.counted_since is not None:
                since.append(Row(labels, text, meter.counted_since / 1000))
            catching_up.append(Row(labels, text, float(now < meter.catching_up_until)))
            if meter.rereads is not None:
                factor.append(Row(labels, text, meter.rereads.factor))
                load.append(Row(labels, text, meter.rereads.load))
            backlog = meter.backlog
            if backlog is not None:
                objects.append(Row(labels, text, float(backlog.objects)))
                if backlog.size is not None:
                    size.append(Row(labels, text, float(backlog.size)))
                if backlog.oldest is not None:
                    oldest.append(Row(labels, text, backlog.oldest / 1000))
        known = {row.values for row in catching_up}
        for meter, _ in meters:
            if meter.catching_up_places:
                catching_up += self._elsewhere(meter, known, float(now < meter.catching_up_until))
        for (metric, help_text), of_metric in zip(_GAUGES, rows, strict=True):
            yield Table(
                MetricFamily(self._prefix + metric, "gauge", help_text), _RESOURCE, of_metric
            )

        yield self._plans(meters)

    def _elsewhere(self, meter: Meter, known: set[tuple[str, ...]], value: float) -> Iterator[Row]:
        """Yield a row for each place that is not ``known`` yet: alerts select by the event's."""
        own = dict(zip(_RESOURCE, self._resource(meter.partition), strict=True))
        for place in sorted(meter.catching_up_places):
            labels = tuple((own | place._asdict()).values())
            if labels not in known:
                known.add(labels)
                yield Row(labels, _text(_RESOURCE, labels), value)

    def _plans(self, meters: list[tuple[Meter, str]]) -> Table:
        help_text = "Requests that each window of event time takes at least, by the plan in use."
        rows = [
            Row(
                (*self._resource(meter.partition), meter.plan.kind),
                f'{text[:-1]},plan="{meter.plan.kind}"}}',
                float(len(meter.plan.requests)),
            )
            for meter, text in meters
            if meter.plan is not None
        ]
        family = MetricFamily(f"{self._prefix}partition_plan_requests", "gauge", help_text)
        return Table(family, (*_RESOURCE, "plan"), rows)

    def _labels(self, name: tuple[str, str, str]) -> tuple[str, ...]:
        source, account_id, region = name
        return source, self._feed_of(source), account_id, region

    def _resource(self, partition: Partition) -> tuple[str, ...]:
        label, resource = partition.kind.label, partition.resource
        resources = (resource if label == name else "" for name in RESOURCE_LABELS)
        return *self._labels(_place(partition)), *resources


def _place(partition: Partition) -> tuple[str, str, str]:
    return partition.source, partition.account_id, partition.region


def _text(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    return labels_text(tuple(zip(names, values, strict=True)))
