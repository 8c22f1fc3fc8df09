"""Fixtures that every part's tests may use."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.support.tools import PROMETHEUS_MAJORS, PrometheusBinaries, find_tool

# Each module is compiled once, and not again by every process that a test starts.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

FOLDER = Path(__file__).parent
LONGEST_FIRST = (
    "image/",
    "e2e/test_exactness.py",
    "e2e/test_clocks.py",
    "e2e/test_product.py",
    "e2e/test_prometheus.py",
    "ledger/test_migration.py",
    "e2e/",
    "web/",
    "demo/",
    "alerts/",
    "ledger/",
    "commands/",
    "helm/",
    "aws/",
    "setup/",
    "sources/",
    "patterns/",
)
"""Where long tests are. Begun last, they would leave one worker with all of it."""
SHARING = ("e2e/test_product.py", "e2e/test_hostile_content.py")
"""Modules of e2e whose tests share what takes long to set up."""
assert all((FOLDER / part).exists() for part in (*LONGEST_FIRST, *SHARING)), "one was renamed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run long tests first."""

    def place(item: pytest.Item) -> int:
        module = item.path.relative_to(FOLDER).as_posix()
        places = (n for n, part in enumerate(LONGEST_FIRST) if module.startswith(part))
        return next(places, len(LONGEST_FIRST))

    items.sort(key=place)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker a module at a time; of e2e, whose tests mostly wait, a test."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        alone = module.startswith("tests/e2e/") and not module.endswith(SHARING)
        return nodeid if alone else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Keep to the order of the tests."""
    config.option.loadscopereorder = False
    return Scheduler(config, log)


@pytest.fixture(autouse=True)
def _no_timer_outlives_its_test() -> Iterator[None]:
    """A source that a test drops as a crash would keeps its timer, whose log would be another's."""
    yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.cancel()


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
