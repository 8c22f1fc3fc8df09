"""A source does what its configuration says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from exporter.clock import Clock
from exporter.model import Partition
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistoryConfig
from exporter.sources.files import FilesConfig
from exporter.sources.log_groups import LogGroupsConfig
from metric_filter_demo.aws import EmbeddedAws
from tests.support.aws import open_account


def test_event_history(aws: EmbeddedAws) -> None:
    config = EventHistoryConfig.model_validate(
        {"name": "history", "regions": ["eu-west-1"], "interval": "2m", "lookback": "1h"}
    )
    source = config.source(Environment(open_account(), Clock()), {})

    assert (source.name, source.format, source.interval) == ("history", "cloudtrail", 120)
    assert source.memory == 3_600_000
    assert [partition.region for partition in source.discover().partitions] == ["eu-west-1"]
    assert aws.calls.count("LookupEvents") == 0


def test_log_groups(aws: EmbeddedAws) -> None:
    aws.log_group_create("us-east-1", "a1")
    config = LogGroupsConfig.model_validate(
        {"name": "apps", "log_groups": ["a*"], "discovery_interval": "1m"}
    )
    source = config.source(Environment(open_account(), Clock()), {})

    assert (source.format, source.interval, source.discovery_interval) == ("auto", 30, 60)
    assert [partition.resource for partition in source.discover().partitions] == ["a1"]


@pytest.mark.parametrize("complete", [True, False])
def test_files(tmp_path: Path, complete: bool) -> None:
    path = tmp_path / "app.log"
    path.write_text("no newline")
    config = FilesConfig.model_validate(
        {"name": "replay", "paths": [str(tmp_path / "*.log")], "interval": "5s"}
    )
    source = config.source(Environment(open_account(), Clock(), complete), {})
    (partition,) = source.discover().partitions
    messages = [
        event.message
        for reading in source.poll(partition, None, own_starts={})
        for event in reading.events
    ]

    assert (source.interval, source.format) == (5, "auto")
    assert source.memory == 14 * 86_400_000
    assert messages == (["no newline"] if complete else [])


def test_a_log_group_is_configured_since_the_first_of_its_names_was() -> None:
    config = LogGroupsConfig(
        name="apps", regions=("us-east-1", "eu-west-1"), log_groups=("/a/*", "/a/b")
    )
    assert config.parts == [
        "us-east-1 /a/*",
        "us-east-1 /a/b",
        "eu-west-1 /a/*",
        "eu-west-1 /a/b",
    ]
    since = {"us-east-1 /a/*": 7, "us-east-1 /a/b": 5, "eu-west-1 /a/*": 9}
    there = Partition("apps", "1", "us-east-1", resource="/a/b")
    assert config.configured_since(there, [""], since) == 5
    assert config.configured_since(replace(there, resource="/a/c"), [""], since) == 7
    assert config.configured_since(replace(there, region="eu-west-1"), [""], since) == 9
    assert config.configured_since(replace(there, resource="/x"), [""], since) is None
