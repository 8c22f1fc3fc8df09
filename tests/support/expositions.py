"""Scraped pages, parsed by the Prometheus client library's own parsers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Exposition:
    """The samples of a page: ``value("x_total", rule="root")``, ``series("x_total")``."""

    families: dict[str, Metric]
    samples: dict[tuple[str, Labels], float]

    def series(self, name: str, **labels: str) -> dict[Labels, float]:
        """Return the samples of a name whose labels include the given ones."""
        wanted = frozenset(labels.items())
        return {
            found: value
            for (sample, found), value in self.samples.items()
            if sample == name and wanted <= found
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return the sum over the samples whose labels include the given ones; None if none."""
        found = self.series(name, **labels)
        return math.fsum(found.values()) if found else None


def parse_exposition(text: str, *, openmetrics: bool = False) -> Exposition:
    """Parse a page; ValueError if it breaks the format, AssertionError if a series comes twice."""
    families: dict[str, Metric] = {}
    samples: dict[tuple[str, Labels], float] = {}
    for family in _families(text, openmetrics=openmetrics):
        assert family.name not in families, f"{family.name} comes twice"
        families[family.name] = family
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in samples, f"{sample.name}{sample.labels} comes twice"
            samples[key] = sample.value
    return Exposition(families, samples)


def _families(text: str, *, openmetrics: bool) -> Iterator[Metric]:
    if openmetrics:
        yield from parse_openmetrics(text)  # type: ignore[no-untyped-call]
    else:
        yield from parse_text(text)
