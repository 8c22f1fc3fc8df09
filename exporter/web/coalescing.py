"""Slow calls whose result is shared by concurrent callers."""

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
    """Runs a slow function in a separate thread, one run at a time; thread-safe.

    Each caller gets the outcome of a run that began after the call, so it is never stale. Callers
    with equal arguments share a run.
    """

    def __init__(self, run: Callable[P, T], *, pause: float = 0.0) -> None:
        """``pause``: seconds between two runs, which limits callers in a loop."""
        self._run = run
        self._pause = pause
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._next: dict[Any, Future[T]] = {}
        self._thread = ThreadPoolExecutor(1, "coalescing")

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Request a run with hashable arguments; the future is shared, so do not cancel it."""
        call = (args, *sorted(kwargs.items()))
        with self._lock:
            if call not in self._next:
                self._next[call] = self._thread.submit(self._work, call, *args, **kwargs)
            return self._next[call]

    async def outcome(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """``submit`` for coroutines; if one is cancelled, the run continues for the others."""
        return await asyncio.shield(asyncio.wrap_future(self.submit(*args, **kwargs)))

    def _work(self, call: object, *args: P.args, **kwargs: P.kwargs) -> T:
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        with self._lock:
            del self._next[call]
        try:
            return self._run(*args, **kwargs)
        finally:
            self._not_before = time.monotonic() + self._pause
