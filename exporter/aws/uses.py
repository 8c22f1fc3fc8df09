"""Who makes a request to AWS, and why: its place in line for a quota, and its metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, TypeVar

Reason: TypeAlias = Literal["fresh", "reread", "backlog", "backfill", "discovery"]
"""``fresh``: events that were not read yet. ``reread``: the past again, for late events.
``backlog``: what a stop or an outage has left. ``backfill``: the past for a new rule.
``discovery``: which partitions there are."""

_RANKS: Final[dict[Reason, int]] = {
    "fresh": 0,
    "discovery": 0,
    "reread": 2,
    "backlog": 3,
    "backfill": 3,
}
_FURTHER: Final = 1
"""The highest rank of calls that follow another one: first calls of all partitions come before."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Use:
    """Who makes a request, and why."""

    source: str = ""
    """Empty for the exporter itself."""
    partition: str = ""
    """Its key; empty if it concerns none."""
    reason: Reason = "fresh"
    budget: float = 1.0
    """Share of each quota that the source may use."""
    until: float = math.inf
    """When fresh events are due, for which it waits no longer: seconds of the quotas' clock."""
    is_further: bool = False
    """Whether it follows another call for the same events."""

    def rank(self, now: float) -> int:
        """Lower ranks are served first."""
        rank = 0 if now >= self.until else _RANKS[self.reason]
        return max(rank, _FURTHER) if self.is_further else rank

    def following(self) -> Use:
        """The use of the calls that follow for the same events."""
        return replace(self, is_further=True)


_CURRENT: ContextVar[Use | None] = ContextVar("_CURRENT", default=None)
_NOBODY: Final = Use()


def current_use() -> Use:
    """The use of requests that this thread makes now."""
    return _CURRENT.get() or _NOBODY


@contextmanager
def using(use: Use) -> Iterator[None]:
    """A context in which this thread's requests have a use."""
    token = _CURRENT.set(use)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def used_by(use: Use, items: Iterator[T]) -> Iterator[T]:
    """The items, each made in the context of a use, whichever thread asks.

    Those after the first have the use that follows.
    """
    while True:
        with using(use):
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
        del item  # a page has up to 2 MB
        use = use.following()
