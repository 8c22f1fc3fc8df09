"""The plans for FilterLogEvents, which selects by a filter pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.model import EventFormat
from exporter.patterns import FilterPattern
from exporter.planning.filter_patterns import request_patterns
from exporter.planning.plan import EVERYTHING, READ_EVERYTHING, Plan, PlanKind, Request, shortened

_MOST: Final = 10
"""Requests of a plan: each costs a call for every window, also where it returns nothing."""


def filter_plans(patterns: Sequence[FilterPattern], event_format: EventFormat) -> tuple[Plan, ...]:
    """The plans that return every match of the patterns; see ``Planner.begin`` for the first."""
    texts = request_patterns(patterns, event_format)
    if not texts:
        return (_everything(patterns, event_format),)
    requests = tuple(Request(value=text) for text in texts)
    own = all(request_patterns([one], event_format) == (one.text,) for one in patterns)
    whose = "of the rules" if own else "weaker than those of the rules"
    if len(requests) == 1:
        why = f"AWS selects by one pattern{'' if own else ' that is weaker than the rules'}."
        return (Plan("pattern" if own else "weaker", requests, why),)
    many = f"The rules need {len(requests)} requests, since their patterns do not fit into one"
    first = Plan("everything", (EVERYTHING,), f"Everything is read in one request. {many}.")
    if len(requests) > _MOST:
        return (first,)
    kind: PlanKind = "patterns" if own else "weaker"
    return first, Plan(kind, requests, f"AWS selects by {len(requests)} patterns {whose}.")


def _everything(patterns: Sequence[FilterPattern], event_format: EventFormat) -> Plan:
    for one in patterns:
        if request_patterns([one], event_format) is None:
            why = (
                f"Everything is read, since no pattern for AWS follows from {shortened(one.text)}."
            )
            return Plan("everything", (EVERYTHING,), why)
    return READ_EVERYTHING
