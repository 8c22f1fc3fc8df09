"""The tokens of one quota, and who gets the next."""

from __future__ import annotations

import math
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pyrate_limiter import InMemoryBucket, Rate, RateItem

from exporter.aws.uses import Use

_WINDOW: Final = 1050
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

_OF: Final = 10
"""Tokens that ``_LEAST`` is a part of."""
_LEAST: Final = {1: 3, 2: 2, 3: 1}
"""Tokens by rank that those who wait get at least, though others are served first."""

_MOST_GONE: Final = 1000
"""Partitions without known needs whose last token is remembered."""
_USED_OVER: Final = 60_000
"""Milliseconds over which the used share is a mean."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Requests a second that a partition's reads take."""

    all_reads: float
    fewest_reads: float
    """With as many re-reads left out as possible."""


@dataclass(frozen=True, slots=True)
class QuotaState:
    """A quota and its use."""

    operation: str
    account_id: str
    region: str
    limit: float
    """Requests a second that the exporter may make now."""
    used: float
    """Share of the limit in the last minute."""
    needed: float
    """Share of the limit that all scheduled reads take; above 1, re-reads are left out."""
    fewest: float
    """Share of the limit that the fewest reads take; above 1, all partitions are read later."""
    sources: tuple[str, ...]
    """Those that read by it."""
    has_budget: bool
    """Whether one of them may not use all of it."""


class Ticket:
    """A place in line for a token."""

    __slots__ = ("_bucket", "item", "since", "use")

    def __init__(self, bucket: Bucket, use: Use, since: float) -> None:
        """``since``: when the request was due, seconds of the bucket's clock."""
        self._bucket = bucket
        self.use = use
        self.since = since
        self.item: RateItem | None = None
        """The token, once it has one."""

    def take(self) -> float:
        """Take a token and return 0, or return the seconds until it is worth asking again."""
        return self._bucket.take(self)

    def leave(self) -> None:
        """Give up the place in line."""
        self._bucket.leave(self)


