"""The demo's trail: all records as objects in a bucket, and S3's notifications in a queue."""

from __future__ import annotations

import gzip
import json
import random
import string
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from metric_filter_demo import buckets
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws

BUCKET = "org-trail"
QUEUE = "trail"
_ORGANIZATION = "o-exampleorg1"


class Trail:
    """An organization trail of one account.

    CloudTrail writes an object for each region about every five minutes; here ``deliver`` does.
    """

    def __init__(
        self, aws: EmbeddedAws, region: str, rng: random.Random, *, retention: float
    ) -> None:
        """``region``: of the bucket and the queue. ``retention``: seconds that objects are kept."""
        self._aws = aws
        self._region = region
        self._rng = rng
        self._retention = retention
        self._records: dict[str, list[Mapping[str, Any]]] = {}
        """Records that wait, by region."""
        self._kept: deque[tuple[float, str]] = deque()
        """When each object was written, and its key."""
        buckets.bucket_create(DEFAULT_ACCOUNT, region, BUCKET)
        aws.queue_create(region, QUEUE)

    def put(self, record: Mapping[str, Any]) -> None:
        """Take a record, for the next object of its region."""
        self._records.setdefault(record["awsRegion"], []).append(record)

    def deliver(self) -> None:
        """Write an object for each region that has records, and notify the queue of it."""
        waiting, self._records = self._records, {}
        now = datetime.now(UTC)
        for region, records in waiting.items():
            key = self._key(region, now)
            content = gzip.compress(json.dumps({"Records": records}).encode())
            buckets.object_put(DEFAULT_ACCOUNT, BUCKET, key, content)
            self._kept.append((time.monotonic(), key))
            notification = _notification(self._region, key, len(content), now)
            self._aws.send_message(self._region, QUEUE, json.dumps(notification))
        while self._kept and time.monotonic() - self._kept[0][0] > self._retention:
            buckets.object_delete(DEFAULT_ACCOUNT, BUCKET, self._kept.popleft()[1])

    def _key(self, region: str, now: datetime) -> str:
        unique = "".join(self._rng.choices(string.ascii_letters + string.digits, k=16))
        name = f"{DEFAULT_ACCOUNT}_CloudTrail_{region}_{now:%Y%m%dT%H%MZ}_{unique}.json.gz"
        folder = f"AWSLogs/{_ORGANIZATION}/{DEFAULT_ACCOUNT}/CloudTrail/{region}"
        return f"{folder}/{now:%Y/%m/%d}/{name}"


def _notification(region: str, key: str, size: int, now: datetime) -> dict[str, Any]:
    created = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": region,
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "eventName": "ObjectCreated:Put",
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": BUCKET, "arn": f"arn:aws:s3:::{BUCKET}"},
            "object": {"key": quote_plus(key, safe="/"), "size": size},
        },
    }
    return {"Records": [created]}
