"""AWS's published request rates, kept by everything that runs under one (account, region)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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

    def wait(self, operation: str, account_id: str, region: str, stop: threading.Event) -> None:
        """Wait until the operation may be called once more.

        Raises SourceError with reason ``stopping`` as soon as ``stop`` is set.
        """
        if stop.is_set():
            raise stopping_error()
        limit = self._limit(operation, region)
        if limit is None:
            return
        with self._lock:
            quota = self._quotas.setdefault((account_id, region, operation), _Quota(limit))
        quota.wait(stop)


class _Quota:
    def __init__(self, limit: int) -> None:
        # The bucket without pyrate-limiter's Limiter, which can be neither interrupted while it
        # waits nor used without a clean-up thread of its own.
        self._bucket = InMemoryBucket([Rate(limit, _WINDOW)])
        self._turn = threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        # Whoever waits holds the turn: the others queue behind it, nobody is overtaken for long.
        with self._turn:
            while not stop.is_set():
                now = time.monotonic_ns() // 1_000_000
                self._bucket.leak(now)
                item = RateItem("call", now)
                if self._bucket.put(item):
                    return
                # Typed for asynchronous buckets too; the one in memory answers at once.
                delay = cast("int", self._bucket.waiting(item))
                stop.wait(max(delay, 1) / 1000)
        raise stopping_error()


def stopping_error() -> SourceError:
    """What ends a wait, a retry or a call that nobody needs any more."""
    return SourceError("The exporter is stopping; the reading goes on later.", reason="stopping")
