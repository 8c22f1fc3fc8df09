"""An AWS on loopback that the environment's endpoint names, and one that answers anything."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from metric_filter_demo.aws import EmbeddedAws
from tests.support.answering import Answering


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedAws]:
    unlimited = dict.fromkeys(("LookupEvents", "FilterLogEvents", "DescribeLogGroups"), math.inf)
    with EmbeddedAws(quotas=unlimited) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    with Answering() as answering:
        for name, value in answering.environment.items():
            monkeypatch.setenv(name, value)
        yield answering


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
