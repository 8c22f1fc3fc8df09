"""AWS's request quotas, each per account and region, as token buckets."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from metric_filter_demo.protocol import ApiError, Request

# AWS: "The rate of lookup requests is limited to two per second, per account, per Region." The
# others: CloudWatch Logs service quotas.
_REQUESTS_PER_SECOND = {
    "LookupEvents": 2.0,
    "FilterLogEvents": 10.0,
    "DescribeLogGroups": 10.0,
    "TestMetricFilter": 5.0,
}
# Regions that are not named have the general rate.
_FILTER_LOG_EVENTS = {
    "us-east-1": 25.0,
    "ap-northeast-3": 5.0,
    "ap-southeast-3": 5.0,
    "ca-west-1": 5.0,
    "eu-central-1": 5.0,
    "il-central-1": 5.0,
}


class Quotas:
    """Refuses calls that come faster than AWS lets them.

    ``rates`` replaces AWS's rate of an operation in every region (requests per second,
    ``math.inf``: no quota). A bucket has one second's worth of requests. Thread-safe.
    """

    def __init__(self, rates: Mapping[str, float] | None = None) -> None:
        self._rates = dict(rates or {})
        self._buckets: dict[tuple[str, str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def rate(self, operation: str, region: str) -> float | None:
        """Requests per second; None if the operation has no quota here."""
        if operation in self._rates:
            return self._rates[operation]
        if operation == "FilterLogEvents" and region in _FILTER_LOG_EVENTS:
            return _FILTER_LOG_EVENTS[region]
        return _REQUESTS_PER_SECOND.get(operation)

    def take(self, request: Request) -> None:
        """Spend one request; raises ApiError (ThrottlingException) if the bucket is empty."""
        rate = self.rate(request.operation, request.region)
        if rate is None or rate == float("inf"):
            return
        key = (request.operation, request.account, request.region)
        with self._lock:
            now = time.monotonic()
            tokens, since = self._buckets.get(key, (rate, now))
            tokens = min(rate, tokens + (now - since) * rate)
            allowed = tokens >= 1
            self._buckets[key] = (tokens - 1 if allowed else tokens, now)
        if not allowed:
            raise ApiError("ThrottlingException", "Rate exceeded")
