"""Calls in a row that become one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Coalescing(Generic[T]):
    """Runs something slow once for all who ask while it is busy; thread-safe.

    Each caller gets the outcome of a run that began after the call, so what had changed before the
    call is in it. However many call, one run is under way and one is to follow.
    """

    def __init__(self, run: Callable[[], T], *, pause: float = 0.0) -> None:
        """``run`` is called in a thread of its own, never twice at a time.

        ``pause``: seconds between the end of a run and the begin of the next, so that callers in a
        loop leave time for other work.
        """
        self._run = run
        self._pause = pause
        self._lock = threading.Lock()
        self._next: Future[T] | None = None
        self._working = False

    def submit(self) -> Future[T]:
        """Ask for a run; the future holds what ``run`` returns or raises.

        It is shared with other callers: do not cancel it.
        """
        with self._lock:
            if self._next is None:
                self._next = Future()
            if not self._working:
                self._working = True
                threading.Thread(target=self._work, name="coalescing", daemon=True).start()
            return self._next

    async def outcome(self) -> T:
        """``submit``, for coroutines; one that is cancelled leaves the run to the others."""
        return await asyncio.shield(asyncio.wrap_future(self.submit()))

    def _work(self) -> None:
        while (asked := self._take()) is not None:
            try:
                outcome = self._run()
            except BaseException as error:
                asked.set_exception(error)
            else:
                asked.set_result(outcome)
            time.sleep(self._pause)

    def _take(self) -> Future[T] | None:
        with self._lock:
            asked, self._next = self._next, None
            self._working = asked is not None
            return asked
