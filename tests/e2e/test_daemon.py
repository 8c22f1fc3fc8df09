"""The daemon as its users meet it: a process, its pages, its signals and what can go wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.processes import Exporter, clean_environment
from tests.support.records import ACCOUNT, trail_record
from tests.support.tools import ROOT
from tests.support.waiting import wait_for

MakeExporter = Callable[..., Exporter]
HISTORY = {
    "name": "history",
    "type": "event_history",
    "regions": ["us-east-1"],
    "interval": "1s",
    "lookback": "30s",
}
APPS = {
    "name": "apps",
    "type": "log_groups",
    "regions": ["us-east-1"],
    "log_groups": ["/app/*"],
    "interval": "1s",
    "lookback": "30s",
    "discovery_interval": "1s",
}
LOGINS = {
    "name": "logins",
    "pattern": "{ $.eventName = ConsoleLogin }",
    "metric": "logins_total",
    "sources": ["history"],
}
ERRORS = {"name": "errors", "pattern": "ERROR", "metric": "errors_total", "sources": ["apps"]}


def logins(exporter: Exporter, **labels: str) -> float | None:
    return exporter.scrape().value("logins_total", **labels)


def rewrite(configuration: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(configuration))


def test_rules_without_dynamic_labels_stand_at_0_for_every_region_from_the_start(
    make_exporter: MakeExporter,
) -> None:
    regions = ["us-east-1", "eu-west-1"]
    history = {**HISTORY, "regions": regions}
    with make_exporter({"sources": [history], "rules": [LOGINS]}) as exporter:
        exporter.wait_until_ready()
        page = exporter.scrape()
    assert {
        tuple(sorted(labels)): value for labels, value in page.series("logins_total").items()
    } == {
        (("account_id", ACCOUNT), ("region", region), ("source", "history")): 0.0
        for region in regions
    }


def test_a_denied_region_is_reported_and_does_not_stop_the_others(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    aws.faults = Faults(denied={"eu-west-1": ["LookupEvents"]})
    history = {**HISTORY, "regions": ["us-east-1", "eu-west-1"]}
    with make_exporter(
        {"sources": [history], "rules": [LOGINS]}, "--metrics.birth-hold=0s"
    ) as exporter:
        exporter.wait_until_ready()
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for("the login", lambda: logins(exporter, region="us-east-1") == 1)
        page = exporter.scrape()
        up = "metric_filter_exporter_partition_up"
        assert page.value(up, region="us-east-1") == 1
        assert page.value(up, region="eu-west-1") == 0
        requests = "metric_filter_exporter_api_requests_total"
        assert page.value(requests, region="eu-west-1", outcome="access_denied")
        status = exporter.get("/").text
        assert "cloudtrail:LookupEvents" in status
        assert "eu-west-1" in status
        # What was denied is caught up with, from where the daemon began.
        aws.record(ACCOUNT, "eu-west-1", trail_record("ConsoleLogin", region="eu-west-1"))
        aws.faults = Faults()
        wait_for("the denied region's login", lambda: logins(exporter, region="eu-west-1") == 1)


def test_log_groups_that_appear_are_picked_up_and_deleted_ones_dropped(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    aws.log_group_create("us-east-1", "/app/one")
    with make_exporter(
        {"sources": [APPS], "rules": [ERRORS]}, "--metrics.birth-hold=0s"
    ) as exporter:
        exporter.wait_until_ready()
        aws.log_group_create("us-east-1", "/app/two")
        # Written before anyone has found the group.
        aws.put_log_event("us-east-1", "/app/two", "ERROR in a new group")

        def counted(group: str) -> float | None:
            return exporter.scrape().value("errors_total", log_group=group)

        wait_for("the new group's event", lambda: counted("/app/two") == 1)
        aws.log_group_delete("us-east-1", "/app/one")
        partitions = "metric_filter_exporter_partitions"
        wait_for("the group to be dropped", lambda: exporter.scrape().value(partitions) == 1)
        aws.put_log_event("us-east-1", "/app/two", "ERROR again")
        wait_for("the next event", lambda: counted("/app/two") == 2)
        assert counted("/app/one") == 0
        assert "partition dropped" in exporter.logs()


def test_a_reload_takes_the_new_rules_and_keeps_the_counters(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    configuration: dict[str, Any] = {"sources": [HISTORY], "rules": [LOGINS]}
    with make_exporter(configuration, "--metrics.birth-hold=0s") as exporter:
        exporter.wait_until_ready()
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for("the login", lambda: logins(exporter) == 1)

        rewrite({"sources": [HISTORY], "rules": [{**LOGINS, "patern": "x"}]}, tmp_path)
        refused = exporter.reload()
        assert refused.status_code == 400
        assert "exporter.yaml:" in refused.text
        assert "patern" in refused.text
        reloaded = "metric_filter_exporter_config_last_reload_successful"
        assert exporter.scrape().value(reloaded) == 0

        calls = {"name": "calls", "pattern": "{ $.eventName = * }", "metric": "calls_total"}
        rewrite({"sources": [HISTORY], "rules": [LOGINS, calls]}, tmp_path)
        assert exporter.reload().status_code == 200
        assert exporter.scrape().value(reloaded) == 1
        wait_for("the new rule", lambda: exporter.scrape().value("calls_total") == 0)
        aws.record(ACCOUNT, "us-east-1", trail_record("AssumeRole"))
        wait_for("the call", lambda: exporter.scrape().value("calls_total"))
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for("the next login", lambda: logins(exporter) == 2)
        wait_for("both", lambda: exporter.get("/rules/logins").text.count("AWS console") == 2)
        assert exporter.get("/-/reload").status_code == 405

        rewrite(configuration, tmp_path)
        exporter.signal(signal.SIGHUP)
        wait_for("SIGHUP to reload", lambda: "calls_total" not in exporter.get("/metrics").text)


def test_sigterm_ends_it_quickly_with_everything_committed(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    with make_exporter(
        {"sources": [HISTORY], "rules": [LOGINS]}, "--metrics.birth-hold=0s"
    ) as exporter:
        exporter.wait_until_ready()
        aws.faults = Faults(slow=(1.0, 2.0))
        for _ in range(20):
            aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        assert exporter.terminate(timeout=10) == 0
        aws.faults = Faults()
        exporter.start()
        exporter.wait_until_listening()
        wait_for("all logins", lambda: logins(exporter) == 20)


def test_what_was_shown_is_shown_at_once_after_a_restart_before_any_poll(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    rules = [{**LOGINS, "labels": {"user": "$.userIdentity.userName"}}]
    with make_exporter(
        {"sources": [HISTORY], "rules": rules}, "--metrics.birth-hold=1s"
    ) as exporter:
        exporter.wait_until_ready()
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for("the series at 0", lambda: logins(exporter, user="alice") == 0)
        wait_for("the login", lambda: logins(exporter, user="alice") == 1)
        exporter.kill()
        aws.stop()
        exporter.start()
        exporter.wait_until_listening()
        assert logins(exporter, user="alice") == 1
        assert "AWS console" in exporter.get("/rules/logins").text
        aws.start()


def test_a_second_process_on_the_same_ledger_refuses_to_start(
    make_exporter: MakeExporter,
) -> None:
    configuration = {"sources": [HISTORY], "rules": [LOGINS]}
    with make_exporter(configuration) as exporter:
        exporter.wait_until_ready()
        second = make_exporter(configuration)
        second.start()
        assert second.exit_code(timeout=20) == 1
        assert f"in use by another process (pid {exporter.pid})" in second.logs()
        assert exporter.get("/-/healthy").status_code == 200


def test_a_damaged_ledger_is_an_error_and_left_as_it_is(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    exporter = make_exporter({"sources": [HISTORY], "rules": [LOGINS]})
    ledger = tmp_path / "data" / "ledger.sqlite3"
    ledger.parent.mkdir()
    ledger.write_bytes(b"")
    exporter.start()
    assert exporter.exit_code(timeout=20) == 1
    assert str(ledger) in exporter.logs()
    assert "Traceback" not in exporter.logs()
    assert ledger.read_bytes() == b""


def test_past_max_series_the_totals_stay_exact(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    rules = [
        {
            **LOGINS,
            "labels": {"user": "$.userIdentity.userName", "team": "security"},
            "max_series": 3,
        }
    ]
    with make_exporter(
        {"sources": [HISTORY], "rules": rules}, "--metrics.birth-hold=0s"
    ) as exporter:
        exporter.wait_until_ready()
        for number in range(10):
            record = trail_record("ConsoleLogin", userIdentity={"userName": f"user-{number}"})
            aws.record(ACCOUNT, "us-east-1", record)
        wait_for("every login", lambda: logins(exporter) == 10)
        page = exporter.scrape()
        assert len(page.series("logins_total")) == 4
        assert page.value("logins_total", user="__overflow__", team="security") == 7
        assert page.value("metric_filter_exporter_series_overflow_total", rule="logins") == 7


def test_an_address_in_use_is_said_in_a_sentence(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    configuration = {"sources": [HISTORY], "rules": [LOGINS]}
    with make_exporter(configuration) as exporter:
        exporter.wait_until_listening()
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "exporter",
                "run",
                f"--config.file={tmp_path / 'exporter.yaml'}",
                f"--storage.path={tmp_path / 'other'}",
                f"--web.listen-address={exporter.address}",
            ],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=clean_environment({}),
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "--web.listen-address" in done.stderr
    assert "Traceback" not in done.stderr
