"""Keeps long-lived objects out of garbage collection.

A full collection visits every object and stops the interpreter: for 100 to 600 ms with 3,000
partitions, every few seconds, while no handler answers. Long-lived objects are frozen instead. They
are freed by their reference counts, unless they are part of a cycle.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

_MANY: Final = 100


class LongLived:
    """Freezes all objects whenever there are many more partitions."""

    def __init__(self, partitions: Callable[[], int]) -> None:
        """``partitions`` returns their number."""
        self._partitions = partitions
        self._frozen = 0

    def freeze(self) -> None:
        """Freeze all objects; called after a configuration was loaded."""
        gc.freeze()
        self._frozen = self._partitions()

    def look(self) -> None:
        """Freeze if many partitions were found since."""
        if self._partitions() - self._frozen >= _MANY:
            self.freeze()
