"""The systemd unit: systemd understands it, and finds little that it may do."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.settings import FLAGS, PREFIX, Settings
from tests.support.tools import ROOT

UNIT = ROOT / "deploy" / "systemd" / "metric-filter-exporter.service"
MOST_EXPOSURE = 1.5
"""Of 10: what remains is the network, which it works over."""


@pytest.fixture
def systemd_analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("there is no systemd here")
    return found


def values(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def test_systemd_has_nothing_to_say_about_it(systemd_analyze: str, tmp_path: Path) -> None:
    # It looks for the program, which is installed elsewhere here.
    text = re.sub(
        r"^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text(), flags=re.MULTILINE
    )
    unit = tmp_path / UNIT.name
    unit.write_text(text)
    done = subprocess.run(
        [systemd_analyze, "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_it_may_do_little(systemd_analyze: str) -> None:
    done = subprocess.run(
        [systemd_analyze, "security", "--offline=true", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level .*: ([0-9.]+)", done.stdout)
    assert level is not None, done.stderr
    assert float(level[1]) <= MOST_EXPOSURE, done.stdout


def test_the_ledger_is_in_the_folder_that_it_owns() -> None:
    variables = dict(value.split("=", 1) for value in values("Environment"))
    (folder,) = values("StateDirectory")
    assert values("DynamicUser") == ["yes"]
    assert variables[f"{PREFIX}STORAGE_PATH"] == f"/var/lib/{folder}"
    assert {name.removeprefix(PREFIX).lower() for name in variables} <= set(FLAGS)


def test_it_is_given_longer_to_stop_than_the_exporter_takes() -> None:
    (grace,) = values("TimeoutStopSec")
    assert float(grace) > Settings().shutdown_timeout
