"""The interface of a type of source: its configuration, partitions and readings."""

from __future__ import annotations

import builtins
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from exporter.aws.iam_policy import Deployment, Grant
from exporter.aws.roles import Role
from exporter.aws.uses import Reason
from exporter.model import (
    EventFormat,
    Limits,
    LogEvent,
    Partition,
    PartitionKind,
    SourceError,
    pickled_by_fields,
)
from exporter.patterns import FilterPattern
from exporter.planning.forecast import Forecast, Rates
from exporter.planning.interest import Interest
from exporter.planning.plan import Plan
from exporter.sources.options import SourceName
from exporter.sources.thinning import Rereads
from exporter.yamlfile.documents import Value
from exporter.yamlfile.problems import Problem
from exporter.yamlfile.validation import Fields

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.aws.quotas import CallCost
    from exporter.clock import Clock
    from exporter.sources.contents import Contents


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue, as a reading shows it."""

    oldest: int | None
    """When the oldest message of the last receive was sent, milliseconds; None if it was empty."""
    outcomes: Mapping[str, int]
    """Messages by what became of them, a value for each outcome."""
    excluded: Mapping[str, int] = field(default_factory=dict)
    """Objects that were not read because of what they are, by reason."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Objects or messages that are known and were not read yet."""

    objects: int
    """Objects, or messages of a queue."""
    size: int | None = None
    """Bytes of the objects; None if unknown."""
    oldest: int | None = None
    """When the oldest of them was written or sent, milliseconds; None if unknown or nothing
    waits."""


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Reading:
    """A batch of log events, and the checkpoint to commit together with their increments."""

    events: Sequence[LogEvent]
    checkpoint: str
    """Interpreted by the source only."""
    watermark: int | None = None
    """Milliseconds. Older events do not count again, except for the rules in ``backfill``; they
    were read for the last time before this reading. If None, everything counts."""
    remember_from: int | None = None
    """Milliseconds. Older events cannot be read again from this partition once the checkpoint is
    committed. None for files, whose events are remembered by the time of reading."""
    backfill: frozenset[str] = frozenset()
    """Names of the rules that count events older than ``watermark`` in this reading."""
    read_up_to: int | None = None
    """Milliseconds: once the checkpoint is committed, everything before this was read at least
    once. None if the source does not read by time (files)."""
    behind: bool = False
    """Whether a backlog remains, so the next poll should follow soon."""
    rereads: Rereads | None = None
    """How often events are read; None if they are read once, or the source is polled only once."""
    completes: Literal["fresh", "older"] | None = None
    """Whether it completes a slice, of the newest window that is due or of an older one."""
    size: int = 0
    """Bytes read, as ``Source.size`` counts them."""
    undecodable: int = 0
    """Number of records that are not log events (in broken files, or look-ups without a record)."""
    limits: Limits | None = None
    """Which events count; None for all."""
    queue: QueueState | None = None
    """What is known of the queue that it came from, if it came from one."""
    objects: Mapping[str, int] = field(default_factory=dict)
    """Objects that were read to their end, a value for each outcome (see telemetry)."""
    backlog: Backlog | None = None
    """The backlog after this reading; None if it is not known (again)."""
    again: bool = False
    """Whether its time was read before, so that most of its events may have been counted."""
    reason: Reason = "fresh"
    """Why it was read; ``fresh`` for files and whatever else comes once."""
    plan: Plan | None = None
    """The requests that read it; None if the source has no choice."""
    interest: Interest | None = None
    """The rules whose events it has all of; None if nothing was left out for any rule."""
    refused: int = 0
    """Requests of the partition that AWS has not accepted up to now."""
    rates: Mapping[str, float] | None = None
    """See ``Rates.events``; None if they were not measured again."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a checkpoint that is not due to a reading: what it belongs to was renamed."""

    expected: str | None
    """The checkpoint before; None if there was none."""
    checkpoint: str | None
    """None to delete it."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The current partitions, and the failures to find some."""

    partitions: Sequence[Partition]
    failures: Sequence[tuple[Partition, SourceError]] = ()
    """The error for a resource, an account and region (a partition without a resource), or an
    account. Partitions found there before are kept."""
    accounts: Mapping[str, str] = field(default_factory=dict)
    """The names of the accounts by id; empty if an account has no name."""
    moved: Mapping[Partition, Move] = field(default_factory=dict)
    """Checkpoints to change, all or none, before the partitions are polled."""


