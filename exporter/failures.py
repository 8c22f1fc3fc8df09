"""Log lines of what is tried again and again: told once, summed up while it lasts."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any, Final

import structlog

_log = structlog.get_logger(__name__)

TELL_EVERY: Final = 600.0
"""Seconds between two lines about a failure that lasts."""

_MOST_TOLD: Final = 5
"""Different errors that are told in that time; a message may hold what differs each time."""


class Failures:
    """The failures of one thing in a row, and what is logged of them; thread-safe.

    A line when it begins, one for each error that is another, one each ten minutes while it lasts,
    and one when it is over that says how long it was and how often it failed.
    """

    def __init__(
        self, what: str, *, clock: Callable[[], float] = time.monotonic, **facts: str
    ) -> None:
        """``what`` begins each message ("poll"), ``facts`` stand in each line.

        ``clock`` gives seconds from any point on.
        """
        self._what = what
        self._facts = facts
        self._clock = clock
        self._lock = threading.Lock()
        self._count = 0
        self._since = 0.0
        self._told_at = 0.0
        self._told: set[str] = set()

    def failed(self, error: Exception) -> None:
        """It failed once more. Of an internal error, the frames are logged with it."""
        with self._lock:
            now = self._clock()
            if not self._count:
                self._since = self._told_at = now
                self._told.clear()
            self._count += 1
            due = now - self._told_at >= TELL_EVERY
            if due:
                self._told_at = now
                self._told.clear()
            elif str(error) in self._told or len(self._told) >= _MOST_TOLD:
                return
            self._told.add(str(error))
            more = self._summary(now) if due else {}
        _log.warning(
            f"{self._what} still fails" if due else f"{self._what} failed",
            **self._facts,
            error=str(error),
            **more,
            **_trace(error),
        )

    def succeeded(self) -> None:
        """It went well; nothing is said of what had not failed."""
        with self._lock:
            if not self._count:
                return
            summary = self._summary(self._clock())
            self._count = 0
        _log.info(f"{self._what} succeeds again", **self._facts, **summary)

    def _summary(self, now: float) -> dict[str, Any]:
        return {"failures": self._count, "lasting": f"{round(now - self._since)}s"}


def _trace(error: Exception) -> dict[str, str]:
    """The frames of what caused an error; not its message, which may hold a part of a log event."""
    cause = error.__cause__ if getattr(error, "reason", "") == "internal" else None
    if cause is None:
        return {}
    return {"frames": "".join(traceback.format_tb(cause.__traceback__))}
