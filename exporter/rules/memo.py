"""What is kept of earlier lines, as long as it comes again."""

from __future__ import annotations

from typing import TypeVar

_LEAST_USES = 4
"""Lines for each kept value that pay for keeping it."""
_TRY_AGAIN = 200_000
"""Values that are not kept before it is tried again."""

K = TypeVar("K")
V = TypeVar("V")


class Memo(dict[K, V]):
    """A bounded dictionary of results.

    When it is full, all is dropped; if few lines used it, it keeps nothing for a while, since
    making room for values that do not come again costs more than they save.
    """

    __slots__ = ("_begun", "_missed", "_most", "keeps")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._begun = 0
        self._missed = 0
        self.keeps = True
        """Whether values are kept at present."""

    def keep(self, key: K, value: V, lines: int) -> None:
        """Keep a result. ``lines``: how many lines there were until now."""
        if not self.keeps:
            self.skip(lines)
        elif len(self) < self._most:
            self[key] = value
        else:
            self.keeps = lines - self._begun >= self._most * _LEAST_USES
            self._begun, self._missed = lines, 0
            self.clear()

    def skip(self, lines: int) -> None:
        """Note that a result was not kept."""
        self._missed += 1
        if self._missed >= _TRY_AGAIN:
            self.keeps, self._begun = True, lines
