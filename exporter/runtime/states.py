"""What the engine keeps of sources and partitions: how their reading goes."""

from __future__ import annotations

from dataclasses import dataclass, field

from exporter.ledger.base import LedgerError
from exporter.logs import Failures
from exporter.model import Partition, SourceError
from exporter.rules import RuleSet
from exporter.runtime.arrivals import Arrivals
from exporter.runtime.pipeline import Poll
from exporter.runtime.scheduling import Job
from exporter.sources.base import Source


@dataclass(slots=True)
class PartitionState:
    """How the reading of a partition goes."""

    partition: Partition
    arrivals: Arrivals
    job: Job | None = None
    attempts: int = 0
    events: int = 0
    """Log events read."""
    last_success: float | None = None
    """Seconds since the epoch."""
    read_by: RuleSet | None = None
    """The rules in force when an attempt began that succeeded; None: none did."""
    read_up_to: int | None = None
    """Milliseconds: everything before this was read. None: it is not read by time (a file)."""
    polling: Poll | None = None
    """The poll that is under way, or the last one."""
    behind: bool = False
    """Whether more was due than the last poll has read."""
    error: SourceError | LedgerError | None = None
    """Why the last attempt failed; None: it did not, or there was none."""
    failed: int = 0
    """Attempts in a row that failed, since one made progress in a backlog."""
    failures: Failures = field(init=False)

    def __post_init__(self) -> None:
        source, key = self.partition.source, self.partition.key
        self.failures = Failures("poll", source=source, partition=key)


@dataclass(slots=True)
class SourceState:
    """A source at work."""

    source: Source
    jobs: list[Job] = field(default_factory=list)
    """Discovery first, then housekeeping."""
    partitions: dict[Partition, PartitionState] = field(default_factory=dict)
    failures: dict[Partition, SourceError] = field(default_factory=dict)
    """Where its partitions could not be looked for, and why."""
    discoveries: dict[Partition, Failures] = field(default_factory=dict)
    discovered: bool = False
    looked_at: int | None = None
    """Milliseconds: when the last look for partitions began that could look everywhere."""
    ready: bool = False
    forgetting: Failures = field(init=False)

    def __post_init__(self) -> None:
        self.forgetting = Failures("forgetting of old matches", source=self.source.name)

    @property
    def unread_because(self) -> str:
        """Why nothing was read from it yet."""
        errors = [
            *self.failures.values(),
            *(state.error for state in self.partitions.values() if state.error),
        ]
        return str(errors[0]) if errors else "it has not been read yet."
