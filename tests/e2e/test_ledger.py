"""What happens to a ledger under a running exporter, and to one that was away for long."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from exporter.ledger.sqlite_store import SqliteTransaction
from exporter.ledger.tables import CHECKPOINTS, SEGMENTS, Row, Table
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

MakeExporter = Callable[..., Exporter]
LOGINS = {
    "name": "logins",
    "pattern": "{ $.eventName = ConsoleLogin }",
    "metric": "logins_total",
}
HISTORY = {
    "name": "history",
    "type": "event_history",
    "regions": ["us-east-1"],
    "interval": "1s",
    "lookback": "30s",
}
NO_HOLD = "--metrics.birth-hold=0s"
DAYS_100 = 100 * 24 * 3600 * 1000


def logins(exporter: Exporter) -> float | None:
    return exporter.scrape().value("logins_total")


def sign_in(aws: EmbeddedAws, times: int) -> None:
    for _ in range(times):
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))


def counted(exporter: Exporter, times: int) -> None:
    wait_for(f"{times} logins", lambda: logins(exporter) == times)


def test_files_that_go_under_a_running_exporter_cost_nothing(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    lost = "metric_filter_exporter_ledger_files_lost_total"
    with make_exporter({"sources": [HISTORY], "rules": [LOGINS]}, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        created = exporter.scrape().value("metric_filter_exporter_ledger_created_timestamp_seconds")
        assert "new ledger begun" in exporter.logs()
        sign_in(aws, 5)
        counted(exporter, 5)

        (data / "ledger.sqlite3-wal").unlink()
        sign_in(aws, 2)
        counted(exporter, 7)
        wait_for("the loss to show", lambda: exporter.scrape().value(lost) == 1)
        exporter.kill()
        aws.stop()
        exporter.start()
        exporter.wait_until_listening()
        assert logins(exporter) == 7, "what was counted was in the ledger"
        aws.start()

        shutil.rmtree(data)
        sign_in(aws, 3)
        counted(exporter, 10)
        wait_for("the loss to show", lambda: exporter.scrape().value(lost) == 1)
        assert "removed or replaced 1 time while open" in exporter.get("/").text
        assert exporter.get("/-/ready").status_code == 200
        second = Exporter(
            tmp_path / "exporter.yaml", data, arguments=(NO_HOLD,), environment=aws.environment()
        )
        second.start()
        assert second.exit_code() == 1
        assert f"in use by another process (pid {exporter.pid})" in second.logs()
        exporter.kill()
        aws.stop()
        exporter.start()
        exporter.wait_until_listening()
        assert logins(exporter) == 10
        aws.start()
        sign_in(aws, 1)
        counted(exporter, 11)
        page = exporter.scrape()
        created_name = "metric_filter_exporter_ledger_created_timestamp_seconds"
        assert page.value(created_name) == created
        assert exporter.logs().count("new ledger begun") == 1
        assert "removed or replaced while it was open" in exporter.logs()


def rewrite(ledger: Path, table: Table[Row], edit: Callable[[Row], Row]) -> list[Row]:
    """Change the rows of a closed ledger's table; return them as they were."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        transaction = SqliteTransaction(connection.cursor())
        rows = transaction.read(table)
        transaction.write(table, map(edit, rows))
    return rows


def later(ledger: Path, by: int) -> None:
    """Let the time of everything in a closed ledger be that much further back."""
    rewrite(ledger, CHECKPOINTS, lambda row: row._replace(updated=row.updated - by))
    rewrite(ledger, SEGMENTS, lambda row: row._replace(newest=row.newest - by))


