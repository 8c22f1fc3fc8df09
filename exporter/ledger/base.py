"""The ledger's interface: checkpoints, counted matches and series totals, committed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.model import Increment, Partition, SeriesKey


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Everything that one commit makes durable."""

    partition: Partition
    checkpoint: str
    increments: Sequence[Increment] = ()
    remember_from: int | None = None
    """See Reading.remember_from; kept beside the checkpoint."""


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
    """Each series that the batch changed, as it stands now."""
    rules: Sequence[RuleTotal] = ()
    """Each (source, rule) that the batch changed, as it stands now."""
    counted: Sequence[Increment] = ()
    """The increments that were new (value errors among them), duplicates left out."""
    overflowed: frozenset[str] = field(default_factory=frozenset)
    """Rules that sent an increment to their overflow series in this batch."""
    saturated: frozenset[str] = field(default_factory=frozenset)
    """Rules with a total that is too large to take a value of this batch (a value error)."""


@dataclass(frozen=True, slots=True)
class SeriesRule:
    """What the ledger must know of a rule to place its increments."""

    name: str
    max_series: int
    buckets: tuple[float, ...] | None
    """Histogram upper bounds, ascending, without +Inf. None: a counter."""
    metric: str | None = None
    """The rule's metric. Given, series that the ledger keeps of it end if the rule can no longer
    feed them, and those of a metric that the rule fed before no longer count towards
    ``max_series``."""
    labels: frozenset[str] | None = None
    """Names of the rule's own labels. None: any will do."""
    shares: bool = True
    """Whether all rules of the metric have these labels; else each has its own (the default
    metric, whose label ``rule`` tells them apart)."""


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """What ``Ledger.load_rules`` came to."""

    starts: Mapping[str, Mapping[str, int | None]]
    """By source and rule: since when it counts, milliseconds of event time; None: all counts."""
    ended: Sequence[SeriesKey] = ()
    """Series that are no more: a rule's type, buckets or label names have changed, so its metric
    begins anew at zero."""
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
        self, starts: Mapping[str, Mapping[str, int | None]], *, rules: Iterable[SeriesRule]
    ) -> LoadedRules:
        """Make a configuration's rules known, and return since when each counts on each source.

        ``starts``: by source and rule, the start in milliseconds of event time, used where the
        (source, rule) is new; a known one keeps the start it was first loaded with. A (source,
        rule) that is not named any more is forgotten; its series and totals stay. An edit that the
        series of a rule's metric cannot survive ends these series, and no others.
        """

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int
    ) -> dict[str, dict[str, int]]:
        """Return since when each scope of each source is configured, milliseconds; new: ``now``.

        A scope is a part of a source that is configured by itself, a region or a name of log
        groups. One that is not named any more is forgotten.
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
        """Count what is new in the batch and move the checkpoint: all of it or nothing."""

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """Record that these series may be exposed at their totals from now on."""

    def series(self) -> list[SeriesTotal]:
        """All series."""

    def rule_totals(self) -> list[RuleTotal]:
        """All (source, rule) totals."""

    def forget(
        self, source: str, found: Iterable[Partition], *, looked_at: int | None, memory: int
    ) -> int:
        """Forget counted events that no partition of the source can bring again; return how many.

        ``exporter/ledger/memory.py`` has the rule. ``found``: the partitions that there are.
        ``looked_at``: when the last look for them began that could look everywhere, milliseconds;
        None while there was none, or while one of them was not yet read under this configuration:
        what it will bring is unknown. ``memory``: see Source.memory, milliseconds.
        """

    def condition(self) -> LedgerCondition:
        """How the ledger is."""

    def watch_files(self, on_loss: Callable[[], object]) -> None:
        """Call ``on_loss`` whenever the ledger's files are found removed or replaced."""

    def close(self) -> None:
        """Release the ledger; idempotent."""