class Bucket:
    """The tokens of a quota: as many as its limit in any window of a second; thread-safe.

    Tokens go to the first call for a partition's fresh events, then to further calls for them, then
    to re-reads, then to the rest. While they wait, further calls get at least three of ten tokens,
    re-reads two and the rest one. Of those with the same rank, the partition comes first that has
    waited longest since its last token, so all get the same number if none has enough.
    """

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._given = InMemoryBucket([Rate(limit, _WINDOW)])
        self._sent = InMemoryBucket([Rate(limit, _WINDOW)])
        self._budgets: dict[tuple[str, float], InMemoryBucket] = {}
        """By source and share, if that is not all."""
        self._waiting: list[Ticket] = []
        self._served: dict[tuple[str, str], dict[int, int]] = {}
        """When a partition got its last token of each rank, milliseconds."""
        self._next = self._short_until = 0
        """When the next token comes, milliseconds, and until when they come one at a time."""
        self._owed = dict.fromkeys(_LEAST, 0)
        self._needs: dict[tuple[str, str], tuple[Use, Needs]] = {}
        self._lock = threading.Lock()
        self._most = self._limit = limit
        self._changed = 0
        self._calm, self._raised = _CALM, False
        self._used, self._used_at = 0.0, 0

    def take(self, ticket: Ticket) -> float:
        """See ``Ticket.take``."""
        with self._lock:
            now = self._now()
            self._raise(now)
            if ticket.item is None:
                if ticket not in self._waiting:
                    self._waiting.append(ticket)
                self._give(now)
            if ticket.item is not None:
                ticket.item = None
                return 0.0
            at = self._worth_asking(ticket, now)
            self._short_until = max(self._short_until, at + _WINDOW)
            return max(1, at - now) / 1000

    def leave(self, ticket: Ticket) -> None:
        """See ``Ticket.leave``. A token that was not taken goes to another one."""
        with self._lock:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
            item, ticket.item = ticket.item, None
            for bucket in (self._given, self._budget(ticket.use)):
                if item is not None and bucket is not None and item in bucket.items:
                    bucket.items.remove(item)

    def send(self) -> float:
        """Make a call now and return 0, or return the seconds until it may be made.

        A call can be late for its token, and then meets those of the next second.
        """
        with self._lock:
            now = self._now()
            if _room(self._sent, now):
                self._sent.put(RateItem("call", now))
                return 0.0
            return max(1, _free_at(self._sent, 0, now) - now) / 1000

    def seconds(self, budget: float) -> float:
        """Seconds between two calls at the rate that is allowed now."""
        return _WINDOW / (self._limit * budget) / 1000

    def need(self, use: Use, needs: Needs | None) -> None:
        """What a partition needs from now on; None if it is gone."""
        name = (use.source, use.partition)
        with self._lock:
            if needs is None:
                self._needs.pop(name, None)
                self._served.pop(name, None)
            else:
                self._needs[name] = use, needs

    def state(self, operation: str, account_id: str, region: str) -> QuotaState:
        """The quota as it is now; its name is given."""
        with self._lock:
            self._fade(self._now())
            budgets = {use.source: use.budget for use, _ in self._needs.values()}
            limit = self._limit * (min(1.0, sum(budgets.values())) if budgets else 1.0)
            # By source and in all: the share of its part of the quota that each needs.
            parts = {source: self._limit * budget for source, budget in budgets.items()}
            needed, fewest = dict.fromkeys([*parts, ""], 0.0), dict.fromkeys([*parts, ""], 0.0)
            for use, needs in self._needs.values():
                for name, part in ((use.source, parts[use.source]), ("", limit)):
                    needed[name] += needs.all_reads * _WINDOW / part / 1000
                    fewest[name] += needs.fewest_reads * _WINDOW / part / 1000
            return QuotaState(
                operation,
                account_id,
                region,
                limit=limit,
                used=self._used * _WINDOW / limit / 1000,
                needed=max(needed.values()),
                fewest=max(fewest.values()),
                sources=tuple(sorted(budgets)),
                has_budget=any(budget < 1 for budget in budgets.values()),
            )

    def throttled(self) -> None:
        """AWS has throttled a call."""
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
        for bucket in (self._given, self._sent):
            bucket.rates = [Rate(limit, _WINDOW)]
        for (_, share), bucket in self._budgets.items():
            bucket.rates = [_rate(limit * share)]

    def _budget(self, use: Use) -> InMemoryBucket | None:
        if use.budget >= 1:
            return None
        name = (use.source, use.budget)
        if name not in self._budgets:
            # A reload may have changed it.
            for old in [one for one in self._budgets if one[0] == use.source]:
                del self._budgets[old]
            self._budgets[name] = InMemoryBucket([_rate(self._limit * use.budget)])
        return self._budgets[name]

    def _give(self, now: int) -> None:
        """Give tokens to those who wait, while there are any."""
        while self._waiting and _room(self._given, now) and self._in_pace(now):
            allowed = [one for one in self._waiting if self._is_allowed(one, now)]
            if not allowed:
                return
            seconds = now / 1000
            rank = self._rank({one.use.rank(seconds) for one in allowed})
            first = (one for one in allowed if one.use.rank(seconds) == rank)
            chosen = min(first, key=partial(self._order, rank))
            chosen.item = RateItem("call", now)
            self._given.put(chosen.item)
            budget = self._budget(chosen.use)
            if budget is not None:
                budget.put(chosen.item)
            self._waiting.remove(chosen)
            self._next = max(self._next, now - self._pace) + self._pace
            self._note_served(chosen.use, rank, now)
            self._fade(now)
            self._used += 1000 / _USED_OVER

    @property
    def _pace(self) -> int:
        """Milliseconds from one token to the next."""
        return _WINDOW // self._limit

    def _in_pace(self, now: int) -> bool:
        """Whether a token may be given now. Tokens come one at a time if some have waited.

        The first to ask would get all those of a second otherwise.
        """
        return now >= min(self._next, self._short_until)

    def _note_served(self, use: Use, rank: int, now: int) -> None:
        self._served.setdefault((use.source, use.partition), {})[rank] = now
        if len(self._served) > len(self._needs) + _MOST_GONE:
            self._served = {name: at for name, at in self._served.items() if name in self._needs}

    def _is_allowed(self, ticket: Ticket, now: int) -> bool:
        budget = self._budget(ticket.use)
        return budget is None or _room(budget, now)

    def _rank(self, ranks: set[int]) -> int:
        """The rank that is served next, of those that wait."""
        for rank, least in _LEAST.items():
            self._owed[rank] = min(2 * _OF, self._owed[rank] + least)
        chosen = next(
            (one for one in _LEAST if one in ranks and self._owed[one] >= _OF), min(ranks)
        )
        if chosen in self._owed:
            self._owed[chosen] = max(0, self._owed[chosen] - _OF)
        return chosen

    def _order(self, rank: int, ticket: Ticket) -> tuple[float, float]:
        served = self._served.get((ticket.use.source, ticket.use.partition), {})
        return served.get(rank, -math.inf), ticket.since

    def _worth_asking(self, ticket: Ticket, now: int) -> int:
        """When it may be its turn, if those before it take their tokens at once; milliseconds.

        A partition that gets a token is behind all others then, so it counts once.
        """
        use, rank = ticket.use, ticket.use.rank(now / 1000)
        order = self._order(rank, ticket)
        before = {
            (one.use.source, one.use.partition, one if _same_partition(one.use, use) else None): one
            for one in self._waiting
            if one.use.rank(now / 1000) == rank and self._order(rank, one) < order
        }
        sources = Counter((one.use.source, one.use.budget) for one in before.values())
        taken = sum(min(number, self._left(name, now)) for name, number in sources.items())
        at = _free_at(self._given, taken, now)
        if self._short_until > now:
            at = max(at, self._next + taken * self._pace)
        budget = self._budget(use)
        if budget is not None:
            at = max(at, _free_at(budget, sources[use.source, use.budget], now))
        return at

    def _left(self, name: tuple[str, float], now: int) -> int:
        """Tokens that a source may take at once by its budget: the others wait for none more."""
        bucket = self._budgets.get(name)
        if bucket is None:
            return sys.maxsize
        bucket.leak(now)
        return max(0, int(bucket.rates[0].limit) - bucket.count())

    def _fade(self, now: int) -> None:
        self._used *= math.exp((self._used_at - now) / _USED_OVER)
        self._used_at = now

    def _now(self) -> int:
        """Milliseconds."""
        return math.floor(self._clock() * 1000)


def _same_partition(one: Use, other: Use) -> bool:
    return (one.source, one.partition) == (other.source, other.partition)


def _rate(limit: float) -> Rate:
    """A limit that is not whole, in a longer window."""
    tokens = max(1, math.floor(limit))
    return Rate(tokens, math.ceil(_WINDOW * tokens / limit))


def _room(bucket: InMemoryBucket, now: int) -> bool:
    bucket.leak(now)
    return bucket.count() < bucket.rates[0].limit


def _free_at(bucket: InMemoryBucket, before: int, now: int) -> int:
    """When there is a token after so many others, milliseconds, if those take theirs at once."""
    (rate,) = bucket.rates
    limit, length = int(rate.limit), bucket.count()
    laps, index = divmod(before, limit)
    index += length - limit
    first = now if index < 0 else bucket.items[index].timestamp + int(rate.interval) + 1
    return first + laps * int(rate.interval)
