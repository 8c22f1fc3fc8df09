"""What a log event tells about itself: its id, time, account and region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from exporter.events import EventFormat, LogEvent, Partition
from exporter.patterns import Document
from exporter.rules.labels import label_text


@dataclass(frozen=True, slots=True)
class Facts:
    """Where and when a log event happened, and what makes it count once."""

    event_id: str | None
    scope: str
    """Within what the id is unique (see Increment.scope)."""
    event_time: int | None
    """Milliseconds, or None where unknown (a line of a file)."""
    account_id: str
    region: str


def facts(
    event: LogEvent, document: Document, partition: Partition, event_format: EventFormat
) -> Facts:
    """A CloudTrail record speaks for itself, wherever it was read; else the partition does.

    AWS: ``recipientAccountId`` is the account that the record was delivered to, which in an
    organization's trail is not the account of the bucket or log group.
    """
    record = document.json if event_format != "lines" else None
    event_time = event.time if partition.path is None else None
    if record is None or not (event_format == "cloudtrail" or _is_record(record)):
        return Facts(event.id, partition.key, event_time, partition.account_id, partition.region)
    happened, event_id = _text(record, "eventTime"), _text(record, "eventID")
    return Facts(
        event_id or event.id,
        "" if event_id else partition.key,
        (milliseconds(happened) if happened else None) or event_time,
        label_text(_text(record, "recipientAccountId")) or partition.account_id,
        label_text(_text(record, "awsRegion")) or partition.region,
    )


def _is_record(document: dict[str, object]) -> bool:
    """Whether a JSON message looks like a CloudTrail record."""
    return type(document.get("eventID")) is str and (
        type(document.get("eventTime")) is str or type(document.get("eventVersion")) is str
    )


def _text(record: dict[str, object], key: str) -> str:
    value = record.get(key)
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=1024)
def milliseconds(text: str) -> int | None:
    """Milliseconds since the epoch of an ISO 8601 time, UTC where it names no zone; else None."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
