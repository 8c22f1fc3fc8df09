"""Pages that are rendered once for all who ask for the same at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Generic, TypeVar

from exporter.web.coalescing import Coalescing

_KINDS = 64
"""Kinds of page that are told apart; clients can ask for any number."""

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Shared(Generic[K, T]):
    """Renders pages beside the event loop, one at a time.

    Rendering holds the interpreter: a page for each of many clients at once would keep all of them
    waiting, and with them everybody else. So those who ask while a page is being rendered get the
    next one together. No page is older than the request that it answers.
    """

    def __init__(self, render: Callable[[K], T]) -> None:
        """``render`` is called in worker threads with what ``get`` is asked for."""
        one_at_a_time = threading.Lock()

        def locked(kind: K) -> T:
            with one_at_a_time:
                return render(kind)

        @lru_cache(_KINDS)
        def renderings(kind: K) -> Coalescing[T]:
            return Coalescing(lambda: locked(kind))

        self._renderings = renderings

    async def get(self, kind: K) -> T:
        """Return a page that is rendered from now on."""
        return await self._renderings(kind).outcome()
