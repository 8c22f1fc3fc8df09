"""The ledger's interface: checkpoints, counted matches and series totals, committed together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from exporter.exactness import RuleVersion
from exporter.model import EventKey, EventPlace, JudgedEvent, Partition, SeriesKey

NO_FEEDS: Final[Mapping[str, str]] = MappingProxyType({})
"""Each source is a feed of its own."""


class LedgerError(Exception):
    """The ledger cannot be opened, read or written; the message says why and what to do."""


class FencedError(LedgerError):
    """Another process has read the partition since this reading began; nothing has changed.

    The next poll starts from the checkpoint that is now in the ledger.
    """


def later(one: int | None, other: int | None) -> int | None:
    """Return the later of two times; None if both are unknown."""
    return max((time for time in (one, other) if time is not None), default=None)


@dataclass(frozen=True, slots=True)
class Batch:
    """One commit: a reading and what its events add."""

    partition: Partition
    feed: str
    """The key of memory: sources of one feed bring the same events."""
    checkpoint: str
    expected: str | None
    """The checkpoint that the reading started from; None if the partition was never read."""
    events: Sequence[JudgedEvent] = ()
    """Events with at least one increment; others need no memory."""
    format: str = ""
    """See Feed.format. After it changes, events are also looked up by their aliases until the
    memory from before the change expires."""
    remember_from: int | None = None
    """See Reading.remember_from."""
    lease: int = 0
    """Generation of the lease under which the partition is read."""
    is_shared: bool = False
    """Whether the feed has other sources."""


@dataclass(frozen=True, slots=True)
class Member:
    """A source of a feed, for the expiry of the feed's memory."""

    source: str
    found: Sequence[Partition]
    """Its partitions."""
    looked_at: int | None
    """Start of the last discovery without any failure, milliseconds. None if there was none, or if
    a partition was not read yet under this configuration."""
    memory: int
    """See Source.memory, milliseconds."""
    seen: str = ""
    """The rates of its partitions, for ``check --plan``; empty to keep those in the ledger."""


@dataclass(frozen=True, slots=True)
class SeriesTotal:
    """A series as committed. Times are milliseconds."""

    key: SeriesKey
    total: float
    """Sum of the increments (for a histogram: of the observed values)."""
    buckets: tuple[int, ...] | None
    """Observations in each bucket of a histogram, not cumulative, +Inf last; None for a counter."""
    created: int
    """When the series was first committed."""
    revealed: bool
    """Whether the total may be exposed, or still 0 (see metrics: zero-initialised)."""
    event_id: str | None
    """Id of the last counted match, for the exemplar."""
    event_value: float
    event_time: int | None


@dataclass(slots=True)
class RuleChange:
    """What a commit added to the counts of a rule on a source."""

    source: str
    rule: str
    matches: int = 0
    value_errors: int = 0
    overflowed: int = 0
    """Increments that went to an overflow series."""
    last_event_time: int | None = None
    """The latest of the added events, milliseconds."""
    series: int = 0
    """Series of the rule over all sources from now on, without overflow series."""
    fullest: int = 0
    """Of these, in the account that has most; 0 if none was added."""

    def add(self, other: RuleChange) -> None:
        """Add another change of the same rule on the same source."""
        self.matches += other.matches
        self.value_errors += other.value_errors
        self.overflowed += other.overflowed
        self.last_event_time = later(self.last_event_time, other.last_event_time)


