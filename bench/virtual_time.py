"""A clock that jumps to the next moment at which anything happens, and the threads that wait by it.

The exporter's own scheduler, quotas and sources run on it unchanged: an hour takes seconds. One
thread runs at a time, so a run with the same seed is the same run.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any


class VirtualTime(Executor):
    """Seconds since the epoch, also as a monotonic clock, and the pool of a ``Scheduler``."""

    def __init__(self, now: float) -> None:
        self.now = now
        self._ready: deque[Callable[[], object]] = deque()
        self._asleep: list[tuple[float, int, threading.Semaphore]] = []
        self._numbers = itertools.count()
        self._control = threading.Semaphore(0)
        """Released by the thread that ran, once it waits or has ended."""
        self._due: Callable[[], float | None] = lambda: None
        self._until = now

    def __call__(self) -> float:
        """The time."""
        return self.now

    def submit(self, call: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Make a call at the present time, in a thread. The future is never done."""
        self._ready.append(partial(call, *args, **named))
        return Future()

    def sleep(self, seconds: float) -> None:
        """Let the calling thread wait; only for calls that were submitted."""
        moment = self.now + seconds
        if moment < self._next() and not self._ready:  # nothing else happens until then
            self.now = moment
            return
        wakes = threading.Semaphore(0)
        heapq.heappush(self._asleep, (moment, next(self._numbers), wakes))
        self._control.release()
        wakes.acquire()

    def run(self, until: float, due: Callable[[], float | None]) -> None:
        """Let everything happen up to a moment.

        ``due`` submits what is due and returns in how many seconds more will be, or None, as
        ``Scheduler.run_due`` does.
        """
        self._due, self._until = due, until
        while True:
            moment = self._next()
            if self._ready:
                threading.Thread(target=self._make, args=(self._ready.popleft(),)).start()
                self._control.acquire()
                continue
            if moment >= until:
                self.now = until
                return
            self.now = max(self.now, moment)
            if self._asleep and self._asleep[0][0] <= self.now:
                heapq.heappop(self._asleep)[2].release()
                self._control.acquire()

    def _next(self) -> float:
        """When anything happens next; what is due now becomes ready."""
        wait = self._due()
        moments = [self._until, *(one[0] for one in self._asleep[:1])]
        return min(moments) if wait is None else min(*moments, self.now + max(0.0, wait))

    def _make(self, call: Callable[[], object]) -> None:
        try:
            call()
        finally:
            self._control.release()


class VirtualStop(threading.Event):
    """The event that ends waits, which is never set: ``wait`` takes virtual time."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def wait(self, timeout: float | None = None) -> bool:
        """Wait so many seconds."""
        if timeout is None:
            raise RuntimeError("nothing would end this wait")
        self._time.sleep(timeout)
        return False
