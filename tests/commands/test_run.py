"""``run`` as a command: its flags, and what it says where it cannot start."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from exporter import __version__
from tests.support.processes import clean_environment
from tests.support.tools import ROOT

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]


def test_each_setting_has_its_flag_and_variable_in_the_help(invoke: Invoke) -> None:
    text = " ".join(invoke("run", "--help").stdout.split())
    for flag in ("--config.file", "--web.listen-address", "--metrics.birth-hold", "--log.format"):
        assert flag in text
    assert "MFE_SHUTDOWN_TIMEOUT" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--web.listen-address", "10911"], "--web.listen-address: '10911' is no address"),
        (["--web.telemetry-path", "metrics"], "--web.telemetry-path: 'metrics' is no path"),
        (["--metrics.birth-hold", "60"], "--metrics.birth-hold: '60' is not a duration; write 60s"),
        (["--log.level", "loud"], "--log.level: must be debug, info, warn or error, not 'loud'"),
        (["--web.route-prefix"], "No such option"),
    ],
)
def test_wrong_flags_are_usage_errors(invoke: Invoke, arguments: list[str], message: str) -> None:
    result = invoke("run", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_run_once_reads_files_and_prints_the_metrics(start: Start, tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("one ERROR\nfine\ntwo ERROR\n")
    (tmp_path / "metric-filter-exporter.yaml").write_text(
        "sources: [{name: replay, type: files, paths: [app.log], format: lines}]\n"
        "rules: [{name: errors, pattern: ERROR, metric: app_errors_total}]\n"
    )
    process = start("run", "--once", "--storage.path", "ledger")
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    values = [line for line in stdout.decode().splitlines() if line.startswith("app_errors_total{")]
    assert [float(line.rsplit(" ", 1)[1]) for line in values] == [2]


def test_run_once_counts_from_nothing_without_a_storage_path_and_leaves_nothing_behind(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "app.log").write_text("one ERROR\nWARN\ntwo ERROR\n")

    def count(pattern: str, *arguments: str) -> float:
        (tmp_path / "metric-filter-exporter.yaml").write_text(
            "sources: [{name: replay, type: files, paths: [app.log], format: lines}]\n"
            f"rules: [{{name: errors, pattern: {pattern}, metric: app_errors_total}}]\n"
        )
        process = start("run", "--once", *arguments)
        stdout, stderr = process.communicate(timeout=30)
        assert process.returncode == 0, stderr
        warned.append(b"new ledger begun" in stderr)
        (line,) = [x for x in stdout.decode().splitlines() if x.startswith("app_errors_total{")]
        return float(line.rsplit(" ", 1)[1])

    warned: list[bool] = []
    before = sorted(path.name for path in tmp_path.iterdir())
    assert count("ERROR") == 2
    assert count("ERROR") == 2
    assert count("WARN") == 1
    after = {path.name for path in tmp_path.iterdir()} - {"metric-filter-exporter.yaml"}
    assert after == set(before)
    # On top of a ledger nothing counts twice.
    assert [count("ERROR", "--storage.path", "kept") for _ in range(2)] == [2, 2]
    assert warned == [False, False, False, True, False]


def test_run_once_shows_how_far_it_is_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text("an ERROR\n" * 200_000)
    (tmp_path / "metric-filter-exporter.yaml").write_text(
        "sources: [{name: replay, type: files, paths: [app.log], format: lines}]\n"
        "rules: [{name: errors, pattern: ERROR, metric: app_errors_total}]\n"
    )
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", "run", "--once"],
        cwd=tmp_path,
        env={**clean_environment({"PYTHONPATH": str(ROOT)}), "TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=end,
    )
    os.close(end)
    shown = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 65536):
            shown += more
    os.close(terminal)
    assert process.wait(30) == 0
    assert b"events" in shown
    assert b"/s" in shown
    assert re.search(rb"B of 1\.8 MB", shown)


@pytest.mark.parametrize("log_format", ["json", "logfmt"])
def test_why_the_daemon_cannot_start_is_logged_in_the_format_that_is_asked_for(
    start: Start, tmp_path: Path, log_format: str
) -> None:
    (tmp_path / "metric-filter-exporter.yaml").write_text("rules: [{name: A, pattern: x}]\n")
    process = start("run", f"--log.format={log_format}")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    new_ledger, opened, line, *_ = stderr.decode().splitlines()
    assert "new ledger begun" in new_ledger
    assert "ledger opened" in opened
    if log_format == "json":
        told = json.loads(line)
        assert (told["level"], told["at"]) == ("error", "metric-filter-exporter.yaml:1:16")
    else:
        assert "level=error" in line
        assert "at=metric-filter-exporter.yaml:1:16" in line


def test_a_single_run_logs_json_too_if_that_is_asked_for(start: Start, tmp_path: Path) -> None:
    (tmp_path / "metric-filter-exporter.yaml").write_text("rules: [{name: A, pattern: x}]\n")
    process = start("run", "--once", "--log.format=json")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    told = [json.loads(line) for line in stderr.decode().splitlines()]
    assert told[-1]["at"] == "metric-filter-exporter.yaml:1:16"


def test_a_rule_pack_counts_and_tells_its_facts(start: Start, tmp_path: Path) -> None:
    record = {
        "eventVersion": "1.09",
        "eventID": "11111111-2222-4333-8444-555555555555",
        "eventTime": "2026-03-01T12:00:00Z",
        "eventName": "ConsoleLogin",
        "eventType": "AwsConsoleSignIn",
        "userIdentity": {"type": "Root", "accountId": "123456789012"},
        "recipientAccountId": "123456789012",
        "awsRegion": "us-east-1",
    }
    (tmp_path / "trail.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "metric-filter-exporter.yaml").write_text(
        "sources: [{name: replay, type: files, paths: [trail.jsonl], format: cloudtrail}]\n"
        "rule_packs: [cis-aws-foundations]\n"
    )
    process = start("run", "--once", "--storage.path", "ledger")
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 0, stderr
    lines = stdout.decode().splitlines()
    (value,) = [line for line in lines if line.startswith("aws_cis_root_usage_total{")]
    assert 'account_id="123456789012"' in value
    assert float(value.rsplit(" ", 1)[1]) == 1
    facts = [line for line in lines if line.startswith("metric_filter_rule_info{")]
    assert len(facts) == 19
    (root,) = [line for line in facts if 'rule="cis_root_usage"' in line]
    assert 'pack="cis-aws-foundations"' in root
    assert " cis-v1.2.0/3.3 " in root


def test_a_broken_configuration_is_told_without_a_traceback(start: Start, tmp_path: Path) -> None:
    (tmp_path / "metric-filter-exporter.yaml").write_text("rules: [{name: A, pattern: x}]\n")
    process = start("run", "--once")
    stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (1, b"")
    assert stderr.startswith(b"metric-filter-exporter.yaml:1:16: error: `name` must be lower-case")
    assert b"Traceback" not in stderr


def test_a_storage_path_that_is_a_file_is_told_without_a_traceback(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "metric-filter-exporter.yaml").write_text(
        "sources: [{name: f, type: files, paths: [x]}]\nrules: [{name: a, pattern: x}]\n"
    )
    (tmp_path / "data").write_text("in the way")
    process = start("run", "--once", "--storage.path", "data")
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert stderr.startswith(b"error: ")
    assert b"Traceback" not in stderr


def test_the_version_is_printed(invoke: Invoke) -> None:
    result = invoke("--version")
    assert (result.exit_code, result.stdout.split()[:2]) == (
        0,
        ["metric-filter-exporter", __version__],
    )


def test_an_unknown_command_is_a_usage_error(invoke: Invoke) -> None:
    assert invoke("rnu").exit_code == 2


def test_the_demo_refuses_an_address_without_a_port(invoke: Invoke) -> None:
    result = invoke("demo", "--web.listen-address", "nonsense")
    assert result.exit_code == 2
    assert "'nonsense' is no address with a port" in result.stderr
