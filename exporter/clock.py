"""The time by AWS's clock, which event times and the API's time windows go by."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

_DRIFT: Final = 1e-4
"""Seconds a second that two clocks may drift apart; quartz clocks stay well below it."""
_SIGNED_WITHIN: Final = 900.0
"""How far AWS's clock and the machine's differ at most, seconds, if a signature was accepted.

AWS: 5 minutes; S3: 15.
"""


def elapsed() -> float:
    """Seconds since some point in the past, time asleep included; no clock setting changes it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """AWS's clock, learned from the ``Date`` headers of its answers; thread-safe.

    The machine's own clock may be wrong, and may be set while the exporter runs. Counts must
    not depend on it: once AWS has answered, the monotonic clock is used.

    ``wall`` gives the machine's time in seconds since the epoch, ``monotonic`` seconds from any
    point on.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = elapsed,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._learned_at = 0.0
        # AWS's clock less the monotonic one lies between these two.
        self._least = -math.inf
        self._most = math.inf

    @property
    def known(self) -> bool:
        """Whether AWS's time is known."""
        return self._least > -math.inf

    def now(self) -> float:
        """Seconds since the epoch: the machine's clock, kept within the bounds of AWS's."""
        monotonic = self._monotonic()
        with self._lock:
            return min(max(self._wall(), monotonic + self._least), monotonic + self._most)

    def earliest(self) -> float:
        """Seconds since the epoch that AWS's clock has reached for certain.

        A window that ends here ends no later than AWS's clock. The machine's time until AWS has
        answered.
        """
        with self._lock:
            if self._least > -math.inf:
                return self._monotonic() + self._least
        return self._wall()

    def sending(self) -> float:
        """A mark for ``learn``: taken before a request is sent."""
        return self._monotonic()

    def learn(self, date: str, sent: float, *, accepted: bool = True) -> None:
        """Take the ``Date`` header of an answer to a request that was sent at the mark ``sent``.

        ``accepted``: AWS accepted the signature, which depends on the machine's clock. HTTP: the
        header has whole seconds. An invalid date is ignored, and so is one
        that contradicts those before and that such a signature does not confirm.
        """
        try:
            second = parsedate_to_datetime(date).timestamp()
        except (ValueError, OverflowError):
            return
        with self._lock:
            received = self._monotonic()
            confirmed = accepted and abs(second - self._wall()) <= _SIGNED_WITHIN
            least, most = second - received, second + 1 - sent
            slack = (received - self._learned_at) * _DRIFT
            self._learned_at = received
            self._least, self._most = self._least - slack, self._most + slack
            if most < self._least or least > self._most:
                # One of the two clocks was set, or a proxy answered with its own.
                if confirmed:
                    self._least, self._most = least, most
            else:
                self._least = max(self._least, least)
                self._most = min(self._most, most)
