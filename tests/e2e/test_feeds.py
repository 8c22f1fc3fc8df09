"""Sources that share a feed: each record counts once, whichever source brings it first."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION
from tests.support.envelopes import envelope, sign_in
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

GROUP, QUEUE, RECORDS = "trail", "events", 200
SOURCES = ("history", "group", "bus")
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


def test_each_record_counts_once_over_a_kill_whichever_source_brings_it(
    aws: RecordingAws, make_exporter: Any
) -> None:
    chance = random.Random(1)
    aws.log_group_create(DEFAULT_REGION, GROUP)
    url = aws.queue_create(DEFAULT_REGION, QUEUE)
    history: dict[str, Any] = {"type": "event_history", "interval": "1s", "lookback": "60s"}
    group: dict[str, Any] = {
        "type": "log_groups",
        "log_groups": [GROUP],
        "format": "cloudtrail",
        "interval": "1s",
    }
    bus: dict[str, Any] = {"type": "event_bus", "queue_url": url, "interval": "2s"}
    sources = [
        {"name": name, "feed": "org", **one}
        for name, one in zip(SOURCES, (history, group, bus), strict=True)
    ]
    exporter: Exporter = make_exporter({"sources": sources, "rules": RULES})
    on_bus: list[str] = []

    def deliver(records: int) -> None:
        """Each record to all sources: late to two of them; the bus loses 1 % and repeats 1 %."""
        made = [sign_in(awsRegion=DEFAULT_REGION) for _ in range(records)]
        for one in made:
            aws.record(DEFAULT_ACCOUNT, DEFAULT_REGION, one, visible_in=chance.uniform(0, 3))
            late = chance.uniform(0, 3)
            aws.put_log_event(DEFAULT_REGION, GROUP, json.dumps(one), visible_in=late)
        kept = [one for number, one in enumerate(made) if number % 100]
        on_bus.extend(one["eventID"] for one in kept)
        sent = [*kept, *kept[: -(-records // 100)]]
        chance.shuffle(sent)
        for one in sent:
            aws.send_message(DEFAULT_REGION, QUEUE, json.dumps(envelope(one)))

    def counted(rule: str) -> Counter[str]:
        found = exporter.scrape().series(f"{rule}_total", source="org")
        return Counter({dict(labels)["id"]: round(total) for labels, total in found.items()})

    with exporter:
        exporter.wait_until_ready()
        deliver(RECORDS // 2)
        wait_for("some of them", lambda: counted("of_all").total() > RECORDS // 10)
        exporter.kill()
        aws.expire_visibility(DEFAULT_REGION, QUEUE)
        deliver(RECORDS // 2)
        exporter.start()
        exporter.wait_until_ready()
        for rule, records in (("history", RECORDS), ("group", RECORDS), ("bus", len(on_bus))):
            name = f"of_{rule}"
            wait_for(f"all of {rule}", lambda: counted(name).total() >= records, timeout=60)  # noqa: B023
        # Each source has brought everything by now.
        for rule in ("of_all", "of_history", "of_group"):
            found = counted(rule)
            assert (len(found), set(found.values())) == (RECORDS, {1})
        assert counted("of_bus") == Counter(on_bus)
        own = exporter.scrape().series("metric_filter_exporter_matches_total", rule="of_all")
        assert {dict(labels)["feed"] for labels in own} == {"org"}
        assert {dict(labels)["source"] for labels in own} == set(SOURCES)
        assert exporter.terminate() == 0
