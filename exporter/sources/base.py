"""What a type of source is to the rest: its configuration, partitions, and readings of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from exporter.aws.iam_policy import Deployment, Grant
from exporter.model import EventFormat, LogEvent, Partition, PartitionKind, SourceError
from exporter.sources.options import SourceName
from exporter.yamlfile.documents import Value
from exporter.yamlfile.problems import Problem
from exporter.yamlfile.validation import Fields

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.aws.quotas import CallCost
    from exporter.clock import Clock


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
    """Whether more is due than was read: the next poll should come soon."""
    completes: Literal["fresh", "older"] | None = None
    """Whether a slice of time is complete with it: of the newest window that is due, or another."""
    size: int = 0
    """How many bytes of ``Source.size`` it has read."""
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
    """The partitions there are now, and where looking for them failed."""

    partitions: Sequence[Partition]
    failures: Sequence[tuple[Partition, SourceError]] = ()
    """An account and region (as a partition without a resource) or a resource, and why it cannot
    be read. Partitions found there before are kept."""


class Source(Protocol):
    """A configured source at work: it finds partitions and reads them."""

    name: str
    format: EventFormat
    interval: float
    """Seconds between two polls of a partition."""
    discovery_interval: float
    """Seconds between two looks for partitions."""
    place: Partition | None
    """Where its series are known before any partition is found; None: they depend on it."""
    memory: int
    """Milliseconds for which a counted match must at least be remembered after its event can no
    longer be read from its own partition: another partition may still bring the same event."""

    def discover(self) -> Discovery:
        """Find the partitions there are now; failures are returned, not raised."""

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:
        """``Reading.read_up_to`` of a committed checkpoint (None: never read)."""

    def size(self, partition: Partition) -> int | None:
        """Bytes that there are to read; None: that is not known beforehand."""

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
        """Read what is due from a partition, in batches; nothing if nothing is due.

        Yield, then commit: the consumer commits a reading (its increments and its checkpoint in
        one transaction) before it asks for the next. So a reading's checkpoint covers exactly what
        was yielded up to and with it, what a source does after a ``yield`` may rely on that commit
        (acknowledge a message), and a crash or an error between two readings loses nothing and
        counts nothing twice.

        ``checkpoint`` is the last committed one (None: never read), ``rules`` who listens. A
        backlog is left to the next poll after ``turn`` seconds, since fresh events come first
        there. Raises SourceError.
        """


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process has for its sources."""

    accounts: AwsAccounts
    clock: Clock
    complete: bool = False
    """Whether each partition is polled a single time, so that nothing may wait for a later poll."""


class SourceConfig(BaseModel, ABC):
    """What a source's part of the configuration holds, and what follows from it.

    A type of source is one module with one subclass of this, registered in
    ``exporter/sources/__init__.py``. Durations are seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[PartitionKind]
    stand_ins: ClassVar[Mapping[str, Value]] = {}
    """Values for required options that are missing or wrong, so that the others are checked too."""

    name: SourceName
    """Unique; the ``source`` label of its series."""
    type: str
    """A literal in each subclass, with a default: what ``type:`` says in the file."""
    format: EventFormat
    interval: float
    """Between two polls of a partition."""

    @abstractmethod
    def source(self, environment: Environment, since: Mapping[str, int]) -> Source:
        """Make the source; calls nothing yet.

        ``since``: when each of its ``parts`` was first configured, milliseconds; one that is not
        there is configured since now.
        """

    @abstractmethod
    def permissions(self, where: Deployment) -> Iterator[Grant]:
        """What the source needs to be allowed in IAM; raises IamPolicyError."""

    def problems_online(
        self,
        environment: Environment,  # noqa: ARG002 - by default nothing is asked
        fields: Fields,  # noqa: ARG002
    ) -> Iterator[Problem]:
        """What AWS says is wrong with the source, at its place in the file; only reads."""
        return iter(())

    @property
    def aws_regions(self) -> Sequence[str]:
        """Regions in which AWS is called, the empty text for the session's own; none: never."""
        return ()

    @property
    def parts(self) -> Sequence[str]:
        """The parts of it that are configured by themselves: regions, names of log groups.

        The ledger keeps when each was first configured (``Ledger.load_scopes``): from then on its
        events count, however much later its partitions are found or can be read.
        """
        return ()

    def start_warning(self, start: float) -> str | None:  # noqa: ARG002 - by default any will do
        """What is wrong with a rule's ``start`` so many seconds back on this source, if so."""
        return None
