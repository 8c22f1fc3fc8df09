"""Objects in S3, and the log events in them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exporter.aws.objects import ObjectName, Objects
from exporter.model import DamagedContentError, EventFormat, LogEvent
from exporter.sources.containers import NOT_EVENTS, Container

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_BATCH_EVENTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class TrailObject:
    """An object of a trail (see Content)."""

    name: ObjectName
    region: str
    """Where S3 is asked for it."""
    owner: str | None
    """The account that has to own the bucket; None if any may."""
    format: EventFormat = "cloudtrail"

    def load(self, accounts: AwsAccounts) -> bytes:
        """See Content."""
        return Objects(accounts, self.region, owner=self.owner).content(self.name)

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """See Content. Each log event has an id, since the object may come again.

        It is its own, or the object's name, size and checksum (a key may be overwritten) and a
        number.
        """
        container = Container(
            io.BufferedReader(io.BytesIO(loaded)),
            len(loaded),
            self.format,
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
