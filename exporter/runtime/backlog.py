"""How fast the backlog of a partition is worked off."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from exporter.model import Partition
from exporter.sources.base import Backlog
from exporter.web.humanize import duration, size

_WORTH_TELLING: Final = 100
"""Objects. A busy queue is never empty."""
_SAMPLE_EVERY: Final = 10.0
_OVER: Final = 300.0
"""Seconds over which the rate is measured."""
_TELL_EVERY: Final = 300.0

_log = structlog.get_logger(__name__)


class BacklogProgress:
    """Follows the backlog of a partition, and logs it every five minutes while it lasts."""

    def __init__(
        self, partition: Partition, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock`` gives seconds from any point on."""
        self._facts = {"source": partition.source, "partition": partition.key}
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        """Times, and objects that were left then."""
        self._latest: Backlog | None = None
        self._told_at: float | None = None
        """When a line was logged about the backlog that lasts; None if none was."""

    def note(self, backlog: Backlog, now: float) -> None:
        """Take the backlog after a reading. ``now``: seconds since the epoch."""
        at = self._clock()
        self._latest = backlog
        if not self._samples or at - self._samples[-1][0] >= _SAMPLE_EVERY:
            self._samples.append((at, backlog.objects))
            while at - self._samples[0][0] > _OVER and len(self._samples) > 2:
                self._samples.popleft()
        if backlog.objects < _WORTH_TELLING:
            if self._told_at is not None:
                _log.info("the backlog is worked off", **self._facts)
                self._samples.clear()
            self._told_at = None
        elif self._told_at is None or at - self._told_at >= _TELL_EVERY:
            self._told_at = at
            _log.info("backlog", **self._facts, objects=backlog.objects, state=self.text(now))

    @property
    def rate(self) -> float | None:
        """Objects a second by which the backlog shrinks, negative if it grows; None if unknown."""
        if self._latest is None or not self._samples:
            return None
        since, objects = self._samples[0]
        passed = self._clock() - since
        return (objects - self._latest.objects) / passed if passed >= _SAMPLE_EVERY else None

    def text(self, now: float) -> str:
        """The backlog in words; empty if it is small. ``now``: as for ``note``."""
        backlog = self._latest
        if backlog is None or backlog.objects < _WORTH_TELLING:
            return ""
        parts = [f"{backlog.objects:,} objects wait"]
        if backlog.size is not None:
            parts[0] += f" ({size(backlog.size)})"
        if backlog.oldest is not None:
            parts.append(f"the oldest for {duration(max(0.0, now - backlog.oldest / 1000))}")
        rate = self.rate
        if rate is not None and rate > 0:
            left = duration(backlog.objects / rate)
            parts.append(f"{rate:,.1f} a second less, {left} left")
        elif rate is not None:
            parts.append(f"{-rate:,.1f} a second more" if rate else "not shrinking")
        return "; ".join(parts)
