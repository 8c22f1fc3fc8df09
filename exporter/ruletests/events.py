"""Changes to events: a dotted path set to a value, or removed."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

from exporter.patterns import PatternError, parse_selector
from exporter.yamlfile.json_values import JsonValue

EventPath: TypeAlias = tuple[str | int, ...]


def parse_path(text: str) -> EventPath:
    """Read ``userIdentity.arn``, ``items[0].cidrIp`` or ``['dotted.key'].x``; raises ValueError.

    A path is a selector of filter patterns without the ``$.`` in front (it may have that, too).
    """
    try:
        steps = parse_selector(text if text.startswith("$") else f"$.{text}").steps
    except PatternError as error:
        sentence = f"{text!r} is not a path such as userIdentity.arn: {error.message}"
        raise ValueError(sentence) from error
    path = tuple(step for step in steps if isinstance(step, str | int))
    if len(path) != len(steps):
        raise ValueError(f"{text!r} has a wildcard: name one place")
    return path


def set_path(event: JsonValue, path: EventPath, value: JsonValue) -> None:
    """Set a path of an event; missing parents are created. Raises ValueError."""
    parent: Any = event
    for step, following in itertools.pairwise(path):
        if not _holds(parent, step) or parent[step] is None:
            _put(parent, step, [] if isinstance(following, int) else {})
        parent = parent[step]
    _put(parent, path[-1], value)


def remove_path(event: JsonValue, path: EventPath) -> None:
    """Remove a path of an event; raises ValueError if it does not exist."""
    parent: Any = event
    *parents, last = path
    for step in parents:
        parent = parent[step] if _holds(parent, step) else None
    if not _holds(parent, last):
        raise ValueError("the event has nothing at this place")
    del parent[last]


def _holds(parent: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(parent, dict) and step in parent
    return isinstance(parent, list) and step < len(parent)


def _put(parent: Any, step: str | int, value: JsonValue) -> None:
    if isinstance(step, str) and isinstance(parent, dict):
        parent[step] = value
    elif isinstance(step, int) and isinstance(parent, list) and step <= len(parent):
        parent[step : step + 1] = [value]
    else:
        found = "neither an object nor an array"
        if isinstance(parent, dict | list):
            array = f"an array of length {len(parent)}"
            found = "an object" if isinstance(parent, dict) else array
        shown = f"[{step}]" if isinstance(step, int) else f"`{step}`"
        raise ValueError(f"{shown} cannot be set: the event has {found} there")
