"""Fixtures that every part's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools import PROMETHEUS_MAJORS, PrometheusBinaries, find_tool


@pytest.fixture(scope="session")
def prometheus_binaries() -> PrometheusBinaries:
    """The newest Prometheus; skips where it is missing, fails with CI=true."""
    return PrometheusBinaries.find(PROMETHEUS_MAJORS[-1])


@pytest.fixture(scope="session")
def both_prometheus() -> tuple[PrometheusBinaries, ...]:
    """The oldest Prometheus and the newest, for what runs both at once."""
    return tuple(PrometheusBinaries.find(major) for major in PROMETHEUS_MAJORS)


@pytest.fixture(scope="session", params=PROMETHEUS_MAJORS)
def each_prometheus(request: pytest.FixtureRequest) -> PrometheusBinaries:
    """Each in turn."""
    return PrometheusBinaries.find(request.param)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A headless browser; skips where it is missing, fails with CI=true."""
    return find_tool("chromium", "chromium-browser", "google-chrome")
