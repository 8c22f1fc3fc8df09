"""CloudTrail's objects in S3, and the records in them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter import compression
from exporter.aws.objects import ObjectName, Objects
from exporter.aws.roles import Role
from exporter.model import LogEvent, Records
from exporter.sources.contents import DamagedContentError
from exporter.sources.file_content import AT_ONCE, decode, inflate, is_one_document, pieces
from exporter.sources.json_records import BrokenContentError, split_records

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_BATCH_EVENTS = 5_000
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class TrailObject:
    """An object of a trail (see Content)."""

    name: ObjectName
    region: str
    """Where S3 is asked for it."""
    owner: str | None
    """The account that has to own the bucket; None if any may."""
    role: Role | None = None
    """The role that reads it; None for the environment's credentials."""

    def load(self, accounts: AwsAccounts) -> bytes:
        """See Content."""
        reader = accounts.by_role(self.role)
        return Objects(reader, self.region, owner=self.owner).content(self.name)

    def events(self, loaded: bytes, now: int) -> Iterator[Sequence[LogEvent]]:
        """See Content."""
        return trail_events(loaded, now)


def trail_events(content: bytes, time: int) -> Iterator[Sequence[LogEvent]]:
    """The records of a CloudTrail object in batches, at the time of reading, milliseconds.

    Raises DamagedContentError after the records before the damage.
    """
    whole: bytes | bytearray | None = content
    if content.startswith(_GZIP):
        whole = compression.inflate(content, AT_ONCE)
    if whole and is_one_document(whole):
        damage: DamagedContentError | None = None

        def split(document: bytes | bytearray) -> list[LogEvent]:
            nonlocal damage
            events: list[LogEvent] = []
            damage = None
            try:
                for batch in _one_by_one(pieces(document), time):
                    events += batch
            except DamagedContentError as error:
                damage = error
            return events

        yield Records(whole, time, split)
        if damage is not None:
            raise damage
        return
    chunks = inflate(io.BytesIO(content)) if whole is None else pieces(whole)
    yield from _one_by_one(chunks, time)


def _one_by_one(chunks: Iterator[bytes], time: int) -> Iterator[list[LogEvent]]:
    batch: list[LogEvent] = []
    odd = 0
    try:
        for message in split_records(decode(chunks), cloudtrail=True):
            if message is None:
                odd += 1
                continue
            batch.append(LogEvent(message, time))
            if len(batch) >= _BATCH_EVENTS:
                yield batch
                batch = []
    except BrokenContentError as error:
        yield batch
        raise DamagedContentError(str(error)) from error
    yield batch
    if odd:
        raise DamagedContentError("it has values that are not CloudTrail records")
