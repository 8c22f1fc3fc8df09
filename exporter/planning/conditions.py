"""The attributes of LookupEvents that every match of a filter pattern has."""

from __future__ import annotations

from dataclasses import dataclass

from exporter.patterns import FilterPattern


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an event has, by the attributes of LookupEvents; None: anything."""

    event_names: frozenset[str] | None = None
    """AWS: EventName, the record's ``eventName``."""
    event_sources: frozenset[str] | None = None
    """AWS: EventSource, the record's ``eventSource``."""
    read_only: bool | None = None
    """AWS: ReadOnly, the record's ``readOnly``."""


ANY = Attributes()
"""Every event."""


def attributes_of(pattern: FilterPattern) -> tuple[Attributes, ...]:
    """The attributes of a pattern's matches: each match has all of one element at least."""
    return (ANY,)
