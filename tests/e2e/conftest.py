"""An embedded AWS and the real exporter against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.demo.aws import EmbeddedAws
from tests.support.processes import Exporter

MakeExporter = Callable[..., Exporter]


@pytest.fixture
def aws() -> Iterator[EmbeddedAws]:
    """An AWS without request quotas."""
    with EmbeddedAws(quotas={"LookupEvents": math.inf, "FilterLogEvents": math.inf}) as embedded:
        yield embedded


@pytest.fixture
def make_exporter(tmp_path: Path, aws: EmbeddedAws) -> MakeExporter:
    """Make an exporter of a configuration; it writes ``exporter.yaml``, nothing is started."""

    def make(configuration: dict[str, Any], *arguments: str) -> Exporter:
        path = tmp_path / "exporter.yaml"
        path.write_text(yaml.safe_dump(configuration))
        return Exporter(path, tmp_path / "data", arguments=arguments, environment=aws.environment())

    return make
