"""The exporter reads a trail in S3 by a queue of notifications: each record counts once."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION
from metric_filter_demo.buckets import bucket_create, object_put
from tests.support.envelopes import sign_in
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

BUCKET, QUEUE = "org-trail", "trail"
FOLDER = f"AWSLogs/{DEFAULT_ACCOUNT}/CloudTrail/us-east-1/2026/11/26"
RULE = {"name": "logins", "pattern": "{ $.eventName = ConsoleLogin }", "metric": "logins_total"}


class Trail:
    """Delivers records to a bucket, and messages to its queue: repeatedly and in any order."""

    def __init__(self, aws: RecordingAws) -> None:
        self._aws = aws
        self._random = random.Random(1)
        self.url = aws.queue_create(DEFAULT_REGION, QUEUE)
        self.objects = 0
        bucket_create(DEFAULT_ACCOUNT, DEFAULT_REGION, BUCKET)

    def put(self, records: list[dict[str, Any]]) -> str:
        self.objects += 1
        key = f"{FOLDER}/{self.objects}.json.gz"
        object_put(DEFAULT_ACCOUNT, BUCKET, key, gzip.compress(_document(records)))
        return key

    def send(self, *keys: str, bucket: str = BUCKET) -> None:
        message = {"s3Bucket": bucket, "s3ObjectKey": keys}
        self._aws.send_message(DEFAULT_REGION, QUEUE, json.dumps(message))

    def deliver(self, objects: int) -> None:
        """Objects of 5 records, a fifth of whose records are also in another object."""
        records = [sign_in() for _ in range(5 * objects)]
        copies = records + self._random.sample(records, objects)
        self._random.shuffle(copies)
        keys = [self.put(copies[at::objects]) for at in range(objects)]
        for key in [*keys, *keys[: objects // 4]]:
            self.send(key)

    def is_worked_off(self) -> bool:
        self._aws.expire_visibility(DEFAULT_REGION, QUEUE)
        return self._aws.messages_left(DEFAULT_REGION, QUEUE) == 0


def test_each_record_counts_once_over_a_kill_copies_and_forged_messages(
    aws: RecordingAws, make_exporter: Callable[..., Exporter]
) -> None:
    trail = Trail(aws)
    source = {
        **{"name": "trail", "type": "trail_bucket", "queue_url": trail.url, "interval": "2s"},
        **{"buckets": ["org-*"], "expected_bucket_owner": DEFAULT_ACCOUNT},
        "account_ids": [DEFAULT_ACCOUNT],
    }
    bucket_create("999999999999", DEFAULT_REGION, "org-foreign")
    foreign = gzip.compress(_document([sign_in()]))
    object_put("999999999999", "org-foreign", f"{FOLDER}/a.json.gz", foreign)
    exporter = make_exporter({"sources": [source], "rules": [RULE]})

    def counted() -> float:
        return exporter.scrape().value("logins_total", source="trail") or 0.0

    with exporter:
        trail.deliver(30)
        exporter.wait_until_ready()
        wait_for("some of them", lambda: counted() > 0)
        exporter.kill()
        trail.deliver(30)
        trail.send(f"{FOLDER}/1.json.gz", bucket="other")
        trail.send(trail.put([sign_in(recipientAccountId="999999999999")]))
        exporter.start()
        exporter.wait_until_ready()
        wait_for("an empty queue", trail.is_worked_off, timeout=60)
        trail.send(f"{FOLDER}/a.json.gz", bucket="org-foreign")
        wait_for("the refusal", lambda: "`expected_bucket_owner`" in exporter.logs())
        # A server that scrapes sees the old total first.
        wait_for("the total", lambda: counted() >= 300)
        assert counted() == 300
        page = exporter.scrape()
        name = "metric_filter_exporter_excluded"
        assert page.value(f"{name}_objects_total", source="trail", reason="bucket") == 1
        assert page.value(f"{name}_events_total", source="trail", reason="account") == 1
        assert exporter.terminate() == 0


def test_a_bucket_is_listed_and_each_record_counts_once_over_kills(
    make_exporter: Callable[..., Exporter],
) -> None:
    """Objects come late, out of order, in two regions and before and after midnight."""
    bucket_create(DEFAULT_ACCOUNT, DEFAULT_REGION, BUCKET)
    source = {
        **{"name": "trail", "type": "trail_bucket", "bucket": BUCKET, "interval": "1s"},
        **{"start": "30d", "lookback": "2d", "expected_bucket_owner": DEFAULT_ACCOUNT},
    }
    exporter = make_exporter({"sources": [source], "rules": [RULE]})
    chance = random.Random(2)
    now = int(time.time())

    def deliver(objects: int, oldest: int) -> None:
        for number in range(objects):
            at = time.gmtime(now - chance.randrange(oldest))
            region = chance.choice(("us-east-1", "eu-west-1"))
            name = f"{DEFAULT_ACCOUNT}_CloudTrail_{region}_{time.strftime('%Y%m%dT%H%MZ', at)}"
            folder = f"AWSLogs/{DEFAULT_ACCOUNT}/CloudTrail/{region}"
            key = f"{folder}/{time.strftime('%Y/%m/%d', at)}/{name}_{uuid4()}.json.gz"
            content = (
                b"damaged" if number == 0 else gzip.compress(_document([sign_in(), sign_in()]))
            )
            object_put(DEFAULT_ACCOUNT, BUCKET, key, content)

    def counted() -> float:
        return exporter.scrape().value("logins_total", source="trail") or 0.0

    deliver(101, 30 * 86_400 - 3600)
    with exporter:
        exporter.wait_until_ready()
        for at_least in (10, 100):
            wait_for("some more", lambda: counted() > at_least)  # noqa: B023
            exporter.kill()
            deliver(41, 86_400)
            exporter.start()
            exporter.wait_until_ready()
        wait_for("the total", lambda: counted() >= 360, timeout=60)
        page = exporter.scrape()
        assert page.value("logins_total", source="trail") == 360
        assert exporter.logs().count("it is tried again") >= 3
        assert exporter.terminate() == 0


def _document(records: list[dict[str, Any]]) -> bytes:
    return json.dumps({"Records": records}).encode()
