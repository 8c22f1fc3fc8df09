"""AWS's published request quotas, by account and region."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

from exporter.aws.bucket import Bucket, Needs, QuotaState, Ticket
from exporter.aws.uses import Use, current_use
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
        self.now = clock
        """Seconds."""
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._lock = threading.Lock()
        self._paid = threading.local()

    def bucket(self, operation: str, account_id: str, region: str) -> Bucket | None:
        """The tokens of a quota; None without a limit."""
        limit = self._limit(operation, region)
        if limit is None:
            return None
        with self._lock:
            name = (operation, account_id, region)
            if name not in self._buckets:
                self._buckets[name] = Bucket(limit, self.now)
            return self._buckets[name]

    def ticket(
        self, operation: str, account_id: str, region: str, use: Use, since: float | None = None
    ) -> Ticket | None:
        """A place in line for a call; None without a limit. ``since``: when it was due."""
        bucket = self.bucket(operation, account_id, region)
        if bucket is None:
            return None
        return Ticket(bucket, use, self.now() if since is None else since)

    def wait(self, operation: str, account_id: str, region: str, stop: threading.Event) -> None:
        """Wait until the operation may be called; a call that this thread has paid seldom waits.

        Raises SourceError with reason ``stopping`` as soon as ``stop`` is set.
        """
        bucket = self.bucket(operation, account_id, region)
        if getattr(self._paid, "call", None) == (operation, account_id, region):
            self._paid.call = None
        elif bucket is not None:
            _await(Ticket(bucket, current_use(), self.now()), stop)
        while bucket is not None and not stop.is_set() and (delay := bucket.send()):
            stop.wait(delay)
        if stop.is_set():
            raise stopping_error()

    def throttled(self, operation: str, account_id: str, region: str) -> None:
        """AWS throttled a call: make fewer for a while."""
        bucket = self.bucket(operation, account_id, region)
        if bucket is not None:
            bucket.throttled()

    def states(self) -> list[QuotaState]:
        """The quotas that are used."""
        with self._lock:
            buckets = list(self._buckets.items())
        return [bucket.state(*name) for name, bucket in buckets]

    @contextmanager
    def paid(self, operation: str, account_id: str, region: str) -> Iterator[Callable[[], bool]]:
        """A context in which this thread's next call of the operation has its token already.

        Its value returns whether the token is still left.
        """
        self._paid.call = (operation, account_id, region)
        try:
            yield lambda: self._paid.call is not None
        finally:
            self._paid.call = None


def _await(ticket: Ticket, stop: threading.Event) -> None:
    try:
        while not stop.is_set() and (delay := ticket.take()):
            stop.wait(delay)
    finally:
        ticket.leave()


@dataclass(frozen=True, slots=True)
class CallCost:
    """The quota that a call uses."""

    quotas: Quotas
    operation: str
    account_id: str
    region: str
    use: Callable[[], Use] = Use
    """Who makes the next call, and why."""
    elsewhere: Callable[[], bool] = lambda: False
    """Whether other threads make the call now; each takes its own token."""

    @property
    def seconds(self) -> float:
        """Seconds between two calls at the rate that is allowed now; 0 without a quota."""
        bucket = self._bucket
        return 0.0 if bucket is None else bucket.seconds(self.use().budget)

    @property
    def until(self) -> float:
        """See ``Use.until``; never, if that has passed."""
        until = self.use().until
        return until if until > self.quotas.now() else math.inf

    def rank(self, now: float) -> int:
        """See ``Use.rank``."""
        return self.use().rank(now)

    def ticket(self, since: float) -> Ticket | None:
        """See ``Quotas.ticket``; None if the call takes no token."""
        if self.elsewhere():
            return None
        place = (self.operation, self.account_id, self.region)
        return self.quotas.ticket(*place, self.use(), since)

    def paid(self) -> AbstractContextManager[Callable[[], bool]]:
        """See ``Quotas.paid``."""
        if self.elsewhere():
            return nullcontext(lambda: False)
        return self.quotas.paid(self.operation, self.account_id, self.region)

    def need(self, needs: Needs | None) -> None:
        """See ``Bucket.need``."""
        bucket = self._bucket
        if bucket is not None:
            bucket.need(self.use(), needs)

    @property
    def _bucket(self) -> Bucket | None:
        return self.quotas.bucket(self.operation, self.account_id, self.region)


def stopping_error() -> SourceError:
    """The error that ends waits, retries and calls when the exporter stops."""
    return SourceError("The exporter is stopping; reading continues later.", reason="stopping")
