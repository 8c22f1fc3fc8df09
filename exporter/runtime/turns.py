"""Work that needs the interpreter all the time, one thread after the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that threads get in the order in which they asked; thread-safe.

    Two threads that compute at once are no faster than one, since only one has the interpreter,
    but the web server then waits for both of them. ``threading.Lock`` is not fair: a thread that
    releases it and wants it again gets it first.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it in the context; make it short."""
        called = threading.Lock()
        with self._lock:
            if self._taken:
                called.acquire()
                self._waiting.append(called)
            self._taken = True
        with called:  # released by who had the turn before
            try:
                yield
            finally:
                with self._lock:
                    if self._waiting:
                        self._waiting.popleft().release()
                    else:
                        self._taken = False
