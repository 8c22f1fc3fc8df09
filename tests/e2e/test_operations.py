"""What operators do to a running exporter: change its files, stop it, back its ledger up."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.expositions import parse_exposition
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
LOGINS = {
    "name": "logins",
    "pattern": "{ $.eventName = ConsoleLogin }",
    "metric": "logins_total",
}
CALLS = {"name": "calls", "pattern": "{ $.eventName = * }", "metric": "calls_total"}
CONFIGURATION: dict[str, Any] = {"sources": [HISTORY], "rules": [LOGINS]}
NO_HOLD = "--metrics.birth-hold=0s"


def sign_in(aws: EmbeddedAws, times: int) -> None:
    for _ in range(times):
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))


def logins(exporter: Exporter) -> float | None:
    return exporter.scrape().value("logins_total")


def test_changed_configuration_files_are_loaded_and_broken_ones_told_once(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    (tmp_path / "rules").mkdir()
    first, second = tmp_path / "rules" / "first.yaml", tmp_path / "rules" / "second.yaml"
    first.write_text(yaml.safe_dump({"rules": [LOGINS]}))
    with make_exporter({"sources": [HISTORY], "rule_files": ["rules/*.yaml"]}) as exporter:
        exporter.wait_until_ready()
        assert exporter.scrape().value("logins_total") == 0

        second.write_text(yaml.safe_dump({"rules": [CALLS]}))
        wait_for("the new file", lambda: exporter.scrape().value("calls_total") == 0)

        second.write_text(yaml.safe_dump({"rules": [{**CALLS, "metric": "calls"}]}))
        successful = "metric_filter_exporter_config_last_reload_successful"
        wait_for("the broken file", lambda: exporter.scrape().value(successful) == 0)
        assert exporter.scrape().value("calls_total") == 0
        assert "calls_total" in exporter.get("/").text

        second.unlink()
        wait_for("the file to be gone", lambda: exporter.scrape().value(successful) == 1)
        wait_for("its rule to go", lambda: exporter.scrape().value("calls_total") is None)
        logs = exporter.logs()
    assert logs.count('msg="reload failed"') == 1
    assert logs.count("msg=reloaded") == 2
    assert logs.count(f'msg="configuration files changed" files={second}') == 3


def test_reloads_over_http_and_by_watching_can_be_switched_off(
    make_exporter: MakeExporter, tmp_path: Path
) -> None:
    flags = ("--no-web.enable-lifecycle", "--no-config.watch")
    with make_exporter(CONFIGURATION, *flags) as exporter:
        exporter.wait_until_ready()
        configuration = {**CONFIGURATION, "rules": [LOGINS, CALLS]}
        (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(configuration))
        refused = exporter.reload()
        assert refused.status_code == 403
        assert "--no-web.enable-lifecycle" in refused.text
        assert exporter.scrape().value("calls_total") is None
        exporter.signal(signal.SIGHUP)
        wait_for("SIGHUP to reload", lambda: exporter.scrape().value("calls_total") == 0)
        assert "configuration files changed" not in exporter.logs()


def test_sigterm_during_calls_that_hang_ends_it_in_time_with_nothing_lost(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    with make_exporter(CONFIGURATION, NO_HOLD, "--shutdown-timeout=3s") as exporter:
        exporter.wait_until_ready()
        sign_in(aws, 20)
        wait_for("the logins", lambda: logins(exporter) == 20)
        aws.faults = Faults(slow=(30.0, 30.0))
        sign_in(aws, 20)
        seen: list[float | None] = []

        def hang() -> bool:
            seen.append(exporter.scrape().value("metric_filter_exporter_polls_total"))
            return seen[-2:-1] == seen[-1:]

        wait_for("the polls to hang", hang, every=1.5)
        began = time.monotonic()
        assert exporter.terminate(timeout=10) == 0
        assert time.monotonic() - began < 3
        aws.faults = Faults()
        exporter.start()
        exporter.wait_until_listening()
        wait_for("all logins", lambda: logins(exporter) == 40)


def test_sigterm_during_a_commit_that_hangs_ends_it_in_time_with_nothing_lost(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    # With two, one commit waits for the lock right after the other has given up.
    history = {**HISTORY, "regions": ["us-east-1", "eu-west-1"]}
    configuration = {**CONFIGURATION, "sources": [history]}
    with make_exporter(configuration, NO_HOLD, "--shutdown-timeout=2s") as exporter:
        exporter.wait_until_ready()
        ledger = sqlite3.connect(tmp_path / "data" / "ledger.sqlite3", isolation_level=None)
        with closing(ledger):
            ledger.execute("BEGIN IMMEDIATE")
            sign_in(aws, 20)
            wait_for("a commit to fail", lambda: "has locked it" in exporter.logs())
            began = time.monotonic()
            assert exporter.terminate(timeout=10) == 0
            assert time.monotonic() - began < 2
        assert "stopped before everything was closed" in exporter.logs()
        exporter.start()
        exporter.wait_until_listening()
        wait_for("all logins", lambda: logins(exporter) == 20)


def online_backup(ledger: Path, copy: Path) -> None:
    """The sqlite3 shell's ``.backup``."""
    with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def vacuum_into(ledger: Path, copy: Path) -> None:
    """The way that docs/operations.md shows for a container."""
    with closing(sqlite3.connect(ledger)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))


