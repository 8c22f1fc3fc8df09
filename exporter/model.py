"""The words that all stages share: partition, log event, series, increment, source error."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

EventFormat = Literal["auto", "cloudtrail", "lines"]
"""How a source's messages are to be understood.

``cloudtrail``: each JSON message is a CloudTrail record. ``lines``: none is. ``auto``: a message
with what only CloudTrail writes together is one.
"""


@dataclass(frozen=True, slots=True)
class PartitionKind:
    """What the type of a source says about its partitions and the log events in them."""

    label: str = ""
    """The label of the exporter's own metrics that has the resource: ``log_group``, ``path``."""
    noun: str = ""
    """What the resource is, for headings: ``Log group``."""
    on_series: bool = False
    """Whether rule series carry the label too."""
    by_event_time: bool = True
    """Whether it is read by event time, each slice again at growing ages. If not, each log event
    comes once, its own time is unknown, and all count whatever their age."""
    local_ids: bool = False
    """Whether an id holds within its partition only, since others than AWS can write there and
    copy ids."""


@dataclass(frozen=True, slots=True)
class Partition:
    """The unit in which a source keeps its position.

    One (account, region) of event history, one (account, region, log group), or one file.
    """

    source: str
    """The source's name in the configuration."""
    account_id: str = ""
    """Empty if it belongs to no account (a file), or if the account is not known."""
    region: str = ""
    resource: str = ""
    """What is read there: a log group's name, a file's path. Empty: all of the region."""
    kind: PartitionKind = field(default=PartitionKind(), compare=False, repr=False)
    """Set by the source's type; no part of the partition's identity."""

    @property
    def key(self) -> str:
        """The partition's name within its source: stable over restarts, the ledger's key."""
        return ":".join(part for part in (self.account_id, self.region, self.resource) if part)

    def __str__(self) -> str:
        """For log lines and error messages: the source and where in it."""
        return f"{self.source} {self.key}".rstrip()


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One record as a source hands it on: a CloudTrail record or a CloudWatch Logs message."""

    message: str
    time: int
    """Milliseconds since the epoch, by the clock that the API selects by: a log event's timestamp,
    a look-up's EventTime; for files, the time of reading."""
    id: str | None = None
    """Unique within the partition, or None where the position alone makes the event count once
    (a line of a file)."""


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


class SourceError(Exception):
    """A source could not be read; the message tells the user what is wrong, where, and what to do.

    Never holds credentials or event contents.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A short word for a label: ``access_denied``, ``throttled``, ``expired_credentials``,
        ``unreachable``, ``unreadable``, …"""


class DamagedCheckpointError(Exception):
    """A checkpoint is none of the source's: what the ledger keeps of it was damaged."""


class PartitionGoneError(SourceError):
    """The partition no longer exists (a deleted log group): it is dropped, not retried."""
