"""Keeps the garbage collector from what lives long.

A full collection goes through every object and holds the interpreter meanwhile: 100 to 600 ms with
3,000 partitions, every few seconds, in which no handler answers. What lives long is frozen instead:
it is freed by its reference counts when it goes, as long as it is in no circle.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Final

_MANY: Final = 100


class LongLived:
    """Freezes the objects that there are when there are many more partitions."""

    def __init__(self, partitions: Callable[[], int]) -> None:
        """``partitions`` says how many there are."""
        self._partitions = partitions
        self._frozen = 0

    def freeze(self) -> None:
        """Take all that there is for long-lived: after a configuration was loaded."""
        gc.freeze()
        self._frozen = self._partitions()

    def look(self) -> None:
        """Freeze if many partitions were found since."""
        if self._partitions() - self._frozen >= _MANY:
            self.freeze()
