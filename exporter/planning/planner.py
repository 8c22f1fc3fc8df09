"""Chooses how a partition is read, by the measured costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from exporter.planning.plan import READ_EVERYTHING, Plan, PlanKind, Request

_KEPT: Final = 0.7
"""Share of the measured values that a poll keeps of those before."""
_BETTER: Final = 0.8
"""Another plan must cost less than this share of the plan in use."""
_SURE: Final = 3
"""Polls in a row in which it must."""
_MOST_SURE: Final = 96
"""The number doubles up to this each time that the plan changes back."""
_PROBE_EVERY: Final = 30
"""Polls after which a page of the first plan is read, while it is not in use."""
_GUESSED: Final = 0.1
"""Share of the first plan's log events that another request returns, before a sample says it."""
_SETTLED: Final = 10 * _PROBE_EVERY
"""Polls after which a change is not taken for one back and forth."""

Sampled = Callable[[Request], float]
"""Returns the share of a sample of log events that a request would have returned."""


@dataclass(slots=True)
class _Measured:
    """Faded sums of past reads."""

    pages: float = 0.0
    events: float = 0.0
    length: float = 0.0
    """Milliseconds of event time."""

    def faded(self) -> _Measured:
        return _Measured(self.pages * _KEPT, self.events * _KEPT, self.length * _KEPT)


class Planner:
    """The plans of one partition, and their costs as far as they are known.

    The first of several plans has one request. It returns about all that the requests of the others
    do, so while it is in use, a sample of its events shows how much they would return. While
    another is in use, a page of the first is read from time to time.
    """

    def __init__(self) -> None:
        self.plan: Plan = READ_EVERYTHING
        """The one in use."""
        self.probe: Request | None = None
        """This poll reads one page of this request in addition, to know its cost."""
        self._plans: Sequence[Plan] = ()
        self._measured: dict[Request, _Measured] = {}
        self._refused: set[Request] = set()
        self._sure, self._over = _SURE, 0
        self._before: PlanKind | None = None
        """The plan that was in use before the last change."""
        self._compared = ""
        """The calls that this change was expected to save, as text."""
        self._age = self._unprobed = 0
        """Polls since the plan changed, and since the first plan was read."""

    def begin(self, plans: Sequence[Plan], cost: Callable[[float], float]) -> Plan:
        """Choose the plan of a poll.

        Args:
            plans: the first has one request, and returns about all that the others do.
            cost: the calls of an interval for a number of pages in a millisecond.
        """
        plans = self._allowed(plans)
        used = next((n for n, one in enumerate(plans) if one.requests == self.plan.requests), None)
        costs = [self._cost(plan, plans[0], cost) for plan in plans]
        best = min(range(len(plans)), key=costs.__getitem__)
        self._age += 1
        if not self._plans or used is None:
            # The rules have changed, or nothing is known yet.
            used, self._over, self._age, self._compared = best, 0, 0, ""
        elif costs[best] < _BETTER * costs[used]:
            self._over += 1
            if self._over >= self._sure:
                self._change(plans[used], plans[best], costs[used], costs[best])
                used = best
        else:
            self._over = 0
        self.plan = plans[used]
        if self._compared:
            why = f"{self.plan.why.removesuffix('.')}: {self._compared}."
            self.plan = replace(self.plan, why=why)
        self._plans = plans
        in_use = {request for plan in plans for request in plan.requests}
        self._measured = {one: of.faded() for one, of in self._measured.items() if one in in_use}
        self._unprobed = 0 if used == 0 else self._unprobed + 1
        self.probe = plans[0].requests[0] if self._unprobed >= _PROBE_EVERY else None
        if self.probe is not None:
            self._unprobed = 0
        return self.plan

    @property
    def samples(self) -> bool:
        """Whether samples are needed."""
        return len(self._plans) > 1

    @property
    def rates(self) -> Mapping[Request, float]:
        """The log events in a second that requests return, as far as they are known."""
        return {one: of.events / of.length * 1000 for one, of in self._measured.items()}

    def read(self, request: Request, pages: float, events: float, length: float) -> None:
        """A request has returned so many pages and log events of so many milliseconds.

        Part of a page, if one call has returned all.
        """
        measured = self._measured.setdefault(request, _Measured())
        measured.pages += pages
        measured.events += events
        measured.length += length

    def sample(
        self, request: Request, pages: float, events: float, length: float, share: Sampled
    ) -> None:
        """Estimate the other requests by the first plan's; ``share``: of its events, by request.

        If it is not in the plan, this is also a measurement of it.
        """
        if request not in self.plan.requests:
            self._measured.pop(request, None)
            self.read(request, pages, events, length)
        for other in {one for plan in self._plans for one in plan.requests}:
            if other not in self.plan.requests and other != request:
                self.read(other, pages * share(other), events * share(other), length)

    def cost(self, plan: Plan, cost: Callable[[float], float]) -> float:
        """Calls of an interval; unknown rates are guessed from the first plan."""
        return self._cost(plan, self._plans[0], cost)

    def refuse(self, request: Request) -> None:
        """AWS does not accept a request: make no plan with it any more."""
        self._refused.add(request)

    def refuses(self, plan: Plan) -> bool:
        """Whether AWS does not accept a request of the plan."""
        return not self._refused.isdisjoint(plan.requests)

    @property
    def refused(self) -> int:
        """Requests that AWS did not accept."""
        return len(self._refused)

    def _allowed(self, plans: Sequence[Plan]) -> Sequence[Plan]:
        if not self._refused:
            return plans
        allowed = [one for one in plans if not self.refuses(one)]
        if allowed[:1] == list(plans[:1]):
            return allowed
        why = "AWS has refused a request for less, so every log event is read."
        return [replace(READ_EVERYTHING, why=why), *allowed]

    def _cost(self, plan: Plan, first: Plan, cost: Callable[[float], float]) -> float:
        guess = _GUESSED * (self._pages(first.requests[0]) or 0.0)
        known = (self._pages(request) for request in plan.requests)
        return sum(cost(guess if pages is None else pages) for pages in known)

    def _pages(self, request: Request) -> float | None:
        """In a millisecond."""
        measured = self._measured.get(request)
        return None if measured is None else measured.pages / measured.length

    def _change(self, of: Plan, to: Plan, cost: float, less: float) -> None:
        back = self._before == to.kind and self._age < _SETTLED
        self._sure = min(2 * self._sure, _MOST_SURE) if back else _SURE
        self._before, self._over, self._age = of.kind, 0, 0
        self._compared = f"about {less:.3g} calls an interval instead of {cost:.3g}"