def test_files_that_were_silent_for_100_days_count_once(tmp_path: Path) -> None:
    records = [{**trail_record("ConsoleLogin"), "eventID": str(uuid.uuid4())} for _ in range(4)]
    document = json.dumps({"Records": records}).encode()
    (tmp_path / "old.json.gz").write_bytes(gzip.compress(document))
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    source = {
        "name": "trail",
        "type": "files",
        "paths": [str(tmp_path / "*.json*")],
        "interval": "1s",
        "format": "cloudtrail",
    }
    config = tmp_path / "exporter.yaml"
    config.write_text(yaml.safe_dump({"sources": [source], "rules": [LOGINS]}))
    with Exporter(config, tmp_path / "data", arguments=(NO_HOLD,)) as exporter:
        exporter.wait_until_ready()
        counted(exporter, 4)
        exporter.kill()
        later(tmp_path / "data" / "ledger.sqlite3", DAYS_100)
        exporter.start()
        exporter.wait_until_listening()
        polls = "metric_filter_exporter_polls_total"
        wait_for(
            "the files to be looked at again, after old matches were forgotten",
            lambda: (exporter.scrape().value(polls, outcome="success") or 0) >= 6,
        )
        assert logins(exporter) == 4
        (tmp_path / "new.json").write_text(json.dumps({"Records": [trail_record("ConsoleLogin")]}))
        counted(exporter, 5)


def test_a_region_that_was_denied_for_100_days_counts_once(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    regions = ["us-east-1", "eu-west-1"]
    configuration = {"sources": [{**HISTORY, "regions": regions}], "rules": [LOGINS]}

    def count_in(region: str) -> float | None:
        return exporter.scrape().value("logins_total", region=region)

    with make_exporter(configuration, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        for region in regions:
            for _ in range(3):
                aws.record(ACCOUNT, region, trail_record("ConsoleLogin", region=region))
            wait_for("the logins", lambda r=region: count_in(r) == 3)  # type: ignore[misc]
        aws.faults = Faults(denied={"eu-west-1": ["LookupEvents"]})
        exporter.kill()
        rewrite(
            tmp_path / "data" / "ledger.sqlite3",
            CHECKPOINTS,
            lambda row: row._replace(updated=row.updated - DAYS_100),
        )
        exporter.start()
        exporter.wait_until_listening()
        up = "metric_filter_exporter_partition_up"
        wait_for("the denial", lambda: "cloudtrail:LookupEvents" in exporter.get("/").text)
        wait_for("the other", lambda: exporter.scrape().value(up, region="us-east-1") == 1)
        aws.record(ACCOUNT, "eu-west-1", trail_record("ConsoleLogin", region="eu-west-1"))
        aws.faults = Faults()
        wait_for("the new login", lambda: (count_in("eu-west-1") or 0) > 3)
        assert (count_in("eu-west-1"), count_in("us-east-1")) == (4, 3)


def set_checkpoint(ledger: Path, checkpoint: bytes) -> bytes:
    (before,) = rewrite(ledger, CHECKPOINTS, lambda row: row._replace(checkpoint=checkpoint))
    return before.checkpoint


def test_a_position_that_cannot_be_read_is_a_sentence(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    ledger = tmp_path / "data" / "ledger.sqlite3"
    with make_exporter({"sources": [HISTORY], "rules": [LOGINS]}, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        sign_in(aws, 2)
        counted(exporter, 2)
        exporter.kill()
        whole = set_checkpoint(ledger, b'{"sweep":[[0,"x"]]}')
        sign_in(aws, 1)
        exporter.start()
        exporter.wait_until_listening()
        sentence = f"The ledger {ledger} is damaged: table checkpoints has a position of history"
        wait_for("the sentence", lambda: sentence in exporter.logs())
        wait_for("the page to say it", lambda: "table checkpoints" in exporter.get("/").text)
        assert "please report it" not in exporter.logs()
        assert "Traceback" not in exporter.logs()
        assert logins(exporter) == 2
        exporter.kill()
        set_checkpoint(ledger, whole)
        exporter.start()
        exporter.wait_until_listening()
        counted(exporter, 3)


def test_a_ledger_that_is_damaged_is_refused_with_a_sentence(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    configuration: dict[str, Any] = {"sources": [HISTORY], "rules": [LOGINS]}
    with make_exporter(configuration, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        assert exporter.terminate() == 0
        ledger = tmp_path / "data" / "ledger.sqlite3"
        # The name in the table, and no longer in the index.
        ledger.write_bytes(ledger.read_bytes().replace(b"logins_total", b"logins_totaL", 1))
        exporter.start()
        assert exporter.exit_code() == 1
        logs = exporter.logs()
    assert f"The ledger {ledger} is damaged: " in logs.replace("\n", " ")
    assert "Traceback" not in logs
