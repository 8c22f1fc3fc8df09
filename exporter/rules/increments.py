"""What the rule set makes of log events: increments of series."""

from __future__ import annotations

from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order in which they are exposed."""

Identity = tuple[str, str]
"""A scope and an event id that is unique within it. The scope is empty for all of a source, else a
partition's key."""

OVERFLOW = "__overflow__"
"""Stands in every dynamic label of a rule's overflow series."""


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """Names one exposed series: a metric and its labels, sorted by label name."""

    metric: str
    labels: Labels


@dataclass(frozen=True, slots=True)
class Increment:
    """What one match adds to one series.

    An increment is a proposal: the ledger drops it where the match was already counted, and turns
    it to ``overflow`` where ``rule`` has its ``max_series`` already.
    """

    rule: str
    series: SeriesKey
    overflow: SeriesKey
    """The same series with ``__overflow__`` in its dynamic labels (equal to ``series`` where the
    rule has none)."""
    value: float | None
    """What is added. None: the match's value is missing, not a number, negative, or above the
    rule's ``max_value``; the match is remembered and counted as a value error, the series is left
    alone."""
    time: int
    """The log event's time, milliseconds (see LogEvent.time): memory of matches goes by it."""
    event_time: int | None
    """When it happened, milliseconds: ``eventTime`` of a CloudTrail record, else ``time``.
    ``start`` is compared with it. None: unknown (a line of a file)."""
    event_id: str | None
    """A (rule, source, scope, event id) counts once. None: no memory needed."""
    scope: str = ""
    """Within what the event id is unique (see Identity)."""
    aliases: tuple[Identity, ...] = ()
    """What the same match may be remembered by already, from when its source had another format.
    The scope and id of such a memory are this event's if the ids are equal, or the times."""
