"""Objects that are read whole: fetched, and split into log events, wherever there is a core."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from exporter.model import EventFormat, Limits, LogEvent, Partition, SourceError

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts
    from exporter.clock import Clock


class DamagedContentError(Exception):
    """The rest of an object cannot be read; the message says why, without its content."""


class Content(Protocol):
    """An object with log events. Can be pickled."""

    def load(self, accounts: AwsAccounts) -> bytes:
        """Its bytes; raises SourceError."""

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """The log events in it, in batches, at the time of reading, milliseconds.

        Raises DamagedContentError after the log events before the damage.
        """


ContentT = TypeVar("ContentT", bound=Content)


@dataclass(frozen=True, slots=True)
class Portion(Generic[ContentT]):
    """Log events of an object."""

    content: ContentT
    events: Sequence[LogEvent] = ()
    size: int = 0
    """Bytes that were loaded for it, before decompression."""
    last: bool = False
    """Whether nothing of the object follows."""
    error: SourceError | DamagedContentError | None = None
    """Why the rest cannot be read. It is the last portion then."""


def ended(portion: Portion[ContentT]) -> Mapping[str, int]:
    """Objects that a portion ends, by how their reading ended.

    ``read``: to the end. ``damaged``: up to a damage. ``failed``: not fetched.
    """
    outcomes = {"read": 0, "damaged": 0, "failed": 0}
    if portion.last:
        is_damaged = isinstance(portion.error, DamagedContentError)
        outcomes["damaged" if is_damaged else "failed" if portion.error else "read"] = 1
    return outcomes


class Contents(Protocol):
    """Reads objects, and may be ahead of who asks for them."""

    def portions(
        self,
        partition: Partition,
        event_format: EventFormat,
        limits: Limits | None,
        contents: Iterable[ContentT],
    ) -> Iterator[Portion[ContentT]]:
        """The portions of objects, in their order; each has at least one, its last.

        ``contents`` may be asked for objects long before their portions are. Partition, format and
        limits: how a reading of these portions is evaluated.
        """


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
    ) -> Iterator[Portion[ContentT]]:
        """See Contents."""
        for content in contents:
            try:
                loaded = content.load(self._accounts)
            except SourceError as error:
                yield Portion(content, last=True, error=error)
                continue
            size = len(loaded)
            try:
                for events in content.events(loaded, round(self._clock.now() * 1000)):
                    yield Portion(content, events, size)
                    size = 0
            except DamagedContentError as error:
                yield Portion(content, (), size, last=True, error=error)
            else:
                yield Portion(content, (), size, last=True)
