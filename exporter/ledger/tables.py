"""The ledger's tables, schema 3: each row is a named tuple whose first fields are its key.

Values are text, integers, floats and bytes; every row is stored with a checksum. Times are
milliseconds. Nothing needs sequences, sub-transactions or the dialect of one database.
"""

from __future__ import annotations

import types
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import (
    Final,
    Generic,
    NamedTuple,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

Value: TypeAlias = str | int | float | bytes | None
Key: TypeAlias = tuple[Value, ...]

SCHEMA_VERSION: Final = 3
LARGEST: Final = 2**63 - 1
EARLIER: Final = 2
"""See ``Member.overflow``."""
"""Databases store integers of 64 bits."""
BY_READING_TIME: Final = (0, 1)
"""Levels of blocks from before memory went by event time: buffers, whose entries override those of
level 1, and blocks sorted by digest. They are read until they expire."""
BY_EVENT_TIME: Final = 2
"""The level of blocks sorted by event time and digest."""
FIRST_SLOT: Final = 1 << 46
"""Segments from here on are slots of event time; those below are spans of reading time."""


class Fact(NamedTuple):
    """A property of the ledger (see ``StoredLedger``)."""

    name: str
    value: str


SEEN: Final = "seen of "
"""Names of facts begin so and end in the name of a source: see ``Member.seen``."""


class Checkpoint(NamedTuple):
    """A partition's checkpoint."""

    source: str
    partition: bytes
    """See ``partition_key``."""
    checkpoint: bytes
    remember_from: int | None
    """See ``Reading.remember_from``; None if its events come once."""
    lease: int
    updated: int
    let_go: int
    """1 if the partition is gone and no longer delays the expiry of memory (see retention)."""


class Version(NamedTuple):
    """A version of a rule on a source."""

    source: str
    rule: str
    number: int
    since: int | None
    until: int | None
    definition: str
    """Empty if it comes from schema 1, which did not have it."""
    own_start: int
    max_series: int


class Scope(NamedTuple):
    """Since when an item of a source's configuration exists (see ``Ledger.load_scopes``)."""

    source: str
    scope: str
    since: int


class Generation(NamedTuple):
    """A configuration that a process runs."""

    generation: str
    kind: str
    """``rules`` or ``scopes``."""
    loaded: int
    """When it was loaded; unique, so it orders generations."""
    names: str
    """JSON: a list of [source, rule] or [source, scope]."""


class Holder(NamedTuple):
    """The generation that a process runs."""

    holder: str
    kind: str
    generation: str


class Series(NamedTuple):
    """A series; its value is the sum of its totals."""

    id: bytes
    """See ``series_id``."""
    metric: str
    labels: str
    bounds: str | None
    """A histogram's upper bounds; None for a counter. For all three formats see ``rows.py``."""
    created: int
    revealed: int


class Total(NamedTuple):
    """The part of a series' total that was counted in one ``lane``."""

    series: bytes
    lane: str
    """See ``counting.lane``."""
    total: float
    buckets: str | None
    event_id: str | None
    event_value: float
    event_time: int | None


class Member(NamedTuple):
    """A series that a rule has incremented."""

    rule: str
    metric: str
    series: bytes
    overflow: int
    """1 for an overflow series. EARLIER is added if it is from before the rule gained labels: then
    no limit counts it."""

    @property
    def counts(self) -> tuple[int, int]:
        """What it adds to ``series`` and ``overflow`` of a MemberCount."""
        return int(self.overflow == 0), int(self.overflow == 1)


class MemberCount(NamedTuple):
    """The number of a rule's members of a metric."""

    rule: str
    metric: str
    series: int
    overflow: int
    """Overflow series, not included in ``series``."""


class AccountCount(NamedTuple):
    """The number of a rule's members of a metric in an account, which ``max_series`` limits."""

    rule: str
    metric: str
    account_id: str
    series: int
    overflow: int
    """Overflow series, not included in ``series``."""
    label_values: str
    """See ``overflow.Account``."""


class RuleCount(NamedTuple):
    """The part of a rule's counts on a source that was counted in one ``lane``."""

    source: str
    rule: str
    lane: str
    matches: int
    value_errors: int
    overflowed: int
    last_event_time: int | None


class Feed(NamedTuple):
    """The state of a feed's memory."""

    feed: str
    format: str
    """The source's format in the last commit."""
    segment: int
    """-1, unless there may be segments of reading time: then the last of them."""
    opened: int
    """The latest time of the events that were remembered before the last change of the format."""
    changed: int
    """FIRST_SLOT while memory from before a change of the format is left, else -1. In a feed that
    was last written before memory went by event time, its last segment from before the change."""
    line: int | None
    following: int | None
    since: int | None
    """See ``exactness.RetentionLine``."""


class RuleSetRow(NamedTuple):
    """A set of rules that have judged events; entries of memory refer to it by number."""

    id: int
    rules: str
    """JSON, sorted."""


class Segment(NamedTuple):
    """A part of a feed's memory, which is deleted as a whole."""

    feed: str
    scope: bytes
    segment: int
    """A slot of event time (see ``memory.slot_of``)."""
    newest: int
    """The latest time of its events."""
    entries: int
    sets: str
    """JSON: the numbers of the rule sets that its entries refer to."""


class Block(NamedTuple):
    """Sorted entries of a segment, with names in [first, until) (see ``blocks.py``)."""

    feed: str
    scope: bytes
    segment: int
    level: int
    """BY_EVENT_TIME, or one of BY_READING_TIME."""
    first: bytes
    until: bytes
    """Empty for the last block."""
    entries: bytes


Row = TypeVar("Row", bound=tuple[Value, ...])
_TYPES: Final = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}


