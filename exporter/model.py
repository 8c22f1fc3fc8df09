"""The words that all stages share: partition, log event, series, increment, source error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Literal, NamedTuple, Self, TypeVar, overload

import msgspec

EventFormat = Literal["auto", "cloudtrail", "lines"]
"""How a source's messages are to be understood.

``cloudtrail``: each JSON message is a CloudTrail record. ``lines``: none is. ``auto``: a message
with the fields that only CloudTrail writes together is one.
"""


LONGEST = 8 * 1024 * 1024
"""Characters of a JSON record, or bytes of a line. Longer ones do not count. AWS: a record has at
most 1 MB."""
LONG = 1024 * 1024
"""Characters from which a record is unusual, and is looked at before it is decoded."""

_T = TypeVar("_T")


def pickled_by_fields(of: type[_T]) -> type[_T]:
    """Pickle the objects of a dataclass by its fields.

    Python's own way for dataclasses with slots asks for the fields each time, which takes 20 us.
    """
    values = attrgetter(*(one.name for one in fields(of)))  # type: ignore[arg-type]
    of.__reduce__ = lambda self: (of, values(self))  # type: ignore[method-assign]
    return of


@dataclass(frozen=True, slots=True)
class PartitionKind:
    """Properties of partitions and their log events that follow from the type of the source."""

    label: str = ""
    """The label of the exporter's own metrics that has the resource: ``log_group``, ``path``."""
    noun: str = ""
    """The name of the resource in headings: ``Log group``."""
    on_series: bool = False
    """Whether rule series carry the label too."""
    by_event_time: bool = True
    """Whether it is read by event time, each slice again at growing ages. If not, each log event
    comes once, its own time is unknown, and all count at any age."""
    local_ids: bool = False
    """Whether an id is unique within its partition only, since others than AWS can write there and
    copy ids."""


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Partition:
    """The unit in which a source keeps its position.

    One (account, region) of event history, one (account, region, log group), or one file.
    """

    source: str
    """The source's name in the configuration."""
    account_id: str = ""
    """Empty if it belongs to no account (a file), or if the account is not known."""
    region: str = ""
    resource: str = ""
    """The name of the log group or the path of the file; empty for a whole region."""
    kind: PartitionKind = field(default=PartitionKind(), compare=False, repr=False)
    """Set by the source's type; no part of the partition's identity."""

    @property
    def key(self) -> str:
        """The partition's name within its source: stable over restarts, the ledger's key."""
        return ":".join(part for part in (self.account_id, self.region, self.resource) if part)

    def __str__(self) -> str:
        """For log lines and error messages: the source and the partition in it."""
        return f"{self.source} {self.key}".rstrip()


@dataclass(frozen=True, slots=True)
class Feed:
    """Sources that bring the same events: each counts once for a rule, whichever brings it."""

    name: str
    """The ``source`` label of the series."""
    sources: tuple[str, ...]
    """Their names, in the configuration's order."""
    format: str
    """The formats of the sources: events are remembered by ids that depend on them."""

    @property
    def is_shared(self) -> bool:
        """Whether there is more than one source."""
        return len(self.sources) > 1


class LogEvent(msgspec.Struct, frozen=True, gc=False):
    """One record of a source: a CloudTrail record or a CloudWatch Logs message."""

    message: str
    time: int
    """Milliseconds since the epoch, by the clock that the API selects by: a log event's timestamp,
    a look-up's EventTime; for files, the time of reading."""
    id: str | None = None
    """Unique within the partition, or None if the position alone makes the event count once
    (a line of a file)."""


class Delivered(LogEvent, frozen=True, gc=False):
    """A log event of a log group that came in a file or an object."""

    account_id: str = ""
    log_group: str = ""
    happened: int = 0
    """Its timestamp, milliseconds."""
    kind: PartitionKind = PartitionKind()
    """Of the log group, as a partition."""


class Enveloped(LogEvent, frozen=True, gc=False):
    """A log event that has an id, a place and a time of its own, as an envelope of EventBridge.

    ``message`` is the record in the envelope if there is one, else all of it. ``id`` and ``time``
    are the log event's.
    """

    envelope_id: str = ""
    account_id: str = ""
    region: str = ""
    happened: int | None = None
    """The envelope's ``time``, milliseconds."""
    is_record: bool = False


class Records(Sequence[LogEvent]):
    """The log events of a JSON document ``{"Records": […]}``, which is split only if needed.

    Decoding a whole document costs a third of splitting it and decoding each record.
    """

    def __init__(
        self,
        document: bytes | bytearray,
        time: int,
        split: Callable[[bytes | bytearray], Sequence[LogEvent]],
    ) -> None:
        """``time``: of all log events, milliseconds. ``split`` makes them from the document."""
        self.time = time
        self.size = len(document)
        """Bytes of the document."""
        self._document: bytes | bytearray | None = document
        self._split = split
        self._events: Sequence[LogEvent] | None = None
        self._count: int | None = None

    @property
    def document(self) -> bytes | bytearray:
        """The document; raises RuntimeError if it was released."""
        if self._document is None:
            raise RuntimeError("the document was released")
        return self._document

    @property
    def array(self) -> slice | None:
        """See ``array_of_records``."""
        return array_of_records(self.document)

    def counted(self, records: int) -> None:
        """Set the number of records, so that ``len`` does not need to split the document."""
        self._count = records

    def release(self) -> bool:
        """Free the document, once all was made of it that is needed. Returns whether it was freed.

        The log events of a document that was split stay in memory.
        """
        if self._events is not None or self._count is None:
            return False
        self._document = None
        return True

    @property
    def events(self) -> Sequence[LogEvent]:
        """The log events, one for each record."""
        if self._events is None:
            self._events = self._split(self.document)
        return self._events

    def __len__(self) -> int:
        return len(self.events) if self._count is None else self._count

    def __iter__(self) -> Iterator[LogEvent]:
        return iter(self.events)

    @overload
    def __getitem__(self, index: int) -> LogEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LogEvent]: ...
    def __getitem__(self, index: int | slice) -> LogEvent | Sequence[LogEvent]:
        return self.events[index]


