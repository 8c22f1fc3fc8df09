"""A run of the tests ends with what was skipped and why."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.tools import ROOT

TESTS = """
import pytest
from tests.support.tools import find_tool

@pytest.mark.parametrize("number", [1, 2])
def test_needs_it(number):
    find_tool("no-such-tool")
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = folder / "test_it.py"
    path.write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "-n0", str(path)]
    variables = {name: value for name, value in os.environ.items() if name != "CI"}
    return subprocess.run(
        command,
        cwd=ROOT,
        env=variables | environment | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_skipped_test_is_named_with_its_reason_on_a_line(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(skipped) == 2, done.stdout
    for number, line in enumerate(skipped, 1):
        assert f"test_needs_it[{number}]" in line
        assert line.endswith("no-such-tool is not installed: `make tools` installs it")


def test_with_ci_a_missing_tool_is_a_failure(tmp_path: Path) -> None:
    done = run(tmp_path, CI="true")
    assert done.returncode == 1
    assert "2 failed" in done.stdout
    assert "no-such-tool is not installed" in done.stdout
