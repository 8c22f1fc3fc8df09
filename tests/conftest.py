"""Fixtures that every part's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools import PrometheusBinaries, find_tool


@pytest.fixture(scope="session")
def prometheus_binaries() -> PrometheusBinaries:
    """Prometheus and promtool; skips where they are missing, fails with CI=true."""
    return PrometheusBinaries(find_tool("prometheus"), find_tool("promtool"))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A headless browser; skips where it is missing, fails with CI=true."""
    return find_tool("chromium", "chromium-browser", "google-chrome")