@dataclass(frozen=True, slots=True)
class RuleTotal:
    """The counts of a rule on a source."""

    source: str
    rule: str
    matches: int = 0
    value_errors: int = 0
    overflowed: int = 0
    """Increments that went to an overflow series."""
    series: int = 0
    """Series of the rule over all sources, without overflow series."""
    last_event_time: int | None = None
    fullest: int = 0
    """Series of the rule in the account that has most, without overflow series."""

    def after(self, change: RuleChange) -> RuleTotal:
        """Return the counts after a commit; commits may be reported in another order."""
        return RuleTotal(
            self.source,
            self.rule,
            self.matches + change.matches,
            self.value_errors + change.value_errors,
            self.overflowed + change.overflowed,
            max(self.series, change.series),
            later(self.last_event_time, change.last_event_time),
            max(self.fullest, change.fullest),
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """The durable outcome of one commit."""

    series: Sequence[SeriesTotal] = ()
    """Each series that the batches changed."""
    rules: Sequence[RuleChange] = ()
    """Each (source, rule) that the batches changed."""
    new: Sequence[JudgedEvent] = ()
    """Events that counted for at least one rule, with those increments."""


@dataclass(frozen=True, slots=True)
class RuleUse:
    """A configured rule on one source."""

    start: int | None
    """The rule counts from this event time on, milliseconds; None if everything counts (files)."""
    own_start: bool
    """Whether ``start`` is configured on the rule. A source's ``start`` applies to the rules of its
    first run only; a rule that is added later counts from then on."""
    definition: str
    """See ``rules.definition``. The ledger reads ``metric``, ``buckets``, ``labels`` and
    ``uses_default_metric``."""
    max_series: int


@dataclass(frozen=True, slots=True)
class Relabeled:
    """Series of a metric whose rules have gained or lost labels. Their totals are kept."""

    metric: str
    gained: tuple[str, ...]
    """Empty in the series of before."""
    lost: tuple[str, ...]
    before: Sequence[SeriesKey]
    """They are deleted."""
    after: Sequence[SeriesTotal]
    """The series that replace them. Those that differ in lost labels only are summed up."""


@dataclass(frozen=True, slots=True)
class LoadedRules:
    """The result of ``Ledger.load_rules``."""

    versions: Mapping[str, Sequence[RuleVersion]]
    """By source. Versions of one rule on one source do not overlap; oldest first."""
    ended: Sequence[SeriesKey] = ()
    """Deleted series: their metric has another type or other buckets."""
    relabeled: Sequence[Relabeled] = ()
    totals: Sequence[RuleTotal] = ()
    joined: Mapping[str, int] = field(default_factory=dict)
    """By source, when it joined its feed, milliseconds, if it does not count earlier events."""

    @property
    def gone(self) -> list[SeriesKey]:
        """The deleted series: they have ended, or are ``carried`` on as others."""
        return [*self.ended, *(key for one in self.relabeled for key in one.before)]

    @property
    def carried(self) -> list[SeriesTotal]:
        """The series that others have become."""
        return [total for one in self.relabeled for total in one.after]


@dataclass(frozen=True, slots=True)
class LedgerCondition:
    """The state of the ledger's storage."""

    created: int
    """Milliseconds."""
    location: str
    """Its path or URL, for messages."""
    files_lost: int = 0
    """How often its files were found removed or replaced while they were open."""
    checking: bool = False
    """Whether it is still being checked for damage."""
    problem: str | None = None
    """Why nothing can be committed, a sentence; None if no problem is known."""
    size: int | None = None
    """Bytes of its files; None if unknown."""
    free: int | None = None
    """Bytes that are free on its volume; None if unknown."""


class Ledger(Protocol):
    """Thread-safe; every method is one transaction and raises LedgerError."""

    def load_rules(
        self,
        uses: Mapping[str, Mapping[str, RuleUse]],
        *,
        now: int,
        keep: Mapping[str, int],
        generation: str,
        feeds: Mapping[str, str] = NO_FEEDS,
    ) -> LoadedRules:
        """Load a configuration's rules and return the versions that judge events.

        An edit ends a rule's version on a source at ``now`` and starts the next one. The version of
        a removed rule ends. If the series of a metric cannot survive an edit, they are deleted; if
        its labels have other names, they are carried on under these (see ``Relabeled``). Earlier
        versions of the rule keep their pattern and take the rest of the new definition.

        Args:
            uses: by source and rule.
            now: milliseconds.
            keep: by source, how long a version is kept after its end: the lookback, milliseconds.
                0 if events come once to a feed of one source: the latest version judges them all.
            generation: a digest of the configuration. Versions that the generation of another
                process still names do not end. A generation that is older than that of another
                process changes nothing.
            feeds: the feed of each source; by default, its name.
        """

    def load_scopes(
        self, scopes: Mapping[str, Iterable[str]], *, now: int, generation: str
    ) -> dict[str, dict[str, int]]:
        """Return since when each scope of each source is configured, milliseconds.

        A scope is an item of a source's configuration: a region or a log group name. New ones get
        ``now``. Those that no generation in use names are deleted.
        """

    def declare(self, series: Iterable[tuple[str, SeriesKey]]) -> list[SeriesTotal]:
        """Create the missing ones of these (rule, series) at 0, not revealed; return all."""

    def checkpoint(self, partition: Partition) -> str | None:
        """Return the partition's last committed checkpoint."""

    def checkpoints(self, partitions: Iterable[Partition]) -> dict[Partition, str]:
        """Return the last committed checkpoints of those partitions that have one."""

    def checkpoints_of(self, source: str) -> dict[str, str]:
        """Return the last committed checkpoints of a source by ``Partition.key``."""

    def move(self, moves: Mapping[Partition, tuple[str | None, str | None]]) -> None:
        """Change checkpoints whose partitions were renamed: all or none.

        ``moves``: what each was and will be; None for no checkpoint. Raises FencedError if one is
        another by now.
        """

    def counted_since(
        self, source: str, partitions: Mapping[Partition, int]
    ) -> dict[Partition, int]:
        """Return the event time from which each partition of a source is counted, milliseconds.

        ``partitions``: the times of those that are new. They are kept when rules and ``start`` are
        edited. If a source is configured again after it was removed, its partitions are new, and
        nothing is counted from before that.
        """

    def note_catching_up(self, source: str, until: int, places: frozenset[EventPlace]) -> None:
        """Record, a minute exactly, until when a source catches up, milliseconds, and where.

        A process that starts in that time would not know it, although the totals that it loads
        include the backlog.
        """

    def catching_up(self, source: str) -> tuple[int, frozenset[EventPlace]]:
        """Return what was noted last; 0 if nothing was."""

    def has_progress(self, source: str) -> bool:
        """Return whether any partition of the source has a checkpoint."""

    def judged(self, feed: str, events: Sequence[EventKey]) -> list[frozenset[str] | None]:
        """Return the rules that have judged each event; None if it is not remembered.

        An answer may be None for an event that counted (under another format of the source), but
        never names rules that have not judged it.
        """

    def commit(self, *batches: Batch) -> Committed:
        """Count the new events of batches of one source and store their checkpoints: all or none.

        A value that is not finite, or too large for its total, is a value error.

        Raises:
            FencedError: a stored checkpoint is not ``Batch.expected``, or the lease is over.
        """

    def reveal(self, keys: Iterable[SeriesKey]) -> None:
        """Record that these series may be exposed at their totals from now on."""

    def series(self) -> Iterator[SeriesTotal]:
        """Yield all series in any order, one at a time, since there may be 100,000."""

    def rule_totals(self) -> list[RuleTotal]:
        """Return the totals of all rules, including those that are no longer loaded."""

    def latest_matches(self, rule: str, most: int) -> list[SeriesTotal]:
        """Return the series of a rule that matched last, the latest first.

        Only series that no other rule has incremented, and whose last match has a time: the
        exemplar of any other may not be a match of this rule.
        """

    def expire(self, feed: str, members: Sequence[Member]) -> int:
        """Delete memory of events that no partition of the feed's sources can bring again.

        ``exporter/exactness.py`` has the rule (retention). Returns the number of events.
        """

    def condition(self) -> LedgerCondition:
        """Return the state of the storage."""

    def watch_files(self, on_loss: Callable[[], object]) -> None:
        """Call ``on_loss`` when the ledger's files are found removed or replaced."""

    def close(self) -> None:
        """Release the ledger; idempotent."""
