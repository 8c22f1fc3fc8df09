"""Helm in both major versions."""

from __future__ import annotations

import pytest

from tests.support.helm import MAJORS, Helm
from tests.support.tools import find_tool


@pytest.fixture(scope="session")
def helms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Helm]:
    """Both; skips where one is missing, fails with CI=true."""
    return {major: Helm(find_tool(major), tmp_path_factory.mktemp(major)) for major in MAJORS}


@pytest.fixture(scope="session", params=MAJORS)
def helm(helms: dict[str, Helm], request: pytest.FixtureRequest) -> Helm:
    """Each in turn."""
    return helms[request.param]


@pytest.fixture(scope="session")
def helm4(helms: dict[str, Helm]) -> Helm:
    """The newer one, for what one of them tells."""
    return helms["helm4"]
