"""The cost of reading a source, estimated without reading it: for ``check --plan``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final

from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.planning.planner import Planner

_READ_ONLY: Final = 0.9
"""Assumed share of an account's management events that are read-only."""
_ASSUMED: Final = 0.01
"""Assumed share of the events that another request returns."""
_DAY: Final = 86_400
_MONTH: Final = 30
_MOST: Final = 100
"""Places whose rates are kept apart."""

ASSUMPTIONS: Final = (
    f"{_READ_ONLY:.0%} of the management events are read-only, and an event name, an event source"
    f" or a filter pattern selects {_ASSUMED:.0%} of all events"
)


@dataclass(frozen=True, slots=True)
class Rates:
    """Log events a second of like partitions."""

    account_id: str = ""
    region: str = ""
    plan: str = ""
    """How they are read now, in a few words; empty if that is not known."""
    partitions: int = 1
    events: Mapping[str, float] = field(default_factory=dict)
    """Of one partition, on average, by the request that returns them (as text)."""

    @classmethod
    def assumed(cls, events: float) -> Rates:
        """The rates of a partition that has so many log events a second."""
        return cls(events={str(EVERYTHING): events})

    def of(self, request: Request) -> float | None:
        """The rate of the events that a request returns; None if it is not known."""
        known = self.events.get(str(request))
        if known is not None or self.plan:
            return known
        share = 1 - _READ_ONLY if request == Request("ReadOnly", "false") else _ASSUMED
        return share * self.events[str(EVERYTHING)]


@dataclass(frozen=True, slots=True)
class Forecast:
    """The requests that a partition costs."""

    each: str
    """The kind of partition: an account and region, a log group, a queue."""
    requests: Sequence[str]
    """As texts; empty if AWS is not called."""
    why: str
    """A sentence."""
    calls_a_day: float = 0.0
    everything_a_day: float | None = None
    """Calls that reading everything would take; None if it does, or if that is not known."""
    usd_a_month: float = 0.0
    """AWS's list price of these calls."""
    operation: str = ""
    """AWS's name of the calls, if all are of one."""
    quota: float | None = None
    """Calls a second that the source may make in an account and region, if AWS publishes that."""


def planned(
    plans: Sequence[Plan],
    rates: Rates,
    cost: Callable[[float], float],
    *,
    each: str,
    page: int,
    interval: float,
) -> Forecast:
    """The plan that costs least at these rates.

    ``cost``: see ``Planner.begin``; ``page``: log events; ``interval``: seconds.
    """
    planner = Planner()
    for request in {one for plan in plans for one in plan.requests}:
        rate = rates.of(request)
        if rate is not None:
            planner.read(request, rate / page, rate, 1000)
    plan = planner.begin(plans, cost)
    requests = [str(one) for one in plan.requests]
    polls, rate = _DAY / interval, rates.of(EVERYTHING)
    instead = (
        None if rate is None or EVERYTHING in plan.requests else cost(rate / page / 1000) * polls
    )
    return Forecast(each, requests, plan.why, planner.cost(plan, cost) * polls, instead)


def monthly(calls_a_day: float, usd_per_million: float) -> float:
    """The price of calls, USD a month."""
    return calls_a_day * _MONTH * usd_per_million / 1e6


def grouped(rates: Iterable[Rates]) -> list[Rates]:
    """The average rates of like partitions: of an account, a region and a plan."""
    rates = list(rates)
    for place in (lambda one: (one.account_id, one.region), lambda one: ("", one.region)):
        found: dict[tuple[str, str, str], list[Rates]] = {}
        for one in rates:
            found.setdefault((*place(one), one.plan), []).append(one)
        if len(found) <= _MOST:
            break
    return [
        Rates(*place, len(some), {name: _mean(name, some) for name in _names(some)})
        for place, some in sorted(found.items())
    ]


def to_text(rates: Iterable[Rates]) -> str:
    """As the ledger keeps them, ``grouped``; empty for no rates."""
    groups = grouped(rates)
    return json.dumps([asdict(one) for one in groups], separators=(",", ":")) if groups else ""


def from_text(text: str) -> list[Rates]:
    """Read a text of ``to_text``; raises ValueError or TypeError for another one."""
    return [Rates(**one) for one in json.loads(text)]


def _names(some: Iterable[Rates]) -> list[str]:
    return sorted({name for one in some for name in one.events})


def _mean(name: str, some: Sequence[Rates]) -> float:
    known = [one.events[name] for one in some if name in one.events]
    return float(f"{sum(known) / len(known):.2g}")
