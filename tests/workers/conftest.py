"""Workers that evaluate by one rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest

from exporter.clock import Clock
from exporter.configuration import RuleConfig
from exporter.metrics.telemetry import Telemetry
from exporter.rules import RuleSet
from exporter.workers.pool import Workers
from exporter.yamlfile.problems import Location


def rule(pattern: str, name: str = "calls") -> RuleConfig:
    return RuleConfig(
        location=Location("rules.yaml"),
        name=name,
        sources=("trail",),
        pattern=pattern,
        metric="calls_total",
        labels={"name": "$.eventName"},
    )


RULES = RuleSet.of([rule("{ $.eventName = * }")])
MakeWorkers = Callable[..., Workers]


@pytest.fixture
def make_workers() -> Iterator[MakeWorkers]:
    with ExitStack() as open_ones:

        def make(most: int = 2, **options: Any) -> Workers:
            options = {"rules": lambda: RULES, "observer": Telemetry(), "clock": Clock(), **options}
            return open_ones.enter_context(closing(Workers(most, **options)))

        yield partial(make)
