"""Lines that a pack could not read: a counter, and a shape of each for the status page."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from exporter.metrics.by_source import BySource
from exporter.metrics.tables import Child
from exporter.rules.recognition import Unrecognized, joined


class UnrecognizedLines:
    """Counts them since the start. Thread-safe."""

    def __init__(self, counter: BySource[Child]) -> None:
        self._counter = counter
        self._lock = threading.Lock()
        self._found: dict[str, Mapping[str, Unrecognized]] = {}

    def initialise(self, source: str, packs: Iterable[str]) -> None:
        """Make the counters of the packs that listen to a source exist at 0."""
        for pack in packs:
            self._counter.labels(source, pack)

    def add(self, source: str, found: Mapping[str, Unrecognized]) -> None:
        """Add what an evaluation of the source's log events found, by pack."""
        for pack, one in found.items():
            self._counter.labels(source, pack).inc(one.lines)
        if found:
            with self._lock:
                self._found[source] = joined([self._found.get(source, {}), found])

    def of(self, source: str) -> Mapping[str, Unrecognized]:
        """What was found in a source, by pack."""
        with self._lock:
            return self._found.get(source, {})

    def notices(self, source: str) -> list[str]:
        """The same, a sentence for each pack."""
        return [
            f"{one.lines:,} lines since the start look like the format of the pack {pack}, and no"
            f" rule matches them. One of them has the shape: {one.shape}"
            for pack, one in sorted(self.of(source).items())
        ]
