"""AWS's published request quotas, by account and region."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Final, cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from exporter.model import SourceError

# AWS: "The rate of lookup requests is limited to two per second, per account, per Region."
_LOOKUP_EVENTS = 2
# AWS: CloudWatch Logs quotas, requests per second per account and region.
_DESCRIBE_LOG_GROUPS = 10
_TEST_METRIC_FILTER = 5
_FILTER_LOG_EVENTS = 10
_FILTER_LOG_EVENTS_BY_REGION = {
    "us-east-1": 25,
    "ap-northeast-3": 5,
    "ap-southeast-3": 5,
    "ca-west-1": 5,
    "eu-central-1": 5,
    "il-central-1": 5,
}

_WINDOW = 1050
"""Milliseconds. A little more than a second, because requests that are sent a second apart may
arrive closer together."""

_FEWER: Final = 0.8
"""What is left of a quota if AWS throttles: other tools use it too, or the account has less."""
_THROTTLES_APART: Final = 1000
"""Milliseconds within which further throttles have the same cause."""
_CALM: Final = 15_000
"""Milliseconds without a throttle after which a call a second more is tried."""
_MOST_CALM: Final = 32 * _CALM
"""The calm doubles up to this each time that one more was too many."""


def published_quota(operation: str, region: str) -> int | None:
    """Requests a second for an account in a region, if AWS publishes a quota."""
    match operation:
        case "LookupEvents":
            return _LOOKUP_EVENTS
        case "DescribeLogGroups":
            return _DESCRIBE_LOG_GROUPS
        case "TestMetricFilter":
            return _TEST_METRIC_FILTER
        case "FilterLogEvents":
            return _FILTER_LOG_EVENTS_BY_REGION.get(region, _FILTER_LOG_EVENTS)
        case _:
            return None


class Quotas:
    """A quota for each (account, region, operation); thread-safe.

    ``limit`` returns requests a second for an operation and region, or None for no limit.
    ``clock`` returns seconds and never goes back.
    """

    def __init__(
        self,
        limit: Callable[[str, str], int | None] = published_quota,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._quotas: dict[tuple[str, str, str], _Quota] = {}
        self._lock = threading.Lock()
        self._paid = threading.local()

    def book(self, operation: str, account_id: str, region: str) -> float:
        """Book a call of the operation; return the seconds until it may be made.

        Calls are made in the order of their bookings.
        """
        quota = self._quota(operation, account_id, region)
        return 0.0 if quota is None else quota.book()

    def wait(self, operation: str, account_id: str, region: str, stop: threading.Event) -> None:
        """Wait until the operation may be called; a call that this thread has booked seldom waits.

        A booked call can be late, if its thread was, and then meets those of the next second.

        Raises SourceError with reason ``stopping`` as soon as ``stop`` is set.
        """
        quota = self._quota(operation, account_id, region)
        if getattr(self._paid, "call", None) == (operation, account_id, region):
            self._paid.call = None
        elif quota is not None and not stop.is_set():
            stop.wait(quota.book())
        while quota is not None and not stop.is_set() and (delay := quota.send()):
            stop.wait(delay)
        if stop.is_set():
            raise stopping_error()

    def seconds(self, operation: str, account_id: str, region: str) -> float:
        """Seconds between two calls at the rate that is allowed now; 0 without a quota."""
        quota = self._quota(operation, account_id, region)
        return 0.0 if quota is None else quota.seconds

    def throttled(self, operation: str, account_id: str, region: str) -> None:
        """AWS throttled a call: make fewer for a while."""
        quota = self._quota(operation, account_id, region)
        if quota is not None:
            quota.throttled()

    @contextmanager
    def paid(self, operation: str, account_id: str, region: str) -> Iterator[None]:
        """A context in which this thread's next call of the operation is booked already."""
        self._paid.call = (operation, account_id, region)
        try:
            yield
        finally:
            self._paid.call = None

    def _quota(self, operation: str, account_id: str, region: str) -> _Quota | None:
        limit = self._limit(operation, region)
        if limit is None:
            return None
        with self._lock:
            return self._quotas.setdefault((account_id, region, operation), _Quota(limit, self._clock))


@dataclass(frozen=True, slots=True)
class CallCost:
    """The quota that a call uses."""

    quotas: Quotas
    operation: str
    account_id: str
    region: str
    elsewhere: Callable[[], bool] = lambda: False
    """Whether other threads make the call now; each books its own."""

    @property
    def seconds(self) -> float:
        """See ``Quotas.seconds``."""
        return self.quotas.seconds(self.operation, self.account_id, self.region)

    def book(self) -> float:
        """See ``Quotas.book``."""
        if self.elsewhere():
            return 0.0
        return self.quotas.book(self.operation, self.account_id, self.region)

    def paid(self) -> AbstractContextManager[None]:
        """See ``Quotas.paid``."""
        if self.elsewhere():
            return nullcontext()
        return self.quotas.paid(self.operation, self.account_id, self.region)


class _Quota:
    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        # pyrate-limiter's Limiter cannot be interrupted while it waits, and starts a thread.
        self._booked = InMemoryBucket([Rate(limit, _WINDOW)])
        self._sent = InMemoryBucket([Rate(limit, _WINDOW)])
        self._lock = threading.Lock()
        self._last = 0
        self._most = self._limit = limit
        self._changed = 0
        self._calm, self._raised = _CALM, False

    @property
    def seconds(self) -> float:
        return _WINDOW / self._limit / 1000

    def throttled(self) -> None:
        with self._lock:
            now = self._now()
            lowered = self._limit < self._most and not self._raised
            if lowered and now < self._changed + _THROTTLES_APART:
                return
            fewer = self._limit - 1 if self._raised else round(self._limit * _FEWER)
            self._calm = min(2 * self._calm, _MOST_CALM) if self._raised else _CALM
            self._raised = False
            self._set(max(1, min(self._limit - 1, fewer)), now)

    def _raise(self, now: int) -> None:
        """Try one more after a calm; the one before was not too many if it was raised before."""
        if self._limit < self._most and now >= self._changed + self._calm:
            self._calm = max(_CALM, self._calm // 2) if self._raised else self._calm
            self._raised = True
            self._set(self._limit + 1, now)

    def _set(self, limit: int, now: int) -> None:
        self._limit, self._changed = limit, now
        for bucket in (self._booked, self._sent):
            bucket.rates = [Rate(limit, _WINDOW)]

    def book(self) -> float:
        with self._lock:
            now = self._now()
            self._raise(now)
            self._booked.leak(now)
            self._last = max(now, self._last)
            # A booking is an item with a time in the future.
            while delay := _put(self._booked, self._last):
                self._last += delay
            return (self._last - now) / 1000

    def send(self) -> float:
        """Make a call now and return 0, or return the seconds until it may be made."""
        with self._lock:
            now = self._now()
            self._sent.leak(now)
            return _put(self._sent, now) / 1000

    def _now(self) -> int:
        """Milliseconds."""
        return math.floor(self._clock() * 1000)


def _put(bucket: InMemoryBucket, at: int) -> int:
    """Put an item at a time into a bucket, or return the milliseconds until there is room."""
    item = RateItem("call", at)
    # The type includes asynchronous buckets.
    return 0 if bucket.put(item) else max(1, cast("int", bucket.waiting(item)))


def stopping_error() -> SourceError:
    """The error that ends waits, retries and calls when the exporter stops."""
    return SourceError("The exporter is stopping; reading continues later.", reason="stopping")
