"""Objects in S3, and the log events in them."""

from __future__ import annotations

import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.aws.objects import ObjectName, Objects
from exporter.aws.roles import Role
from exporter.model import (
    DamagedContentError,
    EventFormat,
    LogEvent,
    SourceError,
    pickled_by_fields,
)
from exporter.sources.containers import NOT_EVENTS, Container

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_BATCH_EVENTS: Final = 5_000

_PERHAPS_PASSING: Final = frozenset({"unreachable", "unreadable", "error", "worker_ended"})
"""Errors of S3, of the network or of a process, or the object's own."""
_PASSING: Final = frozenset({"stopping", "throttled", "no_credentials", "expired_credentials"})
_MOST_TRIES: Final = 3


class Tries:
    """Polls that ended because an object could not be loaded."""

    def __init__(self) -> None:
        self._ended: Counter[str] = Counter()

    def may_pass(self, name: str, error: Exception, *, is_only_poll: bool = False) -> bool:
        """Whether an error is not the object's own: it ends the poll, and a later one reads it.

        An error that may be either, also one of ours, ends only a few polls, so that an object does
        not stop the others forever. ``name``: what was to be read. ``is_only_poll``: such errors of
        a few objects end it, since no other poll follows.
        """
        if not isinstance(error, SourceError) or error.reason in _PERHAPS_PASSING:
            self._ended[name] += 1
            if is_only_poll:
                return len(self._ended) >= _MOST_TRIES
            return self._ended[name] <= _MOST_TRIES
        return error.reason in _PASSING

    def forget(self, name: str) -> None:
        """It was read, or is given up."""
        self._ended.pop(name, None)


@pickled_by_fields
@dataclass(frozen=True, slots=True)
class TrailObject:
    """An object of a trail (see Content)."""

    name: ObjectName
    region: str
    """The region of the request."""
    owner: str | None
    """The account that has to own the bucket; None if any may."""
    format: EventFormat = "cloudtrail"
    role: Role | None = None
    """The role that reads it; None for the environment's credentials."""

    def load(self, accounts: AwsAccounts, most_bytes: int) -> bytes:
        """See Content."""
        reader = accounts.by_role(self.role)
        return Objects(reader, self.region, owner=self.owner).content(self.name, most_bytes)

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """See Content. Each log event has an id, since the object may come again.

        It is its own, or the object's name, size and checksum (a key may be overwritten) and a
        number.
        """
        container = Container(
            io.BufferedReader(io.BytesIO(loaded)),
            len(loaded),
            self.format,
            path=self.name.key,
            name=f"{self.name}/{len(loaded)}-{zlib.crc32(loaded):08x}",
        )
        # Each record of a whole document has an ``eventID`` in this format only.
        whole = container.records(now) if self.format == "cloudtrail" else None
        if whole is None:
            yield from self._in_batches(container, now)
            return
        records, left = whole
        yield records
        if left.damage is not None:
            raise left.damage
        if left.undecodable:
            raise DamagedContentError(NOT_EVENTS)

    def _in_batches(self, container: Container, now: int) -> Iterator[Sequence[LogEvent]]:
        batch: list[LogEvent] = []
        damage: DamagedContentError | None = None
        try:
            for found in container.events(now):
                events = [one for one in found if one is not None]
                if len(events) < len(found):
                    damage = DamagedContentError(NOT_EVENTS)
                batch += events
                if len(batch) >= _BATCH_EVENTS:
                    yield batch
                    batch = []
        except DamagedContentError as error:
            damage = error
        yield batch
        if damage is not None:
            raise damage