def restore(copy: Path, data: Path) -> None:
    for name in ("ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"):
        (data / name).unlink(missing_ok=True)
    shutil.copy(copy, data / "ledger.sqlite3")


def test_a_restored_backup_catches_up_to_the_exact_totals(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    copies = [tmp_path / "online.sqlite3", tmp_path / "vacuumed.sqlite3"]
    with make_exporter(CONFIGURATION, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        sign_in(aws, 5)
        wait_for("5 logins", lambda: logins(exporter) == 5)
        for back_up, copy in zip((online_backup, vacuum_into), copies, strict=True):
            back_up(data / "ledger.sqlite3", copy)
        sign_in(aws, 3)
        wait_for("8 logins", lambda: logins(exporter) == 8)

        for total, copy in enumerate(copies, start=8):
            exporter.kill()
            restore(copy, data)
            aws.stop()
            exporter.start()
            exporter.wait_until_listening()
            # What Prometheus would take for a reset of the counter.
            assert logins(exporter) == 5, copy
            aws.start()
            wait_for("those since the backup, once more", lambda n=total: logins(exporter) == n)  # type: ignore[misc]
            sign_in(aws, 1)
            wait_for("the next one", lambda n=total + 1: logins(exporter) == n)  # type: ignore[misc]


def test_run_once_on_a_restored_backup_spares_prometheus_the_reset(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    rules = [{**LOGINS, "labels": {"user": "$.userIdentity.userName"}}]
    data, copy = tmp_path / "data", tmp_path / "copy.sqlite3"
    with make_exporter({**CONFIGURATION, "rules": rules}, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        vacuum_into(data / "ledger.sqlite3", copy)
        sign_in(aws, 3)
        wait_for("3 logins", lambda: logins(exporter) == 3)
        exporter.kill()

        restore(copy, data)
        once = run_once(tmp_path, aws)
        assert once.value("logins_total", user="alice") == 3
        aws.stop()
        exporter.start()
        exporter.wait_until_listening()
        # A series that is newer than the backup goes on as well, and is not held at 0 again.
        assert logins(exporter) == 3
        aws.start()


def test_a_lost_ledger_begins_at_zero_and_now(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    with make_exporter(CONFIGURATION, NO_HOLD) as exporter:
        exporter.wait_until_ready()
        sign_in(aws, 5)
        wait_for("5 logins", lambda: logins(exporter) == 5)
        exporter.kill()
        shutil.rmtree(tmp_path / "data")
        second = int(time.time())
        wait_for("the next second: event history knows no less", lambda: time.time() > second + 1)
        exporter.start()
        exporter.wait_until_ready()
        assert logins(exporter) == 0
        sign_in(aws, 2)
        wait_for("the 2 that came later", lambda: logins(exporter) == 2)
        exporter.kill()

        # Known to have been down: `start` reads the past, and counts all of it.
        shutil.rmtree(tmp_path / "data")
        past = {**CONFIGURATION, "sources": [{**HISTORY, "start": "5m"}]}
        (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(past))
        exporter.start()
        exporter.wait_until_listening()
        wait_for("all that happened", lambda: logins(exporter) == 7)


def run_once(folder: Path, aws: EmbeddedAws) -> Any:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "exporter",
            "run",
            "--once",
            f"--config.file={folder / 'exporter.yaml'}",
            f"--storage.path={folder / 'data'}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment(aws.environment()),
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return parse_exposition(done.stdout)


def test_an_edit_that_series_cannot_survive_begins_one_metric_anew_and_stops_no_other(
    aws: EmbeddedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    sizes = {
        "name": "sizes",
        "pattern": "{ $.eventName = ConsoleLogin }",
        "metric": "sizes",
        "type": "histogram",
        "value": "$.size",
        "buckets": [1, 2],
    }
    config = tmp_path / "exporter.yaml"

    def write(edited: dict[str, Any]) -> None:
        config.write_text(yaml.safe_dump({**CONFIGURATION, "rules": [LOGINS, sizes | edited]}))

    def counts(exporter: Exporter) -> tuple[float | None, float | None]:
        page = exporter.scrape()
        return page.value("logins_total"), page.value("sizes_count")

    with make_exporter({**CONFIGURATION, "rules": [LOGINS, sizes]}) as exporter:
        exporter.wait_until_ready()
        for _ in range(3):
            aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin", size=1))
        wait_for("both to count", lambda: counts(exporter) == (3, 3))

        write({"buckets": [1, 2, 5]})
        assert exporter.reload().is_success
        assert counts(exporter) == (3, 0)
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin", size=4))
        wait_for("what came after the edit", lambda: counts(exporter) == (4, 1))

        exporter.kill()
        write({"buckets": [1, 2, 5], "labels": {"user": "$.userIdentity.userName"}})
        exporter.start()
        exporter.wait_until_listening()
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin", size=4))
        wait_for("what came after the restart", lambda: counts(exporter) == (5, 2))
        assert exporter.logs().count("metric restarts at zero") == 1


def test_readiness_names_each_source_that_nothing_was_read_from_and_why(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    lost = {
        "name": "apps",
        "type": "log_groups",
        "regions": ["eu-west-1"],
        "log_groups": ["/app/*"],
        "interval": "1s",
        "lookback": "30s",
        "discovery_interval": "1s",
    }
    aws.faults = Faults(denied={"eu-west-1": ["DescribeLogGroups"]})
    with make_exporter({**CONFIGURATION, "sources": [HISTORY, lost]}) as exporter:
        exporter.wait_until_listening()

        def told() -> bool:
            answer = exporter.get("/-/ready")
            assert answer.status_code == 503
            return "history" not in answer.text and "apps: logs:DescribeLogGroups" in answer.text

        wait_for("only the denied source to be missing", told)
        aws.faults = Faults()
        exporter.wait_until_ready()
        # Never back, whatever happens later, and not after a restart either.
        aws.faults = Faults(denied={"eu-west-1": ["*"], "us-east-1": ["*"]})
        assert exporter.get("/-/ready").status_code == 200


def test_an_unchanged_configuration_disturbs_nothing_when_it_is_reloaded(
    aws: EmbeddedAws, make_exporter: MakeExporter
) -> None:
    with make_exporter(CONFIGURATION) as exporter:
        exporter.wait_until_ready()
        sign_in(aws, 3)
        wait_for("the logins", lambda: logins(exporter) == 3)
        before = aws.calls.count(operation="GetCallerIdentity")
        gauges = ("partition_up", "partition_last_success_timestamp_seconds")
        for _ in range(5):
            assert exporter.reload().is_success
            page = exporter.scrape()
            assert all(page.series(f"metric_filter_exporter_{name}") for name in gauges)
            assert page.value("metric_filter_exporter_partition_up") == 1
            assert page.value("logins_total") == 3
        assert aws.calls.count(operation="GetCallerIdentity") == before
        assert exporter.logs().count("partitions found") == 1
