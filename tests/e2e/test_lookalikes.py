"""Lines that look like CloudTrail records, and values that no total can hold, all the way."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from metric_filter_demo.aws import EmbeddedAws
from tests.support.expositions import Exposition
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

MakeExporter = Callable[..., Exporter]
REGION = "eu-west-1"
ORGANIZATION = "999999999999"
GROUPS = ("/app/stream", "/app/audit", "/trail", "/copy/one", "/copy/two")
TIMES = {"regions": [REGION], "interval": "1s", "lookback": "60s", "start": "1m"}
SOURCES: list[dict[str, Any]] = [
    {
        "name": "mixed",
        "type": "log_groups",
        "log_groups": ["/app/*", "/trail"],
        "format": "auto",
        **TIMES,
    },
    {
        "name": "declared",
        "type": "log_groups",
        "log_groups": ["/copy/*"],
        "format": "cloudtrail",
        **TIMES,
    },
    {
        "name": "plain",
        "type": "log_groups",
        "log_groups": ["/trail"],
        "format": "lines",
        **TIMES,
    },
]
NAMES = [source["name"] for source in SOURCES]
RULES: list[dict[str, Any]] = [
    {
        "name": "events",
        "sources": NAMES,
        "pattern": "{ $.eventName = * }",
        "metric": "events_total",
        "labels": {"event": "$.eventName"},
    },
    {
        "name": "sizes",
        "sources": ["mixed"],
        "pattern": "{ $.bytes >= 0 }",
        "metric": "sent_bytes_total",
        "value": "$.bytes",
    },
    {
        "name": "unbounded",
        "sources": ["mixed"],
        "pattern": "{ $.bytes >= 0 }",
        "metric": "unbounded_bytes",
        "type": "histogram",
        "buckets": [1e6],
        "value": "$.bytes",
        "max_value": "1e19",
    },
]
LINES = 150
HUGE = 2.0**60


def stream_record(number: int) -> dict[str, Any]:
    """What a Lambda function logs of a DynamoDB stream; the ids come again and again."""
    return {
        "eventID": f"{number % 3:032x}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "mars-1",
        "dynamodb": {"SequenceNumber": str(number)},
    }


def audit_event(**fields: Any) -> dict[str, Any]:
    """An event of the team's own: always one id, and a time long ago."""
    return {
        "eventID": str(uuid.UUID(int=7)),
        "eventVersion": "1.0",
        "eventTime": "2001-01-01T00:00:00Z",
        "eventSource": "orders",
        "eventName": "OrderApproved",
        "awsRegion": "mars-1",
        "recipientAccountId": "000000000000",
        **fields,
    }


def events(page: Exposition, source: str, event: str, **labels: str) -> float:
    labels = {"source": source, "event": event, **labels}
    return page.value("events_total", **labels) or 0.0


def value_errors(page: Exposition, rule: str) -> float | None:
    return page.value("metric_filter_exporter_value_errors_total", rule=rule)


def test_each_line_counts_and_no_line_takes_a_records_place(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    for group in GROUPS:
        aws.log_group_create(REGION, group)

    def put(group: str, *messages: dict[str, Any]) -> None:
        for message in messages:
            aws.put_log_event(REGION, group, json.dumps(message))

    login = trail_record(
        "ConsoleLogin",
        region="us-east-1",
        eventID=str(uuid.uuid4()),
        recipientAccountId=ORGANIZATION,
        userIdentity={"type": "Root"},
    )
    put("/app/stream", *map(stream_record, range(LINES)))
    put("/app/audit", *[audit_event()] * LINES)
    # The attack: the login's id in another log group, as a line and as a whole record, read first.
    put("/app/audit", {"eventID": login["eventID"], "eventTime": "2001-01-01T00:00:00Z"})
    put("/app/audit", audit_event(eventID=login["eventID"], eventName="Attack"))
    put("/app/audit", login | {"eventName": "Attack"})
    put("/app/audit", *({"bytes": value} for value in [1e300, 10**16, *[10**6] * 50]))
    put("/app/stream", {"bytes": HUGE}, *({"bytes": value} for value in [1] * 50))
    arguments = "--metrics.birth-hold=0s"
    with make_exporter({"sources": SOURCES, "rules": RULES}, arguments) as exporter:
        exporter.wait_until_ready()
        wait_for("the attack", lambda: events(exporter.scrape(), "mixed", "Attack") == 2)
        wait_for("the values", lambda: value_errors(exporter.scrape(), "unbounded") == 51)
        put("/trail", login, login)
        put("/copy/one", login)
        put("/copy/two", login)
        wait_for(
            "the login, however it is read",
            lambda: (
                [events(exporter.scrape(), name, "ConsoleLogin") for name in NAMES] == [1, 1, 2]
            ),
        )
        errors = [value_errors(exporter.scrape(), rule) for rule in ("sizes", "unbounded")]
        assert errors == [3, 51]
        # What is read again, and by a new process, counts no more.
        exporter.kill()
        exporter.start()
        exporter.wait_until_ready()
        put("/trail", trail_record("End", region=REGION, eventID=str(uuid.uuid4())))
        wait_for("the end", lambda: events(exporter.scrape(), "mixed", "End") == 1)
        page = exporter.scrape()

    here = {"account_id": ACCOUNT, "region": REGION}
    assert events(page, "mixed", "INSERT", log_group="/app/stream", **here) == LINES
    assert events(page, "mixed", "OrderApproved", log_group="/app/audit", **here) == LINES
    there = {"account_id": ORGANIZATION, "region": "us-east-1"}
    assert events(page, "mixed", "ConsoleLogin", log_group="/trail", **there) == 1
    assert events(page, "declared", "ConsoleLogin", **there) == 1
    assert events(page, "plain", "ConsoleLogin", log_group="/trail", **here) == 2
    regions = {dict(labels)["region"] for labels in page.series("events_total")}
    assert regions == {REGION, "us-east-1"}

    assert page.value("sent_bytes_total", log_group="/app/audit") == 50 * 10**6
    assert page.value("sent_bytes_total", log_group="/app/stream") == 50
    # Above the default: 1e300, 10^16 and 2^60. A sum of 2^60 cannot take a 1, and says so.
    assert page.value("unbounded_bytes_sum", log_group="/app/audit") == 10**16 + 50 * 10**6
    assert page.value("unbounded_bytes_sum", log_group="/app/stream") == HUGE
    assert page.value("unbounded_bytes_count", log_group="/app/stream") == 1
    told = [line for line in exporter.logs().splitlines() if "too large to take" in line]
    assert ["rule=unbounded" in line for line in told] == [True]