class Joined(Sequence[LogEvent]):
    """Several sequences of log events, one after the other."""

    def __init__(self, parts: Sequence[Sequence[LogEvent]]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[LogEvent]:
        return chain.from_iterable(self.parts)

    @overload
    def __getitem__(self, index: int) -> LogEvent: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[LogEvent]: ...
    def __getitem__(self, index: int | slice) -> LogEvent | Sequence[LogEvent]:
        return list(self)[index]


_RECORDS_START = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"Records"[ \t\r\n]*:[ \t\r\n]*\[')
_RECORDS_END = re.compile(rb"\][ \t\r\n]*\}[ \t\r\n]*\Z")
_END = 256
"""Bytes in which the end of a document is looked for."""


def array_of_records(document: bytes | bytearray) -> slice | None:
    """Where a document has what is between ``{"Records":`` and ``}``, if it begins and ends so.

    If it is one JSON array, the document has no other key, and nothing follows it.
    """
    start = _RECORDS_START.match(document)
    end = _RECORDS_END.search(document, max(0, len(document) - _END))
    if start is None or end is None:
        return None
    return slice(start.end() - 1, end.start() + 1)


class Limits(msgspec.Struct, frozen=True):
    """Which log events of a reading count; the others are excluded."""

    account_ids: frozenset[str] | None = None
    """None for events of any account."""
    since: int | None = None
    """Event time, milliseconds; None for events of any age."""


Excluded = Mapping[tuple[str, str], int]
"""Log events that Limits excluded, by reason (``account``, ``start``) and account."""

Labels = tuple[tuple[str, str], ...]
"""Label names and values, in the order in which they are exposed."""

Identity = tuple[str, str]
"""A scope and an event id that is unique within it. The scope is empty for all of a source, else a
partition's key."""

EventKey = tuple[str, str, int | None]
"""The name of an event in memory: its scope, its id, and when it happened (see JudgedEvent)."""

OVERFLOW = "__overflow__"
"""The value of every dynamic label of a rule's overflow series."""


EXCLUDED_METRIC = "metric_filter_excluded_matches_total"
"""Counts the matches that the rules' ``exclude`` leaves out."""


class SeriesKey(msgspec.Struct, frozen=True, gc=False, cache_hash=True):
    """Names one exposed series: a metric and its labels, sorted by label name."""

    metric: str
    labels: Labels


class EventPlace(NamedTuple):
    """Where events of series happened; empty where a series has no such label."""

    account_id: str
    region: str
    log_group: str = ""

    @classmethod
    def of(cls, key: SeriesKey) -> Self:
        """Return the place of a series."""
        labels = dict(key.labels)
        return cls(*(labels.get(name, "") for name in cls._fields))


class Increment(msgspec.Struct, frozen=True, gc=False):
    """The amount that one match adds to one series.

    An increment is a proposal: the ledger drops it if the rule has judged the event before, and
    sends it to ``overflow`` if ``rule`` has its ``max_series`` already.
    """

    rule: str
    series: SeriesKey
    overflow: SeriesKey
    """The same series with ``__overflow__`` in its dynamic labels (equal to ``series`` if the rule
    has none)."""
    value: float | None
    """The amount; None if the match's value is missing, not a number, negative, or above the
    rule's ``max_value``; the match is counted as a value error, the series does not change."""


class JudgedEvent(msgspec.Struct, frozen=True, gc=False):
    """A log event that at least one rule matched, with all that the rules made of it."""

    event_id: str | None
    """Unique within ``scope``. A rule judges an event id once per feed and scope. None if the event
    cannot come twice (a line of a file); it is not remembered."""
    scope: str
    """See Identity."""
    time: int
    """Milliseconds (see LogEvent.time): memory goes by it."""
    event_time: int | None
    """When it happened, milliseconds: ``eventTime`` of a CloudTrail record, else ``time``. Starts
    and versions of rules depend on it. None if unknown (a line of a file)."""
    judged: frozenset[str]
    """All rules that judged the event: they listen, were in force at its event time and may count
    in this reading, whether or not they matched. Events of a batch share few of these sets."""
    increments: tuple[Increment, ...]
    aliases: tuple[EventKey, ...] = ()
    """What the event is remembered by if its source had another format when it was counted."""


class SourceError(Exception):
    """A source could not be read; the message names the error, the place and the remedy.

    Never contains credentials or event contents.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A short word for a label: ``access_denied``, ``throttled``, ``expired_credentials``,
        ``unreachable``, ``unreadable``, …"""

    def __reduce__(self) -> tuple[partial[SourceError], tuple[str]]:
        """For pickle, which passes an exception no keywords."""
        return partial(type(self), reason=self.reason), (str(self),)


class DamagedCheckpointError(Exception):
    """A checkpoint cannot be read by its source: it was damaged in the ledger."""


class DamagedContentError(Exception):
    """The rest of a file or an object cannot be read; the message says why, without its content."""


class PartitionGoneError(SourceError):
    """The partition no longer exists (a deleted log group): it is dropped, not retried."""
