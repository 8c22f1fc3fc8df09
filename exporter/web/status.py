"""The data of the status page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

State = Literal["ok", "failing", "waiting"]
"""``waiting``: not polled yet."""


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """A partition."""

    account_id: str
    region: str
    resource: str
    """The log group or file; empty for event history."""
    state: State
    last_success: datetime | None
    lag: float | None
    """Seconds between now and the watermark; None for a file, or before the first read."""
    polls: int
    events: int
    """Log events read since start."""
    error: str | None = None
    """Why the last poll failed, and the remedy."""
    next_poll: datetime | None = None
    notice: str = ""
    """How its reading differs from what is configured, and why; empty if it does not."""
    plan: str = ""
    """The plan by which it is read, in a few words; empty if there is no choice."""
    why: str = ""
    """Why, a sentence."""

    @property
    def is_urgent(self) -> bool:
        """Whether someone should look at it: it fails, or is read otherwise than configured."""
        return self.state == "failing" or bool(self.notice)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A configured source and its partitions."""

    name: str
    type: str
    interval: float
    """Seconds."""
    lookback: float | None
    """Seconds; None if the source has none."""
    partitions: Sequence[PartitionStatus]
    failures: Sequence[str] = ()
    """Errors of the last discovery, a sentence each."""
    feed: str = ""
    """Its feed, if that is not its own; empty otherwise."""
    resource: str = "Resource"
    """The heading of the column of the partitions' resources."""
    notices: Sequence[str] = ()
    """How its reading differs from what is configured, a sentence each."""

    def in_state(self, state: State) -> list[PartitionStatus]:
        """Return the partitions in a state."""
        return [partition for partition in self.partitions if partition.state == state]

    def by_urgency(self) -> list[PartitionStatus]:
        """Return failing partitions, then those with a notice, waiting ones, and the others."""
        order = ("failing", "waiting", "ok")
        return sorted(
            self.partitions,
            key=lambda one: (one.state != "failing", not one.notice, order.index(one.state)),
        )

    @property
    def state(self) -> State:
        """Failing if anything fails; waiting until all partitions were polled."""
        if self.failures or self.in_state("failing"):
            return "failing"
        return "waiting" if self.in_state("waiting") else "ok"


@dataclass(frozen=True, slots=True)
class RuleStatus:
    """A rule and its counts over all of its sources."""

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
    """The action after a match."""
    controls: Sequence[str] = ()
    """Controls of benchmarks that the rule implements: ``cis-v3.0.0 4.3``."""
    pack: str = ""
    """Empty for the user's own rules."""
    fullest: int = 0
    """Series in the account that has most, which ``max_series`` limits."""


@dataclass(frozen=True, slots=True)
class MatchStatus:
    """A log event that counted for a rule."""

    time: datetime | None
    """When it happened; None if unknown (a line of a file)."""
    event_id: str
    """Empty if it has none."""
    account_id: str
    region: str
    source: str
    """The source or feed."""
    log_group: str


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """The last attempt to load the configuration."""

    time: datetime
    errors: Sequence[str] = ()
    """Why it failed, if so."""


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """The ledger."""

    path: str
    size: int | None
    """Bytes, if known."""
    created: datetime | None = None
    checking: bool = False
    """Whether its integrity check is running."""
    files_lost: int = 0
    """How many times its files were removed or replaced while open."""
    problem: str | None = None
    """Why nothing can be committed."""


@dataclass(frozen=True, slots=True)
class StatusPage:
    """The whole page."""

    version: str
    now: datetime
    """Times are shown relative to it."""
    started: datetime
    ready: bool
    configuration_files: Sequence[str]
    reload: ReloadStatus
    ledger: LedgerStatus
    sources: Sequence[SourceStatus]
    rules: Sequence[RuleStatus]
    api_calls: int | None = None
    """AWS API requests since start; None if no source calls AWS."""

    @property
    def partitions(self) -> list[PartitionStatus]:
        """The partitions of all sources."""
        return [partition for source in self.sources for partition in source.partitions]

    def count(self, state: State) -> int:
        """Return how many partitions are in a state."""
        return sum(partition.state == state for partition in self.partitions)

    @property
    def failures(self) -> int:
        """Failing partitions and discovery errors."""
        return self.count("failing") + sum(len(source.failures) for source in self.sources)

    @property
    def badge(self) -> str:
        """The state of everything, in a word or two."""
        if self.ledger.problem:
            return "Ledger failing"
        if self.failures:
            return f"{self.failures:,} failing"
        if self.reload.errors:
            return "Reload failed"
        return "Healthy" if self.ready else "Starting"

    @property
    def state(self) -> State:
        """Failing if anything fails; waiting until the exporter is ready."""
        if self.failures or self.reload.errors or self.ledger.problem:
            return "failing"
        return "ok" if self.ready else "waiting"
