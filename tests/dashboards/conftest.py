"""The dashboards, one test each."""

from __future__ import annotations

import pytest

from tests.support.dashboards import Dashboard, dashboards

_ALL = dashboards()


@pytest.fixture(params=_ALL, ids=[dashboard.path.stem for dashboard in _ALL])
def dashboard(request: pytest.FixtureRequest) -> Dashboard:
    found = request.param
    assert isinstance(found, Dashboard)
    return found
