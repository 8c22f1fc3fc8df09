"""The plans for FilterLogEvents, which selects by a filter pattern."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exporter.model import EventFormat
from exporter.patterns import FilterPattern
from exporter.planning.filter_patterns import request_patterns
from exporter.planning.plan import EVERYTHING, Plan, PlanKind, Request, shortened

_MOST: Final = 10
"""Requests of a plan: each costs a call for every window, also where it returns nothing."""

_MOST_PATTERNS: Final = 500
"""AWS's 1,024 characters have room for fifty of the shortest."""


def filter_plans(patterns: Sequence[FilterPattern], event_format: EventFormat) -> tuple[Plan, ...]:
    """The plans that return every match of the patterns; see ``Planner.begin`` for the first."""
    if len(patterns) > _MOST_PATTERNS:
        why = f"Everything is read: {len(patterns):,} patterns do not fit into {_MOST} requests."
        return (Plan("everything", (EVERYTHING,), why),)
    texts = request_patterns(patterns, event_format)
    if not texts:
        return (_everything(patterns, event_format),)
    whole = _plan("pattern" if len(texts) == 1 else "patterns", texts, "the patterns of the rules")
    if len(texts) == 1:
        return (whole,)
    weaker = request_patterns(patterns, event_format, one_each=True) or texts
    parts = _plan("weaker", weaker, "one condition of each rule")
    if len(weaker) == 1:
        return (parts, whole) if len(texts) <= _MOST else (parts,)
    why = f"One request brings everything; the rules would need {len(weaker)} requests for less."
    plans = [Plan("everything", (EVERYTHING,), why)]
    plans += [whole] if len(texts) <= _MOST else []
    plans += [parts] if len(weaker) <= min(_MOST, len(texts) - 1) else []
    return tuple(plans)


def _plan(kind: PlanKind, texts: Sequence[str], selected_by: str) -> Plan:
    requests = tuple(Request(value=text) for text in texts)
    number = "one request" if len(texts) == 1 else f"{len(texts)} requests"
    return Plan(kind, requests, f"AWS selects by {selected_by}, in {number}.")


def _everything(patterns: Sequence[FilterPattern], event_format: EventFormat) -> Plan:
    for one in patterns:
        if request_patterns([one], event_format) is None:
            of = f"AWS cannot select by {shortened(one.text)}"
            why = f"Everything is read, since {of if one.text.strip() else 'a pattern is empty'}."
            return Plan("everything", (EVERYTHING,), why)
    return Plan("everything", (EVERYTHING,), "No rule listens.")
