"""The plans for LookupEvents, which selects by one attribute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from exporter.patterns import FilterPattern
from exporter.planning.conditions import Attributes, attributes_of
from exporter.planning.plan import EVERYTHING, Plan, Request, shortened

_MOST: Final = 10
"""Requests of a plan: each costs a call for every window, also where it returns nothing."""
_CHANGES: Final = Request("ReadOnly", "false")

_Choice = Callable[[Attributes], Sequence[Request]]
"""The requests that return all events with the attributes; none if there is no such choice."""


def lookup_plans(patterns: Sequence[FilterPattern]) -> tuple[Plan, ...]:
    """The plans that return every match of the patterns; see ``Planner.begin`` for the first."""
    needed = {one: pattern for pattern in patterns for one in attributes_of(pattern)}
    reads = [pattern for one, pattern in needed.items() if one.read_only is not False]
    if not reads:
        why = "No rule counts read-only events."
        plans = [Plan("read_only_false", (_CHANGES,), why)]
    else:
        why = f"Everything is read, since {shortened(reads[0].text)} may match read-only events."
        plans = [Plan("everything", (EVERYTHING,), why)]
    choices: list[_Choice] = [
        lambda one: [_CHANGES] if one.read_only is False else _by_name(one) or _by_source(one),
        lambda one: _by_name(one) or _by_source(one),
        lambda one: _by_source(one) or _by_name(one),
    ]
    for choice in choices:
        requests = _requests(list(needed), choice)
        if requests and all(requests != plan.requests for plan in plans):
            why = f"The rules count only events with {_listed(requests)}."
            plans.append(Plan("attributes", requests, why))
    # One request for less is never more than one for more.
    least = next((plan for plan in plans[1:] if len(plan.requests) == 1), None)
    return tuple(plans) if least is None else (least,)


def _requests(needed: Sequence[Attributes], choice: _Choice) -> tuple[Request, ...]:
    """The requests for all of these attributes; none if there is no choice, or if it is many."""
    found: dict[Request, None] = {}
    for one in sorted(needed, key=lambda one: len(choice(one))):
        chosen = choice(one)
        if not chosen:
            return ()
        alternatives = (_by_name(one), _by_source(one), [_CHANGES] * (one.read_only is False))
        if not any(some and found.keys() >= set(some) for some in alternatives):
            found |= dict.fromkeys(chosen)
    return tuple(found) if len(found) <= _MOST else ()


def _by_name(one: Attributes) -> list[Request]:
    return [Request("EventName", name) for name in sorted(one.event_names or ())]


def _by_source(one: Attributes) -> list[Request]:
    return [Request("EventSource", name) for name in sorted(one.event_sources or ())]


def _listed(requests: Sequence[Request]) -> str:
    *some, last = map(str, requests)
    return f"{', '.join(some)} or {last}" if some else last
