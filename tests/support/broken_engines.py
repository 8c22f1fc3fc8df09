"""Engines with one small fault each, for proving that the conformance suite finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import pytest

from conformance.score import Engine

Patch: TypeAlias = pytest.MonkeyPatch
Fault: TypeAlias = Callable[[Patch], Engine | None]
"""Breaks the exporter's engine, or gives an engine of its own."""


class Faults(list[tuple[str, Fault]]):
    """Pairs of a rule and a fault that breaks it."""

    def breaks(self, *rules: str) -> Callable[[Fault], Fault]:
        """Add a fault; ``rules``: those that it breaks."""

        def register(fault: Fault) -> Fault:
            self.extend((rule, fault) for rule in rules)
            return fault

        return register
