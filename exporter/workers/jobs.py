"""The jobs of workers: an object to read, or a partition to poll."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeAlias

from exporter.model import (
    EventFormat,
    Limits,
    LogEvent,
    Partition,
    SourceError,
    pickled_by_fields,
)
from exporter.sources.base import Reading, Source
from exporter.sources.contents import Content, Portion, portions_of
from exporter.workers.resources import object_bytes

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

Item: TypeAlias = Portion[Content] | Reading


class Job(Protocol):
    """Something that yields log events in items. Can be pickled."""

    @property
    def content(self) -> Content | None:
        """The object to load, if any."""

    @property
    def name(self) -> str:
        """The object or the partition, for messages."""

    @property
    def partition(self) -> Partition:
        """The partition of the log events."""

    @property
    def format(self) -> EventFormat:
        """Their format."""

    @property
    def limits(self) -> Limits | None:
        """Which of them count."""

    def items(self, loaded: bytes | SourceError, now: int) -> Iterator[Item]:
        """Portions or readings; ``now``: milliseconds. Raises SourceError."""

    def after(self, item: Item) -> Job:
        """The job that is left after its next item."""


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class ObjectJob:
    """An object to read, as portions."""

    content: Content
    partition: Partition
    format: EventFormat
    limits: Limits | None
    skip: int = 0
    """How many portions of it are known already: an object never changes."""

    @property
    def name(self) -> str:
        """See Job."""
        return f"{self.partition}: {self.content}"

    def items(self, loaded: bytes | SourceError, now: int) -> Iterator[Portion[Content]]:
        """See Job."""
        return islice(portions_of(self.content, loaded, now), self.skip, None)

    def after(self, item: Item) -> ObjectJob:  # noqa: ARG002
        """See Job."""
        return replace(self, skip=self.skip + 1)


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class PollJob:
    """A partition to poll, as readings. None waits for the commit of the one before."""

    source: Source
    partition: Partition
    checkpoint: str | None

    @property
    def content(self) -> None:
        """See Job."""

    @property
    def name(self) -> str:
        """See Job."""
        return str(self.partition)

    @property
    def format(self) -> EventFormat:
        """See Job."""
        return self.source.format

    @property
    def limits(self) -> Limits | None:
        """See Job."""
        return None

    def items(self, loaded: bytes | SourceError, now: int) -> Iterator[Reading]:  # noqa: ARG002
        """See Job."""
        return self.source.poll(self.partition, self.checkpoint, own_starts={})

    def after(self, item: Item) -> PollJob:
        """See Job."""
        return replace(self, checkpoint=item.checkpoint) if isinstance(item, Reading) else self


def events_of(job: Job, accounts: AwsAccounts | None, now: int) -> Sequence[LogEvent]:
    """The log events of a job's next item, read here; raises SourceError."""
    loaded: bytes | SourceError = b""
    if job.content is not None and accounts is not None:
        loaded = job.content.load(accounts, object_bytes())
    return next(job.items(loaded, now)).events
