"""What `check` refuses a running exporter refuses too: at once, with a sentence, and whole."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import EmbeddedAws
from tests.support.expositions import parse_exposition
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

MakeExporter = Callable[..., Exporter]
SOURCE = {
    "name": "history",
    "type": "event_history",
    "regions": ["us-east-1"],
    "interval": "1s",
    "lookback": "30s",
}
# A word that ends in s: the first s is not the last.
RULE = {"name": "plurals", "pattern": "{ $.eventName = *s }", "metric": "foo_total"}
GOOD: dict[str, Any] = {"sources": [SOURCE], "rules": [RULE]}
SUCCESSFUL = "metric_filter_exporter_config_last_reload_successful"
LARGE = 10**400


def other(**keys: object) -> dict[str, Any]:
    return {**GOOD, "rules": [RULE, {"name": "other", "pattern": "x", **keys}]}


REFUSED = [
    (other(metric="foo_created_total"), "clashes with foo_total"),
    (other(metric="foo", type="histogram", value=1, buckets=[1]), "clashes with foo_total"),
    (other(metric="metric_filter_rule_total"), "name of the exporter's own metrics"),
    (other(max_series=LARGE), "`max_series` must be at most 1000000"),
    (other(value=LARGE), "`value` must be 0"),
    (other(value="$.v", scale="1e-999"), "`scale` must be from"),
    (
        other(metric="h", type="histogram", value=1, buckets=[LARGE]),
        "`buckets` must be bounds",
    ),
    (other(start=f"{LARGE}d"), "is not a duration"),
    ({**GOOD, "sources": [{**SOURCE, "lookback": "100d"}]}, "`lookback` must be at most 90d"),
    ({**GOOD, "rule_files": ["/proc/**"]}, "/proc/** finds more than 1,000 files"),
    ({**GOOD, "rule_files": ["/proc/**/*.yaml"]}, "looks at more than 20,000 files and folders"),
]
EXTREME = other(
    metric="h_seconds",
    type="histogram",
    value="$.v",
    scale="1e-15",
    buckets=[-(2**53), *range(198), 2**53],
    max_series=1_000_000,
    start="20y",
)
EXTREME["sources"] = [{**SOURCE, "interval": "1d", "lookback": "90d", "start": "90d"}]


def test_a_reload_of_what_cannot_work_changes_nothing(
    make_exporter: MakeExporter, aws: EmbeddedAws, tmp_path: Path
) -> None:
    with make_exporter(GOOD, "--metrics.birth-hold=0s", "--no-config.watch") as exporter:
        exporter.wait_until_ready()
        aws.record(ACCOUNT, "us-east-1", trail_record("RunInstances"))
        wait_for("the event", lambda: exporter.scrape().value("foo_total") == 1)
        for configuration, sentence in REFUSED:
            (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(configuration, width=10_000))
            began = time.monotonic()
            answer = exporter.reload()
            assert time.monotonic() - began < 20
            assert (400 <= answer.status_code < 500, sentence in answer.text) == (True, True), (
                sentence,
                answer.text[:2000],
            )
            page = exporter.get("/metrics", Accept="application/openmetrics-text;version=1.0.0")
            families = parse_exposition(page.text, openmetrics=True)
            assert families.value("foo_total") == 1
            assert families.value(SUCCESSFUL) == 0
        for configuration in (EXTREME, GOOD):
            (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(configuration))
            assert exporter.reload().status_code == 200
            assert exporter.scrape().value(SUCCESSFUL) == 1
