"""An AWS on loopback that the environment's endpoint names."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from metric_filter_demo.aws import EmbeddedAws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    unlimited = dict.fromkeys(("LookupEvents", "FilterLogEvents", "DescribeLogGroups"), math.inf)
    with EmbeddedAws(quotas=unlimited) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running
