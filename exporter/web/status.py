"""What the status page shows: plain facts, gathered by whoever knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["ok", "failing", "waiting"]
"""``waiting``: has not finished its first attempt."""


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """How the reading of one partition goes."""

    account_id: str
    region: str
    resource: str
    """The log group or the file; empty for event history."""
    state: State
    last_success: datetime | None
    lag: float | None
    """Seconds between now and the newest time that is read wholly. None: never read, or a file."""
    polls: int
    events: int
    """Log events read since the start."""
    error: str | None = None
    """Why the last poll failed and what to do: a sentence."""
    next_poll: datetime | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A configured source and its partitions."""

    name: str
    type: str
    interval: float
    """Seconds."""
    lookback: float | None
    """Seconds; None where the source has none."""
    partitions: Sequence[PartitionStatus]
    failures: Sequence[str] = ()
    """Where partitions could not be looked for, and why: a sentence each."""
    resource: str = "Resource"
    """What a partition's resource is: the heading of its column."""

    def in_state(self, state: State) -> list[PartitionStatus]:
        """Return the partitions in a state, in their order."""
        return [partition for partition in self.partitions if partition.state == state]

    @property
    def state(self) -> State:
        """Failing where anything of it fails; waiting until each partition was attempted."""
        if self.failures or self.in_state("failing"):
            return "failing"
        return "waiting" if self.in_state("waiting") else "ok"


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule and what it has counted, over all its sources."""

    name: str
    title: str
    severity: str
    """Free text; critical, high, medium, low and info have colours."""
    pattern: str
    metric: str
    sources: Sequence[str]
    matches: int
    series: int
    max_series: int
    overflowed: int
    """Increments that went to the overflow series."""
    value_errors: int
    last_match: datetime | None
    warnings: Sequence[str] = ()
    description: str = ""
    remediation: str = ""
    """What to do about a match."""
    controls: Sequence[str] = ()
    """``cis-v3.0.0 4.3``: controls of benchmarks that the rule is for."""
    pack: str = ""
    """Empty for a rule of the user's own."""


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """The last attempt to load the configuration."""

    time: datetime
    errors: Sequence[str] = ()
    """Why it failed; empty where it did not."""


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """Where positions and totals are kept."""

    path: str
    size: int | None
    """Bytes, where they are known."""
    created: datetime | None = None
    """When it was begun."""
    checking: bool = False
    """Whether it is still being checked for damage."""
    files_lost: int = 0
    """How often its files were removed or replaced while they were open."""
    problem: str | None = None
    """Why nothing can be committed: a sentence."""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """Everything on the page."""

    version: str
    now: datetime
    """When the facts were gathered; times are shown relative to it."""
    started: datetime
    ready: bool
    configuration_files: Sequence[str]
    reload: ReloadStatus
    ledger: LedgerStatus
    sources: Sequence[SourceStatus]
    rules: Sequence[RuleStatus]
    api_calls: int | None = None
    """AWS API requests since the start; None where no source calls AWS."""

    @property
    def partitions(self) -> list[PartitionStatus]:
        """The partitions of all sources."""
        return [partition for source in self.sources for partition in source.partitions]

    def count(self, state: State) -> int:
        """Return how many partitions are in a state."""
        return sum(partition.state == state for partition in self.partitions)

    @property
    def failures(self) -> int:
        """How many partitions and look-outs for partitions fail."""
        return self.count("failing") + sum(len(source.failures) for source in self.sources)

    @property
    def state(self) -> State:
        """Failing where anything fails, waiting until everything was attempted once."""
        if self.failures or self.reload.errors or self.ledger.problem:
            return "failing"
        return "ok" if self.ready else "waiting"
