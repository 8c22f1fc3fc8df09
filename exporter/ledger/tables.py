"""The ledger's tables, schema 2: each row is a named tuple whose first fields are its key.

The tables hold text, whole numbers, floats and bytes, and every row has a checksum. Nothing here
needs sequences, sub-transactions or one database's dialect, so that a store is quickly written.
"""

from __future__ import annotations

import types
import zlib
from dataclasses import dataclass
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

SCHEMA_VERSION: Final = 2
"""A change of the tables raises it."""


class Fact(NamedTuple):
    """What the ledger knows of itself: see ``StoredLedger``."""

    name: str
    value: str


class Checkpoint(NamedTuple):
    """A partition's position."""

    source: str
    partition: bytes
    """Its key; a path may hold bytes that are not UTF-8."""
    checkpoint: bytes
    remember_from: int | None
    """See ``Reading.remember_from``. None: its events come once."""
    lease: int
    updated: int
    let_go: int
    """Whether the partition went and others' memory no longer waits for it (see retention)."""


class Version(NamedTuple):
    """A version of a rule on a source."""

    source: str
    rule: str
    number: int
    since: int | None
    until: int | None
    definition: str
    """Empty: loaded by a version of the exporter that did not keep it."""
    own_start: int
    max_series: int


class Scope(NamedTuple):
    """Since when a part of a source is configured, milliseconds."""

    source: str
    scope: str
    since: int


class Generation(NamedTuple):
    """A configuration that a holder of the ledger runs."""

    generation: str
    kind: str
    """``rules`` or ``scopes``."""
    loaded: int
    """Orders generations: milliseconds, made unique."""
    names: str
    """JSON: the [source, rule] or [source, scope] that it has."""


class Holder(NamedTuple):
    """Which generation a process runs."""

    holder: str
    kind: str
    generation: str


class Series(NamedTuple):
    """A series; its value is the sum of its totals."""

    id: bytes
    """See ``series_id``."""
    metric: str
    labels: str
    """JSON, ASCII only: any string survives, lone surrogates too."""
    bounds: str | None
    """JSON: a histogram's upper bounds. None: a counter."""
    created: int
    revealed: int


class Total(NamedTuple):
    """What a lane has added to a series."""

    series: bytes
    lane: str
    """See ``lane``: partitions of different lanes never write to the same row."""
    total: float
    buckets: str | None
    """JSON: observations per bucket, +Inf last."""
    event_id: str | None
    event_value: float
    event_time: int | None


class Member(NamedTuple):
    """A series that a rule has fed."""

    rule: str
    metric: str
    series: bytes
    overflow: int


class MemberCount(NamedTuple):
    """How many series of a metric a rule has fed; ``max_series`` is compared with it."""

    rule: str
    metric: str
    series: int
    overflow: int
    """Overflow series, not among ``series``."""


class RuleCount(NamedTuple):
    """What a rule has counted in a lane of a source."""

    source: str
    rule: str
    lane: str
    matches: int
    value_errors: int
    overflowed: int
    last_event_time: int | None


class Feed(NamedTuple):
    """How the memory of a feed is kept."""

    feed: str
    format: str
    """The format by which events were named last."""
    segment: int
    """The segment that new memory goes to."""
    opened: int
    """Reading time, milliseconds, at which it was opened."""
    changed: int
    """The last segment from before a change of the format; -1: there is none."""
    line: int | None
    following: int | None
    since: int | None
    """See ``exactness.Line``."""


class RuleSetRow(NamedTuple):
    """A set of rules that have judged events, so that memory can name it by a number."""

    id: int
    rules: str
    """JSON, sorted."""


class Segment(NamedTuple):
    """A part of a feed's memory, which is deleted as a whole."""

    feed: str
    scope: bytes
    segment: int
    newest: int
    """Milliseconds: the latest time of an event in it."""
    entries: int
    sets: str
    """JSON: the rule sets that its entries name."""


class Block(NamedTuple):
    """Entries of a segment whose digests are from ``first`` to before ``until``, sorted."""

    feed: str
    scope: bytes
    segment: int
    level: int
    """0: a buffer, whose entries go before those of level 1."""
    first: bytes
    until: bytes
    """Empty: the segment's last block."""
    entries: bytes


Row = TypeVar("Row", bound=tuple[Value, ...])
_TYPES: Final = {str: "TEXT", int: "INTEGER", float: "REAL", bytes: "BLOB"}


@dataclass(frozen=True, eq=False)
class Table(Generic[Row]):
    """A table: its name, the type of its rows, and how many of their fields are the key."""

    name: str
    row: type[Row]
    key_length: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a row's fields."""
        return self.row._fields  # type: ignore[attr-defined, no-any-return]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row."""
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
        """CRC-32 of a row: finds every change of up to 32 bits in a row (a byte, four bytes)."""
        crc = zlib.crc32(self.name.encode())
        for value in row:
            if isinstance(value, bytes):
                crc = zlib.crc32(value, zlib.crc32(b"b%d:" % len(value), crc))
            elif isinstance(value, str):
                text = value.encode("utf-8", "surrogatepass")
                crc = zlib.crc32(text, zlib.crc32(b"s%d:" % len(text), crc))
            else:
                number = int(value) if isinstance(value, bool) else value
                crc = zlib.crc32(repr(number).encode() + b";", crc)
        return crc


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
RULE_COUNTS: Final = Table("rule_counts", RuleCount, 3)
FEEDS: Final = Table("feeds", Feed, 1)
RULE_SETS: Final = Table("rule_sets", RuleSetRow, 1)
SEGMENTS: Final = Table("segments", Segment, 3)
BLOCKS: Final = Table("blocks", Block, 5)

TABLES: Final[tuple[Table[tuple[Value, ...]], ...]] = (
    FACTS,
    CHECKPOINTS,
    VERSIONS,
    SCOPES,
    GENERATIONS,
    HOLDERS,
    SERIES,
    TOTALS,
    MEMBERS,
    MEMBER_COUNTS,
    RULE_COUNTS,
    FEEDS,
    RULE_SETS,
    SEGMENTS,
    BLOCKS,
)  # type: ignore[assignment]
