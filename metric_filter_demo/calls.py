"""Counts of the calls that the embedded AWS has answered."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    """The key by which calls are counted."""

    operation: str
    account: str
    region: str
    outcome: str
    """``ok``, the error code (``ThrottlingException`` …), or ``dropped``."""


class Calls:
    """Counts calls by operation, account, region and outcome. Thread-safe."""

    def __init__(self) -> None:
        self._counts: Counter[Call] = Counter()
        self._lock = threading.Lock()

    def add(self, call: Call) -> None:
        """Count one call."""
        with self._lock:
            self._counts[call] += 1

    def count(
        self,
        operation: str | None = None,
        *,
        account: str | None = None,
        region: str | None = None,
        outcome: str | None = None,
    ) -> int:
        """The number of calls; arguments that are None match any."""
        wanted = (operation, account, region, outcome)
        with self._lock:
            return sum(
                number
                for call, number in self._counts.items()
                if all(
                    want is None or want == have
                    for want, have in zip(
                        wanted,
                        (call.operation, call.account, call.region, call.outcome),
                        strict=True,
                    )
                )
            )

    def snapshot(self) -> dict[Call, int]:
        """All counts."""
        with self._lock:
            return dict(self._counts)

    def reset(self) -> None:
        """Start again at none."""
        with self._lock:
            self._counts.clear()
