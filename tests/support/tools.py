"""Programs that tests need and a user's machine may lack."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self

import pytest

ROOT = Path(__file__).resolve().parents[2]


PROMETHEUS_MAJORS = ("2", "3")
"""What the product is proved on: 2.42 of 2023 (Debian 12) and 3.5 LTS."""
FRUGAL: Final = {"GOGC": "400", "GOMAXPROCS": "2"}
"""The environment of promtool: half the processor time for Go's garbage collection."""


@dataclass(frozen=True)
class PrometheusBinaries:
    """Where the programs of a Prometheus are."""

    major: str
    prometheus: Path
    promtool: Path

    @classmethod
    def find(cls, major: str) -> Self:
        """Return those of a major version; skips the test as ``find_tool`` does."""
        return cls(major, find_tool(f"prometheus{major}"), find_tool(f"promtool{major}"))


def find_tool(*names: str) -> Path:
    """Return where one of these programs is, in .tools/bin or on the PATH.

    Skips the test where there is none; with CI=true, fails it.
    """
    for name in names:
        installed = ROOT / ".tools" / "bin" / name
        if installed.exists():
            return installed
        if (on_path := shutil.which(name)) is not None:
            return Path(on_path)
    lacking(f"{names[0]} is not installed: `make tools` installs it")


def lacking(reason: str) -> NoReturn:
    """Skip the test for what this machine lacks; with CI=true, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: a missing tool is a failure)", pytrace=False)
    pytest.skip(reason)
