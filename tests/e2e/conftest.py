"""An embedded AWS and the real exporter against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.iam import RecordingAws, denied_anywhere, policies_for
from tests.support.processes import Exporter

MakeExporter = Callable[..., Exporter]


@pytest.fixture
def aws() -> Iterator[RecordingAws]:
    """An AWS without request quotas."""
    with RecordingAws(quotas={"LookupEvents": math.inf, "FilterLogEvents": math.inf}) as embedded:
        yield embedded


@pytest.fixture
def make_exporter(tmp_path: Path, aws: RecordingAws) -> Iterator[MakeExporter]:
    """Make an exporter of a configuration; it writes ``exporter.yaml``, nothing is started.

    Whatever the test is about: the exporter may call nothing that ``iam-policy`` does not allow.
    """
    path = tmp_path / "exporter.yaml"

    def make(configuration: dict[str, Any], *arguments: str) -> Exporter:
        path.write_text(yaml.safe_dump(configuration))
        return Exporter(path, tmp_path / "data", arguments=arguments, environment=aws.environment())

    yield make
    assert denied_anywhere(policies_for(path), aws.requests) == []
