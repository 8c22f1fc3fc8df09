"""What a source is to the rest: partitions, and readings of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from exporter.aws.quotas import CallCost
from exporter.model import EventFormat, LogEvent, Partition, SourceError


@dataclass(frozen=True, slots=True)
class Reading:
    """A batch of log events, and the checkpoint that holds once they are counted."""

    events: Sequence[LogEvent]
    checkpoint: str
    """Opaque to everyone but the source; committed together with the events' increments."""
    horizon: int | None = None
    """Milliseconds. Events older than this were swept for the last time before this reading: they
    are not counted again, but for the rules in ``backfill``. None: everything read counts."""
    remember_from: int | None = None
    """Milliseconds. Matches of events older than this can no longer be read again from this
    partition once the checkpoint is committed. None: by the time of reading (files)."""
    backfill: frozenset[str] = frozenset()
    """Names of the rules for which events older than ``horizon`` count in this reading."""
    read_up_to: int | None = None
    """Milliseconds. Everything before this was read at least once when the checkpoint is committed.
    None: the source does not go by time (files)."""
    behind: bool = False
    """Whether more is due now than was read: the next poll should come soon."""
    completes: Literal["fresh", "older"] | None = None
    """Whether a slice of time is complete with it: of the newest window that is due, or another."""
    size: int = 0
    """Bytes of the partition that it takes up, of those that ``Source.size`` tells."""
    undecodable: int = 0
    """Records in this batch that are not log events at all (broken files, look-ups without a
    record): counted, logged once, left out."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A rule that listens to the source."""

    start: int | None
    """Milliseconds of event time since which it counts (None: everything)."""
    backfill: bool
    """Whether the rule names a ``start`` of its own: it then asks for its past even where the
    partition was read before the rule was there."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The partitions there are now, and where nobody could look."""

    partitions: Sequence[Partition]
    failures: Sequence[tuple[Partition, SourceError]] = ()
    """A scope (an account and region, as a partition without a log group) and why it could not be
    looked into: what is known of it stays as it is."""


class Source(Protocol):
    """A configured place to read log events from."""

    name: str
    format: EventFormat
    interval: float
    """Seconds between two polls of a partition."""
    discovery_interval: float
    """Seconds between two looks for partitions."""
    place: Partition | None
    """Where its series can be told before any partition is found (files); else None."""
    memory: int
    """Milliseconds for which a counted match must at least be remembered after its event can no
    longer be read from its own partition: another partition may still bring the same event."""

    def discover(self) -> Discovery:
        """Find the partitions there are now; failures are returned, not raised."""

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:
        """``Reading.read_up_to`` of a committed checkpoint (None: never read)."""

    def size(self, partition: Partition) -> int | None:
        """Bytes that there are to read, where that is known beforehand (files)."""

    def cost(self, partition: Partition) -> CallCost | None:
        """What each call takes of a quota; None: nothing."""

    def release(self, partition: Partition) -> None:
        """Let go of what is kept of a partition that is no longer read."""

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        rules: Mapping[str, Listener],
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read what is due from a partition, in batches; nothing where nothing is due.

        ``checkpoint`` is the last committed one (None: never read), ``rules`` who listens. The
        consumer commits each reading before it asks for the next; stopping between two readings
        loses nothing. A backlog is left to the next poll after ``turn`` seconds, since fresh
        events come first there. Raises SourceError.
        """
