"""Objects in S3, and the log events in them."""

from __future__ import annotations

import hashlib
import io
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
        """See Content. An object comes again with its message, so each log event has an id."""
        container = Container(io.BufferedReader(io.BytesIO(loaded)), len(loaded), self.format)
        # Each record of a whole document has an ``eventID`` in this format only.
        whole = container.records(now) if self.format == "cloudtrail" else None
        odd = 0
        if whole is not None:
            records, left = whole
            yield records
            if left.damage is not None:
                raise left.damage
            odd = left.undecodable
        else:
            prefix = f"{self.name}/{hashlib.blake2b(loaded, digest_size=8).hexdigest()}"
            number = 0
            batch: list[LogEvent] = []
            damage = None
            try:
                for found in container.events(now):
                    for one in found:
                        number += 1
                        if one is None:
                            odd += 1
                        elif one.id is None and type(one) is LogEvent:
                            batch.append(LogEvent(one.message, one.time, f"{prefix}/{number}"))
                        else:
                            batch.append(one)
                    if len(batch) >= _BATCH_EVENTS:
                        yield batch
                        batch = []
            except DamagedContentError as error:
                damage = error
            yield batch
            if damage is not None:
                raise damage
        if odd:
            raise DamagedContentError(NOT_EVENTS)