class Source(Protocol):
    """A configured source: it finds partitions and reads them."""

    name: str
    format: EventFormat
    interval: float
    """Seconds between two polls of a partition."""
    discovery_interval: float
    """Seconds between two discoveries."""
    place: Partition | None
    """The location of its series, if it is known before any partition is found."""
    memory: int
    """Milliseconds for which a counted match is remembered at least after its partition can no
    longer return the event, because another partition may return the same event."""

    def discover(self) -> Discovery:
        """Find the current partitions; failures are returned, not raised."""

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int | None:
        """``Reading.read_up_to`` of the committed checkpoint (None if the partition is new)."""

    def counted_from(self, partition: Partition) -> int | None:
        """Event time from which the partition is counted if it is new, milliseconds.

        None if everything in it counts, at any age.
        """

    def size(self, partition: Partition) -> int | None:
        """Bytes to read, if known in advance."""

    def cost(self, partition: Partition) -> CallCost | None:
        """The quota that a call uses, if any."""

    def release(self, partition: Partition) -> None:
        """Drop the state of a partition that is no longer read."""

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        interest: Interest | None = None,
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read the events that are due from a partition, in batches.

        Yield, then commit: the consumer commits the increments and the checkpoint of a reading in
        one transaction before it requests the next. So a checkpoint covers exactly the events
        yielded so far, code after a ``yield`` may rely on the commit (to acknowledge a message),
        and a crash or an error between readings neither loses events nor counts them twice.

        Args:
            partition: the partition to read.
            checkpoint: the last committed checkpoint; None if the partition was never read.
            own_starts: start by rule, milliseconds of event time, for rules with their own start.
                Their past is read even if the partition was read before.
            interest: the patterns that may count events; others may be left out of readings, which
                then name it. None if nothing may be left out.
            turn: seconds after which a backlog is left to the next poll, which reads fresh events
                first.

        Raises:
            SourceError: the partition cannot be read.
        """


@dataclass(frozen=True, slots=True)
class Environment:
    """Dependencies of sources."""

    accounts: AwsAccounts
    clock: Clock
    complete: bool = False
    """Whether each partition is polled only once, so nothing may wait for a later poll."""
    contents: Contents | None = None
    """Reads objects; None if the source reads one after the other."""
    checkpoints: Callable[[str], Mapping[str, str]] | None = None
    """Returns the committed checkpoints of a source by ``Partition.key``. Raises LedgerError."""


class SourceConfig(BaseModel, ABC):
    """The configuration of a source; each type is a subclass. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[PartitionKind]
    stand_ins: ClassVar[Mapping[str, Value]] = {}
    """Values for required options that are missing or wrong, so the other options are checked."""
    object_outcomes: ClassVar[Sequence[str]] = ()
    """How the reading of an object can end, as ``Reading.objects`` has it."""

    name: SourceName
    """Unique."""
    feed: SourceName | None = None
    """Sources of one feed bring the same events; None for the source's own name."""
    type: str
    """The value of ``type:``; a literal with a default in each subclass."""
    format: EventFormat
    interval: float
    """Between two polls of a partition."""

    @classmethod
    def form(cls, options: Collection[str]) -> builtins.type[SourceConfig]:  # noqa: ARG003
        """The model of a source with these options: a type may have several."""
        return cls

    @abstractmethod
    def source(self, environment: Environment, since: Mapping[str, int]) -> Source:
        """Make the source, without any call.

        ``since``: the time when each of its ``parts`` was first configured, milliseconds. Parts
        that it does not name are new.
        """

    @abstractmethod
    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """The IAM permissions to read an account of the source; raises IamPolicyError."""

    def permissions_to_find_accounts(
        self,
        deployment: Deployment,  # noqa: ARG002 - by default, they are configured
    ) -> Iterator[Grant]:
        """The permissions that the environment's credentials need besides; raises as above."""
        return iter(())

    def roles(self, deployment: Deployment) -> Sequence[Role | None]:  # noqa: ARG002
        """The roles that read it, and None for the environment's credentials; raises as above."""
        return (None,)

    def problems_online(
        self,
        environment: Environment,  # noqa: ARG002 - by default, AWS is not called
        fields: Fields,  # noqa: ARG002
    ) -> Iterator[Problem]:
        """Problems that AWS reports, with their position in the file; makes read-only calls."""
        return iter(())

    def newest_online(
        self,
        environment: Environment,  # noqa: ARG002 - by default, AWS is not called
    ) -> Iterator[tuple[Partition, list[LogEvent] | SourceError]]:
        """The newest log events of some partitions, with a call or a few for each."""
        return iter(())

    @property
    def feed_name(self) -> str:
        """The ``source`` label of its series."""
        return self.feed or self.name

    @property
    def aws_regions(self) -> Sequence[str]:
        """Regions in which AWS is called; an empty text is the session's region."""
        return ()

    @property
    def lacks_global_services(self) -> bool:
        """Whether it cannot have events of global services, such as IAM's, by its regions."""
        return False

    @property
    def parts(self) -> Sequence[str]:
        """Its regions, or log group names by region: each has its own time of configuration.

        The ledger stores that time (``Ledger.load_scopes``). The part's events count from then on,
        even if its partitions are found or become readable later.
        """
        return ()

    @property
    def exclusive(self) -> str | None:
        """What only one source may read, such as a queue; None if several may read the same."""
        return None

    def forecast(
        self,
        patterns: Sequence[FilterPattern],  # noqa: ARG002 - by default, AWS is not called
        rates: Rates,  # noqa: ARG002
    ) -> Forecast:
        """The cost of reading a partition for rules with these patterns."""
        return Forecast(self.kind.label or "partition", (), "AWS is not called.")

    def start_warning(self, start: float) -> str | None:  # noqa: ARG002 - by default, any is valid
        """The problem with a rule's ``start``, in seconds back from now, on this source, if any."""
        return None
