"""Fixtures that every part's tests may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tools import PROMETHEUS_MAJORS, PrometheusBinaries, find_tool

LONGEST_FIRST = ("e2e", "image", "web", "demo", "ledger", "alerts", "commands", "helm")
"""Folders whose tests start processes. Begun last, they would leave one worker with all of it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first."""

    def place(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONGEST_FIRST.index(folder) if folder in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


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
