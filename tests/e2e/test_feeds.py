"""Sources that share a feed: each record counts once, whichever source brings it first."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections import Counter
from typing import Any
from uuid import uuid4

from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION
from metric_filter_demo.buckets import bucket_create, object_put
from tests.support.envelopes import envelope, sign_in
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

BUCKET, BUS, NOTIFICATIONS, RECORDS = "org-trail", "events", "objects", 100
SOURCES = ("history", "listing", "notified", "bus")
RULES = [
    {
        "name": name,
        "pattern": "{ $.eventName = ConsoleLogin }",
        "metric": f"{name}_total",
        "labels": {"id": "$.eventID"},
        "sources": list(listening),
    }
    for name, listening in (("of_all", SOURCES), *((f"of_{one}", [one]) for one in SOURCES))
]


class Deliveries:
    """Brings each record to all sources, late to most and in any order.

    The bus loses one record of each delivery, and repeats one. A half of the objects in S3 comes
    with the next delivery.
    """

    def __init__(self, aws: RecordingAws) -> None:
        self._aws = aws
        self._random = random.Random(1)
        self._held_back: list[list[dict[str, Any]]] = []
        bucket_create(DEFAULT_ACCOUNT, DEFAULT_REGION, BUCKET)
        self.bus, self.notifications = (
            aws.queue_create(DEFAULT_REGION, name) for name in (BUS, NOTIFICATIONS)
        )
        self.on_bus: list[str] = []

    def deliver(self, records: int) -> None:
        """Bring new records; with none, whatever is held back."""
        made = [sign_in(awsRegion=DEFAULT_REGION) for _ in range(records)]
        for one in made:
            late = self._random.uniform(0, 3)
            self._aws.record(DEFAULT_ACCOUNT, DEFAULT_REGION, one, visible_in=late)
        kept = [one for number, one in enumerate(made) if number % 100]
        self.on_bus += [one["eventID"] for one in kept]
        sent = [*kept, *kept[: -(-records // 100)]]
        self._random.shuffle(sent)
        for one in sent:
            self._aws.send_message(DEFAULT_REGION, BUS, json.dumps(envelope(one)))
        self._random.shuffle(made)
        parts = self._held_back + [made[at : at + 10] for at in range(0, records, 10)]
        stored = len(parts) // 2 if records else len(parts)
        self._held_back = parts[stored:]
        for number, part in enumerate(parts[:stored]):
            self._put(part, times=1 + (number == 0))

    def _put(self, records: list[dict[str, Any]], *, times: int) -> None:
        """Store an object, and notify of it so many times."""
        minute = time.strftime("%Y%m%dT%H%MZ", time.gmtime())
        name = f"{DEFAULT_ACCOUNT}_CloudTrail_{DEFAULT_REGION}_{minute}_{uuid4()}.json.gz"
        day = time.strftime("%Y/%m/%d", time.strptime(minute, "%Y%m%dT%H%MZ"))
        key = f"AWSLogs/{DEFAULT_ACCOUNT}/CloudTrail/{DEFAULT_REGION}/{day}/{name}"
        content = gzip.compress(json.dumps({"Records": records}).encode())
        object_put(DEFAULT_ACCOUNT, BUCKET, key, content)
        message = json.dumps({"s3Bucket": BUCKET, "s3ObjectKey": [key]})
        for _ in range(times):
            self._aws.send_message(DEFAULT_REGION, NOTIFICATIONS, message)


def test_each_record_counts_once_over_a_kill_whichever_source_brings_it(
    aws: RecordingAws, make_exporter: Any
) -> None:
    deliveries = Deliveries(aws)
    trail = {"type": "trail_bucket", "bucket": BUCKET, "expected_bucket_owner": DEFAULT_ACCOUNT}
    types: dict[str, dict[str, Any]] = {
        "history": {"type": "event_history", "interval": "1s", "lookback": "60s"},
        "listing": {**trail, "interval": "1s", "lookback": "10m"},
        "notified": {**trail, "interval": "2s", "queue_url": deliveries.notifications},
        "bus": {"type": "event_bus", "interval": "2s", "queue_url": deliveries.bus},
    }
    sources = [{"name": name, "feed": "org", **types[name]} for name in SOURCES]
    exporter: Exporter = make_exporter({"sources": sources, "rules": RULES})

    def counted(rule: str) -> Counter[str]:
        found = exporter.scrape().series(f"{rule}_total", source="org")
        return Counter({dict(labels)["id"]: round(total) for labels, total in found.items()})

    with exporter:
        exporter.wait_until_ready()
        deliveries.deliver(RECORDS // 2)
        wait_for("some of them", lambda: counted("of_all").total() > RECORDS // 10)
        exporter.kill()
        for queue in (BUS, NOTIFICATIONS):
            aws.expire_visibility(DEFAULT_REGION, queue)
        deliveries.deliver(RECORDS // 2)
        exporter.start()
        exporter.wait_until_ready()
        deliveries.deliver(0)
        for source in SOURCES:
            records = len(deliveries.on_bus) if source == "bus" else RECORDS
            wait_for(
                f"all of {source}",
                lambda: counted(f"of_{source}").total() >= records,  # noqa: B023
                timeout=60,
            )
        # Each source has brought everything by now.
        for rule in ("of_all", "of_history", "of_listing", "of_notified"):
            found = counted(rule)
            assert (len(found), set(found.values())) == (RECORDS, {1})
        assert counted("of_bus") == Counter(deliveries.on_bus)
        own = exporter.scrape().series("metric_filter_exporter_matches_total", rule="of_all")
        assert {dict(labels)["feed"] for labels in own} == {"org"}
        # A source that is always later than another one counts nothing.
        assert {dict(labels)["source"] for labels in own} <= set(SOURCES)
        assert exporter.terminate() == 0
