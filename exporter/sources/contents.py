"""Objects that are read whole: fetched, and split into log events, wherever there is a core."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from exporter.aws.objects import MOST_BYTES
from exporter.model import (
    DamagedContentError,
    EventFormat,
    Joined,
    Limits,
    LogEvent,
    Partition,
    Records,
    SourceError,
    pickled_by_fields,
)

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.clock import Clock


_MOST_GATHERED: Final = 4 * 2**20
"""Bytes of the log events that are counted together, about."""
_MOST_PARTS: Final = 256
_RECORD: Final = 1024
"""Bytes of a record, about."""


class Content(Protocol):
    """An object with log events. Can be pickled."""

    def load(self, accounts: AwsAccounts, most_bytes: int) -> bytes:
        """Its bytes; raises SourceError, with reason ``too_large`` if there are more."""

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """The log events in it, in batches, at the time of reading, milliseconds.

        Raises DamagedContentError after the log events before the damage.
        """


ContentT = TypeVar("ContentT", bound=Content)


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class Portion(Generic[ContentT]):
    """Log events of an object."""

    content: ContentT
    events: Sequence[LogEvent] = ()
    size: int = 0
    """Bytes that were loaded, before decompression."""
    last: bool = False
    """Whether nothing of the object follows."""
    error: SourceError | DamagedContentError | None = None
    """Why the rest cannot be read. It is the last portion then."""


class Contents(Protocol):
    """Reads objects, and may be ahead of who asks for them."""

    def portions(
        self,
        partition: Partition,
        event_format: EventFormat,
        limits: Limits | None,
        contents: Iterable[ContentT],
    ) -> Generator[Portion[ContentT]]:
        """The portions of objects, in their order; each has at least one, its last.

        It has to be closed, so that nothing is read ahead any more.

        ``contents`` may be asked for objects long before their portions are. Partition, format and
        limits: how a reading of these portions is evaluated.
        """


def portions_of(
    content: ContentT, loaded: bytes | SourceError, now: int
) -> Iterator[Portion[ContentT]]:
    """The portions of an object that was loaded, or could not be; ``now``: milliseconds."""
    if isinstance(loaded, SourceError):
        yield Portion(content, last=True, error=loaded)
        return
    size = len(loaded)
    try:
        for events in content.events(loaded, now):
            yield Portion(content, events, size)
            size = 0
    except DamagedContentError as error:
        # The frames have the object, and the error: they would be kept until a garbage collection.
        without_frames = error.with_traceback(None)
        without_frames.__cause__ = without_frames.__context__ = None
        yield Portion(content, (), size, last=True, error=without_frames)
    else:
        yield Portion(content, (), size, last=True)


def load(
    content: Content, accounts: AwsAccounts, most_bytes: int = MOST_BYTES
) -> bytes | SourceError:
    """The bytes of an object, or why they cannot be loaded."""
    try:
        return content.load(accounts, most_bytes)
    except SourceError as error:
        return error


class Gathered:
    """Log events of objects that are counted together: a commit costs as much as many records."""

    def __init__(self) -> None:
        self._parts: list[Sequence[LogEvent]] = []
        self._weight = 0
        self.size = 0
        """Bytes that were loaded for them."""

    def add(self, portion: Portion[ContentT]) -> None:
        """Add a portion of an object."""
        events = portion.events
        self.size += portion.size
        if events != ():
            self._parts.append(events)
            # The number of records in a document is not known before it is decoded.
            self._weight += events.size if isinstance(events, Records) else len(events) * _RECORD

    @property
    def is_full(self) -> bool:
        """Whether they should be counted before more are added."""
        return self._weight >= _MOST_GATHERED or len(self._parts) >= _MOST_PARTS

    def take(self) -> tuple[Sequence[LogEvent], int]:
        """Return the log events and ``size``, and begin again."""
        parts, size = self._parts, self.size
        self._parts, self._weight, self.size = [], 0, 0
        return parts[0] if len(parts) == 1 else Joined(parts) if parts else (), size


class InTurn:
    """Reads one object after the other, in the thread that asks."""

    def __init__(self, accounts: AwsAccounts, clock: Clock) -> None:
        self._accounts = accounts
        self._clock = clock

    def portions(
        self,
        partition: Partition,  # noqa: ARG002 - the pipeline evaluates them
        event_format: EventFormat,  # noqa: ARG002
        limits: Limits | None,  # noqa: ARG002
        contents: Iterable[ContentT],
    ) -> Generator[Portion[ContentT]]:
        """See Contents."""
        for content in contents:
            loaded = load(content, self._accounts)
            yield from portions_of(content, loaded, round(self._clock.now() * 1000))
