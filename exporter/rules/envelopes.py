"""EventBridge's envelopes: one whose detail is a CloudTrail record counts as that record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from exporter import jsontext
from exporter.model import Enveloped, LogEvent
from exporter.rules.cloudtrail import RecordFields, is_record, milliseconds

_VIA_CLOUDTRAIL = " via CloudTrail"
_FROM_AWS = "aws."


def opened(
    event: LogEvent, decode: Callable[[str], RecordFields | None], *, trusted: bool
) -> tuple[LogEvent, Any] | None:
    """Open an envelope: the log event in it and its fields; None if the message is no envelope.

    AWS: an envelope has ``id``, ``detail-type``, ``source``, ``account``, ``time``, ``region`` and
    ``detail``. Its detail is a record if it has what only CloudTrail writes together. If only AWS
    or owners can write where it was read (``trusted``), a detail type ``… via CloudTrail`` from a
    service of AWS is enough: PutEvents refuses the sources ``aws.…``. If an input transformer or a
    program has left out any of an envelope's members but these two, the detail is the message.
    """
    found = jsontext.members(event.message)
    if found is None:
        return None
    names = ("id", "detail-type", "source", "account", "time", "region")
    texts = [jsontext.string(found.get(name)) for name in names]
    detail = found.get("detail", "")
    is_of_trail = (texts[1] or "").endswith(_VIA_CLOUDTRAIL)
    if not detail.startswith("{") or not (all(texts) or is_of_trail):
        return None
    if not all(texts):
        return msgspec.structs.replace(event, message=detail), decode(detail)
    envelope_id, _, source, account_id, time, region = (text or "" for text in texts)
    inner = decode(detail)
    is_one = inner is not None and (
        is_record(inner) or (trusted and is_of_trail and source.startswith(_FROM_AWS))
    )
    one = Enveloped(
        detail if is_one else event.message,
        event.time,
        event.id,
        envelope_id,
        account_id,
        region,
        milliseconds(time),
        is_one,
    )
    return one, inner if is_one else decode(event.message)
