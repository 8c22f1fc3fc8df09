"""Slow calls that are shared by all who ask at the same time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Coalescing(Generic[P, T]):
    """Runs a slow function for all who ask, one run at a time in a thread of its own; thread-safe.

    Each caller gets the outcome of a run that began after the call, so it is never stale. Callers
    with equal arguments share the next run, however many they are.
    """

    def __init__(self, run: Callable[P, T], *, pause: float = 0.0) -> None:
        """``pause``: seconds between two runs, so that callers in a loop leave time for others."""
        self._run = run
        self._pause = pause
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._next: dict[Any, Future[T]] = {}
        self._thread = ThreadPoolExecutor(1, "coalescing")

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Ask for a run with hashable arguments; the future is shared: do not cancel it."""
        asked = (args, *sorted(kwargs.items()))
        with self._lock:
            if asked not in self._next:
                self._next[asked] = self._thread.submit(self._work, asked, *args, **kwargs)
            return self._next[asked]

    async def outcome(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """``submit``, for coroutines; cancelling one leaves the run to the others."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(*args, **kwargs)))

    def _work(self, asked: object, *args: P.args, **kwargs: P.kwargs) -> T:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        with self._lock:
            del self._next[asked]
        try:
            return self._run(*args, **kwargs)
        finally:
            self._not_before = time.monotonic() + self._pause
