"""AWS's published request rates, kept by everything that runs under one (account, region)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import cast

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
"""Milliseconds. A little more than AWS's second: requests do not travel equally fast, and two
that left a second apart may arrive closer together."""


def published_quota(operation: str, region: str) -> int | None:
    """Requests a second that AWS grants an account in a region; None: none is published."""
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
    """One budget per (account, region, operation); thread-safe.

    ``limit``: requests a second by operation and region, None: as many as anyone likes.
    """

    def __init__(self, limit: Callable[[str, str], int | None] = published_quota) -> None:
        self._limit = limit
        self._quotas: dict[tuple[str, str, str], _Quota] = {}
        self._lock = threading.Lock()
        self._paid = threading.local()

    def book(self, operation: str, account_id: str, region: str) -> float:
        """Take the right to call the operation once, and return in how many seconds it holds.

        Whoever books first calls first.
        """
        limit = self._limit(operation, region)
        if limit is None:
            return 0.0
        with self._lock:
            quota = self._quotas.setdefault((account_id, region, operation), _Quota(limit))
        return quota.book()

    def wait(self, operation: str, account_id: str, region: str, stop: threading.Event) -> None:
        """Wait until the operation may be called once more, unless this thread's call is paid for.

        Raises SourceError with reason ``stopping`` as soon as ``stop`` is set.
        """
        if getattr(self._paid, "call", None) == (operation, account_id, region):
            self._paid.call = None
        elif not stop.is_set():
            stop.wait(self.book(operation, account_id, region))
        if stop.is_set():
            raise stopping_error()

    @contextmanager
    def paid(self, operation: str, account_id: str, region: str) -> Iterator[None]:
        """A context in which this thread's next call of the operation has been booked."""
        self._paid.call = (operation, account_id, region)
        try:
            yield
        finally:
            self._paid.call = None


@dataclass(frozen=True, slots=True)
class CallCost:
    """What one call of an operation takes of its quota."""

    quotas: Quotas
    operation: str
    account_id: str
    region: str

    def book(self) -> float:
        """See ``Quotas.book``."""
        return self.quotas.book(self.operation, self.account_id, self.region)

    def paid(self) -> AbstractContextManager[None]:
        """See ``Quotas.paid``."""
        return self.quotas.paid(self.operation, self.account_id, self.region)


class _Quota:
    def __init__(self, limit: int) -> None:
        # The bucket without pyrate-limiter's Limiter, which can be neither interrupted while it
        # waits nor used without a clean-up thread of its own.
        self._bucket = InMemoryBucket([Rate(limit, _WINDOW)])
        self._lock = threading.Lock()
        self._last = 0

    def book(self) -> float:
        with self._lock:
            now = time.monotonic_ns() // 1_000_000
            self._bucket.leak(now)
            self._last = max(now, self._last)
            # A booking is an item of the bucket's future.
            while not self._bucket.put(item := RateItem("call", self._last)):
                # Typed for asynchronous buckets too; the one in memory answers at once.
                self._last += max(1, cast("int", self._bucket.waiting(item)))
            return (self._last - now) / 1000


def stopping_error() -> SourceError:
    """What ends a wait, a retry or a call that nobody needs any more."""
    return SourceError("The exporter is stopping; the reading goes on later.", reason="stopping")
