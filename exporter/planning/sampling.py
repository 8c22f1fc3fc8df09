"""Shares of log events that requests would return, by a sample of those of a wider request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from exporter.patterns import FilterPattern, compile_pattern
from exporter.planning.plan import Request

MOST: Final = 50
"""Log events of a sample."""
_FIELDS: Final = {"EventName": "eventName", "EventSource": "eventSource", "ReadOnly": "readOnly"}


def shares(messages: Sequence[str]) -> Callable[[Request], float]:
    """Returns the function from a request to the share of messages that it returns, about."""
    step = -(-len(messages) // MOST) or 1
    sample = messages[::step]
    records: list[Mapping[str, Any]] = []

    def share(request: Request) -> float:
        if not sample:
            return 0.0
        if request.attribute and not records:
            records.extend(map(_record, sample))
        if not request.attribute:
            pattern = _compiled(request.value)
            return sum(pattern.match(one) is not None for one in sample) / len(sample)
        field = _FIELDS.get(request.attribute)
        if field is None:  # An attribute that several fields make: its value is somewhere.
            return sum(f'"{request.value}"' in one for one in sample) / len(sample)
        # JSON's true and false are Python's in lower case.
        found = [str(one.get(field, "")) for one in records]
        wanted = request.value if field != "readOnly" else request.value.capitalize()
        return found.count(wanted) / len(sample)

    return share


def _record(message: str) -> Mapping[str, Any]:
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@lru_cache(maxsize=1024)
def _compiled(text: str) -> FilterPattern:
    return compile_pattern(text, aws_limits=False)
