"""``check`` tells everything that is wrong with a configuration, and where."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.support.tools import ROOT

Invoke = Callable[..., Result]
Start = Callable[..., "subprocess.Popen[bytes]"]

GOOD = """\
sources:
  - {name: history, type: event_history}
rules:
  - {name: errors, pattern: ERROR}
"""


def test_a_valid_configuration_is_summed_up(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "c.yaml").write_text(GOOD)
    result = invoke("check", "--config.file", str(tmp_path / "c.yaml"))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "1 source, 1 rule: ok\n", "")


def test_several_files_are_checked_as_one(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("rules:\n  - {name: more, pattern: x}\n")
    result = invoke("check", f"--config.file={tmp_path}/a.yaml", f"--config.file={tmp_path}/b.yaml")
    assert (result.exit_code, result.stdout) == (0, "1 source, 2 rules: ok\n")


def test_warnings_are_told_and_no_failure(tmp_path: Path, invoke: Invoke) -> None:
    (tmp_path / "c.yaml").write_text(GOOD.replace("ERROR", "'?a b'"))
    result = invoke("check", "--config.file", str(tmp_path / "c.yaml"))
    assert (result.exit_code, result.stdout) == (0, "1 source, 1 rule: ok (1 warning)\n")
    assert f"{tmp_path}/c.yaml:4:30: warning: in the pattern: " in result.stderr


def test_the_real_command_prints_errors_with_a_caret_and_exits_1(
    tmp_path: Path, start: Start
) -> None:
    (tmp_path / "metric-filter-exporter.yaml").write_text(
        GOOD + "  - {name: Bad, pattern: '{ $.a == 1 }'}\n"
    )
    process = start("check")
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout) == (1, b"")
    lines = stderr.decode().splitlines()
    assert lines[0].startswith("metric-filter-exporter.yaml:5:12: error: `name` must be lower-case")
    assert lines[1] == "      - {name: Bad, pattern: '{ $.a == 1 }'}"
    assert lines[2].index("^") == lines[1].index("Bad")
    assert lines[3].startswith("metric-filter-exporter.yaml:5:34: error: in the pattern: ")
    assert lines[-1] == "2 errors"


def test_a_missing_file_is_an_error(tmp_path: Path, invoke: Invoke) -> None:
    result = invoke("check", "--config.file", str(tmp_path / "none.yaml"))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{tmp_path}/none.yaml: error: there is no such file")


def test_the_files_may_come_from_the_environment(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yaml").write_text(GOOD)
    monkeypatch.setenv("MFE_CONFIG_FILE", f"{tmp_path}/c.yaml")
    monkeypatch.setenv("MFE_CONFIG_FILES", "x")
    result = invoke("check")
    assert result.exit_code == 0
    assert "MFE_CONFIG_FILES is no setting; did you mean `MFE_CONFIG_FILE`?" in result.stderr


def test_the_configuration_may_come_from_standard_input_or_a_process(
    tmp_path: Path,
) -> None:
    (tmp_path / "c.yaml").write_text(GOOD)
    command = f"cat c.yaml | {sys.executable} -m exporter check --config.file "
    for source in ("/dev/stdin", "<(cat c.yaml)", "<(sleep 0.3; cat c.yaml)"):
        done = subprocess.run(
            ["bash", "-c", command + source],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("1 source, 1 rule: ok\n", "")
