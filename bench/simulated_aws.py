"""An AWS in this process, on virtual time, behind the exporter's own quotas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bench.virtual_time import VirtualStop, VirtualTime
from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.quotas import Quotas, published_quota
from exporter.clock import Clock

Pages = Callable[[Mapping[str, Any]], Iterator[tuple[Sequence[object], bool]]]
"""The pages of an operation's answer, for its parameters, and whether another one follows."""

_LATENCY = 0.25
"""Seconds of a call."""
_TRY_AGAIN_AFTER = 1.0


class SimulatedAccount(AwsAccounts):
    """One account. Its calls take tokens, time and AWS's quota, and no network."""

    def __init__(
        self, time: VirtualTime, account: str, region: str, operations: Mapping[str, Pages]
    ) -> None:
        self._time = time
        self._account, self._region = account, region
        self._operations = operations
        self._stop = VirtualStop(time)
        self.shared = Quotas(clock=time)
        self._left: dict[str, tuple[float, float]] = {}
        """Tokens of AWS's own buckets, and since when."""
        self.calls: Counter[str] = Counter()
        self.throttled: list[float] = []
        """The times of calls that AWS refused."""
        super().__init__(quotas=self.shared, clock=Clock(time, time), stop=self._stop)

    def regions(self, regions: Sequence[str]) -> Sequence[str]:
        """The regions, by default its own."""
        return regions or (self._region,)

    def identify(self, regions: Sequence[str]) -> str:  # noqa: ARG002
        """Its id."""
        return self._account

    def pages(self, call: Call, parameters: Mapping[str, object]) -> Iterator[Sequence[object]]:
        """See AwsAccounts: each page is a call."""
        pages = self._operations[call.operation](parameters)
        follows = True
        while follows:
            self.shared.wait(call.operation, call.account_id, call.region, self._stop)
            self._time.sleep(_LATENCY / 2)
            if self._admitted(call):
                self.calls[call.operation] += 1
                records, follows = next(pages)
                self._time.sleep(_LATENCY / 2)
                yield records
            else:
                self.throttled.append(self._time())
                self.shared.throttled(call.operation, call.account_id, call.region)
                self._time.sleep(_TRY_AGAIN_AFTER)

    def _admitted(self, call: Call) -> bool:
        rate = published_quota(call.operation, call.region)
        if rate is None:
            return True
        now = self._time()
        tokens, since = self._left.get(call.operation, (rate, now))
        tokens = min(rate, tokens + (now - since) * rate)
        self._left[call.operation] = tokens - (tokens >= 1), now
        return tokens >= 1
