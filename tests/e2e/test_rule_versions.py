"""Edits of rules at reloads and over restarts: each event is judged by what was in force."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import EmbeddedAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

REGION = "us-east-1"
SOURCES = ("apps", "twin")
LATE = 3.0
"""Seconds after which half of the events are shown: some reloads later."""
Rule = dict[str, Any]
Totals = Counter[tuple[str, str, str]]
"""By metric, source and team."""


def rule(name: str = "errors", **edit: object) -> Rule:
    return {
        "name": name,
        "sources": [*SOURCES],
        "pattern": "ERROR",
        "metric": f"{name}_total",
        "value": 1,
        "labels": {"team": "a"},
        **edit,
    }


def others(number: int) -> list[Rule]:
    """Rules that swap their sources each time, and one that keeps a metric on the page."""
    one, other = SOURCES[:: 1 if number % 2 else -1]
    return [
        rule("left", sources=[one]),
        rule("right", sources=[other]),
        rule("keeper", pattern="NEVER", metric="moved_total"),
    ]


STAGES = [
    [rule()],
    [rule(pattern="WARN")],
    [rule()],
    [rule(labels={"team": "b"})],
    [rule(labels={"team": "b"}, value=5)],
    [rule(metric="moved_total")],
    [],
    [rule()],
]
AFTER_A_KILL = (2, 5)
"""Stages that begin with a restart, not with a reload."""


def write(path: Path, rules: list[Rule]) -> None:
    sources = [
        {
            "name": name,
            "type": "log_groups",
            "log_groups": [f"/{name}"],
            "regions": [REGION],
            "format": "lines",
            "interval": "1s",
            "lookback": "30s",
        }
        for name in SOURCES
    ]
    path.write_text(yaml.safe_dump({"sources": sources, "rules": rules}))


def happen(aws: EmbeddedAws, rules: list[Rule], totals: Totals) -> None:
    """Let events happen now, half of them shown late, and count them as these rules say."""
    now = round(time.time() * 1000)
    for source in SOURCES:
        for message in ("ERROR", "WARN"):
            for visible_in in (0.0, LATE):
                aws.put_log_event(
                    REGION, f"/{source}", message, timestamp=now, visible_in=visible_in
                )
                for one in rules:
                    if one["pattern"] == message and source in one["sources"]:
                        totals[one["metric"], source, one["labels"]["team"]] += one["value"]
    time.sleep(0.01)


def shown(exporter: Exporter) -> Totals:
    page = exporter.scrape()
    totals: Totals = Counter()
    for metric in ("errors_total", "moved_total", "left_total", "right_total"):
        for labels, value in page.series(metric).items():
            named = dict(labels)
            totals[metric, named["source"], named["team"]] += round(value)
    return +totals


def test_every_event_counts_once_by_the_version_of_its_time(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    for source in SOURCES:
        aws.log_group_create(REGION, f"/{source}")
    path, totals = tmp_path / "exporter.yaml", Totals()
    rules = STAGES[0] + others(0)
    write(path, rules)
    exporter = Exporter(
        path,
        tmp_path / "data",
        arguments=("--no-config.watch",),
        environment=aws.environment(),
    )
    with exporter:
        exporter.wait_until_ready()
        for number, stage in enumerate(STAGES):
            if number:
                happen(aws, rules, totals)
                rules = stage + others(number)
                write(path, rules)
                if number in AFTER_A_KILL:
                    exporter.kill()
                    exporter.start()
                    exporter.wait_until_ready()
                else:
                    assert exporter.reload().is_success
            happen(aws, rules, totals)
            time.sleep(0.3)
        wait_for(f"{totals}", lambda: shown(exporter) == totals, timeout=40)
        # Each slice is read again some times, and nothing counts twice.
        time.sleep(LATE)
        assert shown(exporter) == totals