@dataclass(frozen=True, eq=False)
class Table(Generic[Row]):
    """A table; the first ``key_length`` fields of its rows are the key."""

    name: str
    row: type[Row]
    key_length: int

    @cached_property
    def make(self) -> Callable[[tuple[Value, ...]], Row]:
        """Makes a row of its values."""
        return self.row._make  # type: ignore[attr-defined, no-any-return]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns except the checksum."""
        return self.row._fields  # type: ignore[attr-defined, no-any-return]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key."""
        return self.columns[: self.key_length]

    @property
    def definition(self) -> str:
        """The statement that creates the table."""
        columns = [f"{name} {_sql_type(kind)}" for name, kind in get_type_hints(self.row).items()]
        return (
            f"CREATE TABLE {self.name} ({', '.join(columns)}, checksum INTEGER NOT NULL,"
            f" PRIMARY KEY ({', '.join(self.key)}))"
        )

    def checksum(self, row: tuple[Value, ...]) -> int:
        """Return the CRC-32 of a row, which finds every change of up to 32 consecutive bits."""
        parts = [self.name.encode()]
        add = parts.append
        for value in row:
            kind = type(value)
            if kind is str:
                text = value.encode("utf-8", "surrogatepass")  # type: ignore[union-attr]
                add(b"s%d:" % len(text))
                add(text)
            elif kind is bytes:
                add(b"b%d:" % len(value))  # type: ignore[arg-type]
                add(value)  # type: ignore[arg-type]
            else:
                add(b"%a;" % (int(value) if isinstance(value, bool) else value))
        return zlib.crc32(b"".join(parts))


def _sql_type(kind: object) -> str:
    is_optional = get_origin(kind) is types.UnionType
    plain = next(one for one in get_args(kind) if one is not type(None)) if is_optional else kind
    return _TYPES[plain] + ("" if is_optional else " NOT NULL")  # type: ignore[index]


FACTS: Final = Table("facts", Fact, 1)
CHECKPOINTS: Final = Table("checkpoints", Checkpoint, 2)
VERSIONS: Final = Table("versions", Version, 3)
SCOPES: Final = Table("scopes", Scope, 2)
GENERATIONS: Final = Table("generations", Generation, 2)
HOLDERS: Final = Table("holders", Holder, 2)
SERIES: Final = Table("series", Series, 1)
TOTALS: Final = Table("totals", Total, 2)
MEMBERS: Final = Table("members", Member, 3)
MEMBER_COUNTS: Final = Table("member_counts", MemberCount, 2)
ACCOUNT_COUNTS: Final = Table("account_counts", AccountCount, 3)
RULE_COUNTS: Final = Table("rule_counts", RuleCount, 3)
FEEDS: Final = Table("feeds", Feed, 1)
RULE_SETS: Final = Table("rule_sets", RuleSetRow, 1)
SEGMENTS: Final = Table("segments", Segment, 3)
BLOCKS: Final = Table("blocks", Block, 5)

TABLES: Final[tuple[Table[tuple[Value, ...]], ...]] = (
    *(FACTS, CHECKPOINTS, VERSIONS, SCOPES, GENERATIONS, HOLDERS, SERIES, TOTALS),
    *(MEMBERS, MEMBER_COUNTS, ACCOUNT_COUNTS, RULE_COUNTS, FEEDS, RULE_SETS, SEGMENTS, BLOCKS),
)  # type: ignore[assignment]
