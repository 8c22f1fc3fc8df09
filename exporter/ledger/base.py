"""The ledger's interface: checkpoints, counted matches and series totals, committed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.exactness import RuleVersion
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; the message says why and what to do."""


class FencedError(LedgerError):
    """Another holder of the partition has committed since this reading began.

    Nothing has changed. The next poll starts from the checkpoint that the ledger has now.
    """


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one commit makes durable."""

    partition: Partition
    feed: str
    """The key of memory: sources of one feed carry the same events."""
    checkpoint: str
    expected: str | None
    """The checkpoint that the reading started from; None: the partition was never read."""
    events: Sequence[JudgedEvent] = ()
    """Events with at least one increment; others need no memory."""
    format: str = ""
    """The source's format: after a change the aliases of events are looked up, as long as memory
    from before the change lasts."""
    remember_from: int | None = None
    """See Reading.remember_from; kept beside the checkpoint."""
    lease: int = 0
    """Generation of the lease under which the partition is read."""


@dataclass(frozen=True, slots=True)
class SeriesTotal:
    """A series as committed."""

    key: SeriesKey
    total: float
    """Sum of the increments (for a histogram: the sum of observed values)."""
    buckets: tuple[int, ...] | None
    """Histograms: observations per bucket, not cumulated, +Inf last. None: a counter."""
    created: int
    """Milliseconds: when the series was first committed."""
    revealed: bool
    """Whether the total may be exposed already (see metrics: born at zero)."""
    event_id: str | None
    """Id of the last counted match, for the exemplar."""
    event_value: float
    """What the last match added."""
    event_time: int | None
    """When the last match happened, milliseconds."""


@dataclass(frozen=True, slots=True)
class RuleTotal:
    """What a rule has counted on a source."""

    source: str
    rule: str
    matches: int
    value_errors: int
    overflowed: int
    """Increments that went to the overflow series."""
    series: int
    """Label sets of the rule, over all sources, the overflow series not counted."""
    last_event_time: int | None


@dataclass(frozen=True, slots=True)
class Committed:
    """The outcome of one commit: only what is durable now."""

    series: Sequence[SeriesTotal] = ()
    """Each series that the batch changed, as it is now, summed over the lanes."""
    rules: Sequence[RuleTotal] = ()
    """Each (source, rule) that the batch changed, as it is now, summed over the lanes."""
    counted: Sequence[Increment] = ()
    """The increments that were new, value errors included, duplicates left out."""
    overflowed: frozenset[str] = field(default_factory=frozenset)
    """Rules that sent an increment to their overflow series in this batch."""
    saturated: frozenset[str] = field(default_factory=frozenset)
    """Rules with a total that is too large to take a value of this batch (a value error)."""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """A rule as a configuration has it on one source."""

    start: int | None
    """Milliseconds of event time from which it counts. None: everything counts (files)."""
    own_start: bool
    """Whether ``start`` is the rule's own. A source's holds for the rules of its first run only;
    a rule that is added later counts from then on."""
    definition: str
    """Canonical JSON of what decides the rule's matches and increments; equal text means unedited.
    The ledger reads ``metric``, ``buckets`` (a list, or null for a counter), the names in
    ``labels`` (an object) and ``uses_default_metric`` of it."""
    max_series: int


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """The result of ``Ledger.load_rules``."""

    versions: Mapping[str, Sequence[RuleVersion]]
    """By source. Versions of one rule on one source never overlap, and come oldest first."""
    ended: Sequence[SeriesKey] = ()
    """Series that are gone: a rule's type, buckets or label names have changed, so its metric
    restarts at zero."""
    totals: Sequence[RuleTotal] = ()
    """What every rule has counted."""


@dataclass(frozen=True, slots=True)
class LedgerCondition:
    """How a ledger is."""

    created: int
    """Milliseconds: when it was begun."""
    place: str
    """Where it is kept, for messages."""
    files_lost: int = 0
    """How often its files were found removed or replaced while they were open."""
    checking: bool = False
    """Whether it is still being checked for damage."""
    problem: str | None = None
    """Why nothing can be committed, a sentence; None: nothing is known of."""


class Ledger(Protocol):
    """Thread-safe; every method is one transaction and raises LedgerError."""

    def load_rules(
        self,
        uses: Mapping[str, Mapping[str, RuleUse]],
        *,
        now: int,
        keep: Mapping[str, int],
        generation: str,
    ) -> LoadedRules:
        """Load a configuration's rules and return the versions that judge.

        An edit closes a rule's version on a source at ``now`` and opens the next one; a rule that
        is no longer configured has its version closed. An edit that the series of a metric cannot
        survive ends these series; earlier versions of the rule keep their pattern and take the
        rest of the new definition.

        Args:
            uses: by source and rule.
            now: milliseconds.
            keep: by source, milliseconds for which a version is kept after it ended: the lookback.
                0 if events come once: the latest version judges them all.
            generation: a digest of the configuration. Nothing is closed that another holder's
                generation still names, and a generation that is older than one held by another
                holder changes nothing.
        """

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int, generation: str
    ) -> dict[str, dict[str, int]]:
        """Return since when each scope of each source is configured, milliseconds; new: ``now``.

        A scope is a part of a source that is configured by itself, a region or a name of log
        groups. One that no held generation names any more is deleted.
        """

    def declare(self, series: Iterable[tuple[str, SeriesKey]]) -> list[SeriesTotal]:
        """Create the (rule, series) that do not exist yet, at 0 and not revealed; return all.

        One transaction, however many there are.
        """

    def checkpoint(self, partition: Partition) -> str | None:
        """The partition's last committed checkpoint."""

    def has_progress(self, source: str) -> bool:
        """Whether anything of the source was ever read."""

    def commit(self, batch: Batch) -> Committed:
        """Count what is new in the batch and move the checkpoint: all of it or nothing.

        A value that is not finite, or that a total cannot take, is a value error like a missing
        one; such an increment is in ``counted`` without its value.

        Raises:
            FencedError: the stored checkpoint is not ``batch.expected``, or the lease is over.
        """

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """Record that these series may be exposed at their totals from now on."""

    def series(self) -> list[SeriesTotal]:
        """All series."""

    def rule_totals(self) -> list[RuleTotal]:
        """All (source, rule) totals."""

    def forget(
        self, source: str, found: Iterable[Partition], *, looked_at: int | None, memory: int
    ) -> int:
        """Delete memory of events that no partition of the source can bring again; how many.

        ``exporter/exactness.py`` has the rule (retention).

        Args:
            source: the source, whose feed is meant.
            found: its partitions.
            looked_at: when the last discovery that failed nowhere began, milliseconds. None if
                there was none, or if a partition was not read yet under this configuration.
            memory: see Source.memory, milliseconds.
        """

    def condition(self) -> LedgerCondition:
        """How the ledger is."""

    def watch_files(self, on_loss: Callable[[], object]) -> None:
        """Call ``on_loss`` whenever the ledger's files are found removed or replaced."""

    def close(self) -> None:
        """Release the ledger; idempotent."""
