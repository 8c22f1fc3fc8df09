"""The metrics of one registry as a part of another one."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector


class Forwarding(Collector):
    """Collects what another registry has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """The other registry's metrics."""
        return iter(self._registry.collect())
