"""The demo's event bus: management events in EventBridge's envelopes, sent to a queue."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

from metric_filter_demo.aws import EmbeddedAws

QUEUE = "management-events"

# AWS: EventBridge delivers at least once, and some services' events by best effort.
_DROPPED = 0.01
_REPEATED = 0.01
_DELAYS = (0, 0, 1)
"""Seconds until a message is visible."""
_DETAIL_TYPES = {
    "AwsConsoleSignIn": "AWS Console Sign In via CloudTrail",
    "AwsServiceEvent": "AWS Service Event via CloudTrail",
}
_API_CALL = "AWS API Call via CloudTrail"


class EventBus:
    """Sends records to the queue of a rule, as EventBridge does."""

    def __init__(self, aws: EmbeddedAws, region: str, rng: random.Random) -> None:
        self._aws = aws
        self._region = region
        self._rng = rng
        aws.queue_create(region, QUEUE)

    def put(self, record: Mapping[str, Any]) -> None:
        """Send a record of the region, unless it only reads.

        AWS: a rule gets read-only management events only in the state that names them.
        """
        is_here = record["awsRegion"] == self._region
        if not is_here or record.get("readOnly") or self._rng.random() < _DROPPED:
            return
        body = json.dumps(_envelope(record))
        for _ in range(1 + (self._rng.random() < _REPEATED)):
            delay = self._rng.choice(_DELAYS)
            self._aws.send_message(self._region, QUEUE, body, delay=delay)


def _envelope(record: Mapping[str, Any]) -> dict[str, Any]:
    service = str(record["eventSource"]).partition(".")[0]
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": _DETAIL_TYPES.get(str(record.get("eventType")), _API_CALL),
        "source": f"aws.{service}",
        "account": record["recipientAccountId"],
        "time": record["eventTime"],
        "region": record["awsRegion"],
        "resources": [],
        "detail": record,
    }
