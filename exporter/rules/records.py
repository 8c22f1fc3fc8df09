"""What is known of a log event itself: its id, time, account and region."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from exporter.model import Delivered, Enveloped, EventFormat, EventKey, LogEvent, Partition
from exporter.rules.cloudtrail import RecordFields, is_account_id, is_record, milliseconds
from exporter.rules.labels import label_text
from exporter.rules.values import settled


class Facts(msgspec.Struct, frozen=True, gc=False):
    """Where and when a log event happened, and what makes it count once."""

    event_id: str | None
    scope: str
    """Within what the id is unique (see Identity)."""
    event_time: int | None
    """Milliseconds; None if unknown (a line of a file)."""
    account_id: str
    region: str
    resolution: int = 1
    """Milliseconds: CloudTrail's times are whole seconds."""

    @property
    def happened(self) -> tuple[int, int] | None:
        """The earliest and the latest time at which it happened; None if unknown."""
        if self.event_time is None:
            return None
        start = self.event_time // self.resolution * self.resolution
        return start, start + self.resolution - 1


def facts(
    event: LogEvent,
    fields: RecordFields | None,
    partition: Partition,
    event_format: EventFormat,
) -> Facts:
    """A CloudTrail record or an envelope speaks for itself, wherever it was read.

    Of other messages, the partition and the log event say where and when they happened.

    ``fields``: of the message, None if it is not a JSON object.

    AWS: ``recipientAccountId`` is the account that the record was delivered to, which in an
    organization's trail is not the account of the bucket or log group. In the format ``auto``
    nothing is taken from a message but what CloudTrail can have written, and its id holds within
    its log group only: whoever can write to another log group can copy it.
    """
    record = fields if event_format != "lines" else None
    event_time = _logged(event, partition)
    is_declared = event_format == "cloudtrail"
    enveloped = event if isinstance(event, Enveloped) else None
    if enveloped is not None and not enveloped.is_record:
        return _of_envelope(enveloped, partition, event_time, is_declared=is_declared)
    if record is None or not (is_declared or enveloped or is_record(record)):
        return Facts(event.id, partition.key, event_time, partition.account_id, partition.region)
    event_id, happened = _text(record.eventID), _text(record.eventTime)
    account_id, region = _place(
        _text(record.recipientAccountId), _text(record.awsRegion), is_declared
    )
    if enveloped is not None:
        event_id = event_id or enveloped.envelope_id
        event_time = enveloped.happened or event_time
        outer = _place(enveloped.account_id, enveloped.region, False)
        account_id, region = account_id or outer[0], region or outer[1]
    return Facts(
        event_id or event.id,
        "" if event_id and (is_declared or not partition.kind.local_ids) else partition.key,
        (milliseconds(happened) if happened else None) or event_time,
        account_id or partition.account_id,
        region or partition.region,
        1000,
    )


def _of_envelope(
    event: Enveloped, partition: Partition, event_time: int | None, *, is_declared: bool
) -> Facts:
    account_id, region = _place(event.account_id, event.region, False)
    return Facts(
        event.envelope_id,
        "" if is_declared or not partition.kind.local_ids else partition.key,
        event.happened or event_time,
        account_id or partition.account_id,
        region or partition.region,
        1000,
    )


@lru_cache(maxsize=1024)
def _place(account_id: str, region: str, is_declared: bool) -> tuple[str, str]:
    """The account and the region of a record as labels; an invalid account is empty."""
    is_account = is_declared or is_account_id(account_id)
    return label_text(account_id if is_account else ""), label_text(region)


def aliases(
    event: LogEvent, fields: RecordFields | None, partition: Partition, fact: Facts
) -> tuple[EventKey, ...]:
    """What a log group's event is remembered by under the source's other formats.

    A source whose format changes counts nothing again, nor does a ledger of the time when any
    message with an ``eventID`` was taken for a record whose id holds in all log groups.
    """
    if fields is None or event.id is None or not partition.kind.local_ids:
        return ()
    event_id, logged = _text(fields.eventID), _logged(event, partition)
    if not event_id:
        own_id = (partition.key, event.id, logged)
        return (own_id,) if isinstance(event, Enveloped) else ()
    happened = milliseconds(_text(fields.eventTime)) or logged
    keys = [("", event_id, happened), (partition.key, event.id, logged)]
    if fact.event_id == event_id or is_record(fields):
        keys.append((partition.key, event_id, happened))
    own = (fact.scope, fact.event_id, fact.event_time)
    return tuple(key for key in keys if key != own)


def _logged(event: LogEvent, partition: Partition) -> int | None:
    """When a log event happened by its log group, milliseconds; None if unknown."""
    if isinstance(event, Delivered):
        return event.happened
    return event.time if partition.kind.by_event_time else None


def _text(value: object) -> str:
    if value.__class__ is str:
        return value
    value = settled(value)
    return value if isinstance(value, str) else ""
