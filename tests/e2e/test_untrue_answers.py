"""Answers that AWS does not send, and credentials that change: counted is what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

MakeExporter = Callable[..., Exporter]
NO_HOLD = "--metrics.birth-hold=0s"
REGION = "us-east-1"
LOOKBACK = 5
TIMES = {"interval": "1s", "lookback": f"{LOOKBACK}s"}
HISTORY = {"name": "history", "type": "event_history", "regions": [REGION], **TIMES}
APPS = {
    "name": "apps",
    "type": "log_groups",
    "regions": [REGION],
    "log_groups": ["/app/*"],
    "discovery_interval": "1s",
    **TIMES,
}
LOGINS = {
    "name": "logins",
    "pattern": "{ $.eventName = ConsoleLogin }",
    "metric": "logins_total",
    "sources": ["history"],
}
LINES = {"name": "lines", "pattern": "ERROR", "metric": "lines_total", "sources": ["apps"]}
CONFIGURATION = {"sources": [HISTORY, APPS], "rules": [LOGINS, LINES]}
UP = "metric_filter_exporter_partition_up"


def counted(exporter: Exporter) -> tuple[float | None, float | None]:
    page = exporter.scrape()
    return page.value("logins_total"), page.value("lines_total")


def happen(aws: EmbeddedAws, logins: int, lines: int) -> None:
    for _ in range(logins):
        aws.record(ACCOUNT, REGION, trail_record("ConsoleLogin"))
    for _ in range(lines):
        aws.put_log_event(REGION, "/app/a", "ERROR")


def read_for_the_last_time() -> None:
    end = time.monotonic() + LOOKBACK + 2
    wait_for("the last sweep", lambda: time.monotonic() > end)


def test_counts_are_exact_whatever_stands_in_the_answers(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    aws.log_group_create(REGION, "/app/a")
    with make_exporter(CONFIGURATION, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        aws.faults = Faults(hollow=0.15, odd=0.3, gzip=0.3, endless=0.15, page_size=(2, 6), seed=3)
        for turn in (1, 2):
            happen(aws, logins=8, lines=40)
            expected = (8 * turn, 40 * turn)
            wait_for("all to be counted", lambda: counted(exporter) == expected, timeout=60)  # noqa: B023
        assert aws.calls.count("FilterLogEvents", outcome="untrue") > 3
        page = exporter.scrape()
        undecodable = "metric_filter_exporter_undecodable_events_total"
        assert page.value(undecodable, source="apps")
        assert page.value(undecodable, source="history")

        aws.faults = Faults(hollow=1)
        wait_for("both to be down", lambda: exporter.scrape().value(UP) == 0)
        happen(aws, logins=8, lines=40)
        page = exporter.scrape()
        assert "is not from AWS" in exporter.get("/").text
        requests = "metric_filter_exporter_api_requests_total"
        for operation in ("LookupEvents", "FilterLogEvents"):
            assert page.value(requests, operation=operation, outcome="error")
        assert counted(exporter) == (16, 80)

        aws.faults = Faults()
        wait_for("all to be counted", lambda: counted(exporter) == (24, 120))
        wait_for("both to be up", lambda: exporter.scrape().value(UP) == 2)
        read_for_the_last_time()
        assert counted(exporter) == (24, 120)
        assert "internal error" not in exporter.logs()


def test_neither_a_reload_nor_a_stop_waits_for_an_answer_that_drips(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    aws.log_group_create(REGION, "/app/a")
    with make_exporter(CONFIGURATION, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        aws.faults = Faults(drip=1, operations=["FilterLogEvents", "LookupEvents"])
        wait_for("both to drip", lambda: aws.calls.count(outcome="dripped") == 2)
        happen(aws, logins=1, lines=1)
        aws.faults = Faults()
        began = time.monotonic()
        assert exporter.reload().is_success
        assert time.monotonic() - began < 5
        # A source that was changed asks anew at once; one that was not goes by the deadline.
        aws.faults = Faults()
        changed = {**CONFIGURATION, "sources": [{**s, "lookback": "50s"} for s in (HISTORY, APPS)]}
        (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(changed))
        assert exporter.reload().is_success
        wait_for("both to be read", lambda: counted(exporter) == (1, 1), timeout=20)
        aws.faults = Faults(drip=1)
        wait_for("it to drip", lambda: aws.calls.count(outcome="dripped") > 2)
        began = time.monotonic()
        assert exporter.terminate() == 0
        assert time.monotonic() - began < 5


def test_events_count_for_their_own_account_when_the_credentials_change(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    a, b = "111122223333", "444455556666"
    keys = {account: aws.access_key(account) for account in (a, b)}
    output = tmp_path / "output.json"
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = cat {output}\n")

    def become(account: str) -> None:
        expiration = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        key, secret = keys[account]
        fields = {"AccessKeyId": key, "SecretAccessKey": secret, "Expiration": expiration}
        new = output.with_suffix(".new")
        new.write_text(json.dumps({"Version": 1, **fields}))
        new.replace(output)

    def sign_in(account: str, times: int) -> None:
        record = trail_record("ConsoleLogin")
        del record["recipientAccountId"]  # the partition says whose it is
        for _ in range(times):
            aws.record(account, REGION, record)

    def logins() -> dict[str, float | None]:
        page = exporter.scrape()
        return {account: page.value("logins_total", account_id=account) for account in (a, b)}

    def up(account: str) -> float | None:
        return exporter.scrape().value(UP, account_id=account)

    path = tmp_path / "exporter.yaml"
    path.write_text(yaml.safe_dump({"sources": [HISTORY], "rules": [LOGINS]}))
    environment = {
        name: value
        for name, value in aws.environment().items()
        if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    }
    become(a)
    with Exporter(
        path,
        tmp_path / "data",
        arguments=(NO_HOLD,),
        environment=environment | {"AWS_CONFIG_FILE": str(config)},
    ) as exporter:
        exporter.wait_until_ready()
        sign_in(a, 3)
        wait_for("A's to be counted", lambda: logins()[a] == 3)

        become(b)
        sign_in(a, 4)
        sign_in(b, 7)
        wait_for("B's to be counted", lambda: logins() == {a: 3, b: 7})
        assert up(a) == 0
        assert up(b) == 1
        assert f"The AWS credentials belong to account {b} now" in exporter.get("/").text

        become(a)
        sign_in(a, 5)
        sign_in(b, 6)
        wait_for("A's to be counted", lambda: logins() == {a: 12, b: 7})
        assert up(a) == 1
        wait_for("B to be out of reach", lambda: up(b) == 0)

        become(b)
        wait_for("B's to be counted", lambda: logins() == {a: 12, b: 13})
        read_for_the_last_time()
        assert logins() == {a: 12, b: 13}
    assert aws.calls.count("GetCallerIdentity") == 2
