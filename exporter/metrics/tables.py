"""The exporter's own metrics with many label sets, in rows that become text directly.

prometheus_client takes 10 µs for a sample; a row takes less than one. Its own form of the metrics
(``collect``) is here too, for everything else that reads them.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from exporter.metrics.blocks import Text
from exporter.metrics.families import MetricFamily
from exporter.metrics.rendering import RenderedFamily
from exporter.metrics.text import labels_text, number


class Row(NamedTuple):
    """One sample."""

    values: tuple[str, ...]
    """Of the labels."""
    text: str
    """Of the labels, made once: see ``labels_text``."""
    value: float
    created: float = 0.0
    """Counters: since when it counts, seconds since the epoch."""


class Table(NamedTuple):
    """A family and its samples."""

    family: MetricFamily
    labels: tuple[str, ...]
    rows: Iterable[Row]


class Tables(Collector, ABC):
    """Families of counters and gauges."""

    @abstractmethod
    def tables(self) -> Iterator[Table]:
        """Return the families as they are now."""

    def collect(self) -> Iterator[Metric]:
        """See ``Collector.collect``."""
        for family, labels, rows in self.tables():
            if family.type == "counter":
                counter = CounterMetricFamily(family.base, family.help, labels=labels)
                for row in rows:
                    counter.add_metric(row.values, row.value, created=row.created)
                yield counter
            else:
                gauge = GaugeMetricFamily(family.name, family.help, labels=labels)
                for row in rows:
                    gauge.add_metric(row.values, row.value)
                yield gauge

    def render(self, *, openmetrics: bool, created: bool) -> Iterator[RenderedFamily]:
        """The text of each family. ``created``: OpenMetrics has ``_created`` lines."""
        for family, _, rows in self.tables():
            name, base = family.name, family.base
            if openmetrics and created and family.type == "counter":
                lines = [
                    f"{name}{row.text} {number(row.value)}\n"
                    f"{base}_created{row.text} {number(row.created)}\n"
                    for row in rows
                ]
            else:
                lines = [f"{name}{text} {number(value)}\n" for _, text, value, _ in rows]
            text = family.header(openmetrics=openmetrics) + "".join(lines)
            yield RenderedFamily(base if openmetrics else name, [Text(text.encode())])


class Child:
    """The value of one label set; thread-safe."""

    __slots__ = ("_lock", "created", "text", "value")

    def __init__(self, text: str, lock: threading.Lock) -> None:
        self.text = text
        self.value = 0.0
        self.created = time.time()
        self._lock = lock

    def inc(self, amount: float = 1) -> None:
        """Add to the value."""
        with self._lock:
            self.value += amount

    def set(self, value: float) -> None:
        """Replace the value."""
        self.value = float(value)


class LabelledMetric(Tables):
    """A counter or a gauge with a value for each label set; thread-safe."""

    def __init__(self, family: MetricFamily, labels: tuple[str, ...]) -> None:
        self.family: Final = family
        self.labelnames: Final = labels
        self._lock = threading.Lock()
        self._children: dict[tuple[str, ...], Child] = {}

    def labels(self, *values: str) -> Child:
        """The value of a label set. It exists from now on, first at 0."""
        child = self._children.get(values)
        if child is None:
            text = labels_text(tuple(zip(self.labelnames, values, strict=True)))
            with self._lock:
                child = self._children.setdefault(values, Child(text, self._lock))
        return child

    def remove(self, *values: str) -> None:
        """Drop a label set."""
        with self._lock:
            self._children.pop(values, None)

    def total(self) -> float:
        """The sum over all label sets."""
        with self._lock:
            return sum(child.value for child in self._children.values())

    def tables(self) -> Iterator[Table]:
        """See ``Tables.tables``."""
        with self._lock:
            children = list(self._children.items())
        rows = [Row(values, c.text, c.value, c.created) for values, c in children]
        yield Table(self.family, self.labelnames, rows)
