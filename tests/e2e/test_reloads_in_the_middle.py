"""A reload that fails halfway, and one that comes while a reading is being counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import EmbeddedAws
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

SOURCE = {
    "name": "history",
    "type": "event_history",
    "regions": ["us-east-1"],
    "interval": "1s",
    "lookback": "30s",
}
USER = {"user": "$.userIdentity.userName"}
SUCCESSFUL = "metric_filter_exporter_config_last_reload_successful"

FAILS_HALFWAY = """
from exporter.__main__ import main
from exporter.metrics.telemetry import Telemetry

def set_rules(self, infos, correct=Telemetry.set_rules):
    if any(info.rule == "fatal" for info in infos):
        raise RuntimeError("content of a file")
    correct(self, infos)

Telemetry.set_rules = set_rules
main()
"""
EVALUATES_SLOWLY = """
import os, time
from exporter.__main__ import main
from exporter.rules import RuleSet

def evaluate(self, events, *place, correct=RuleSet.evaluate, **reading):
    evaluation = correct(self, events, *place, **reading)
    if evaluation.events and os.path.exists("{gate}"):
        os.rename("{gate}", "{gate}.reached")
        while not os.path.exists("{gate}.open"):
            time.sleep(0.01)
    return evaluation

RuleSet.evaluate = evaluate
main()
"""


def rule(name: str = "logins", **keys: object) -> dict[str, Any]:
    return {
        "name": name,
        "pattern": "{ $.eventName = ConsoleLogin }",
        "metric": f"{name}_total",
        **keys,
    }


def write(folder: Path, *rules: dict[str, Any]) -> Path:
    path = folder / "exporter.yaml"
    path.write_text(yaml.safe_dump({"sources": [SOURCE], "rules": [*rules]}))
    return path


def sign_in(aws: EmbeddedAws) -> None:
    aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))


def page_lines(exporter: Exporter, metric: str) -> list[str]:
    return [line for line in exporter.get("/metrics").text.splitlines() if line.startswith(metric)]


def shows(exporter: Exporter, metric: str, *totals: float) -> bool:
    return [*exporter.scrape().series(metric).values()] == [*totals]


def make(configuration: Path, aws: EmbeddedAws, program: str) -> Exporter:
    return Exporter(
        configuration,
        configuration.parent / "data",
        arguments=("--no-config.watch",),
        environment=aws.environment(),
        program=("-c", program),
    )


def histogram(name: str, *buckets: int) -> dict[str, Any]:
    of = {"type": "histogram", "value": 1, "buckets": [*buckets], "labels": USER}
    return rule(name, metric=name, **of)


def test_a_reload_that_fails_halfway_leaves_the_old_configuration_whole(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    edited, other = histogram("edited", 1, 2), histogram("other", 1)
    with make(write(tmp_path, histogram("edited", 1), other), aws, FAILS_HALFWAY) as exporter:
        exporter.wait_until_ready()
        sign_in(aws)
        wait_for("one", lambda: shows(exporter, "edited_count", 1))
        # An edit that ends a metric, before the reload that fails: it must not end it again.
        write(tmp_path, edited, other)
        assert exporter.reload().is_success
        sign_in(aws)
        wait_for("what came after", lambda: shows(exporter, "edited_count", 1))
        wait_for("all of the other", lambda: shows(exporter, "other_count", 2))
        before = page_lines(exporter, "edited")

        write(tmp_path, edited, histogram("other", 1, 2), rule("fatal"))
        answer = exporter.reload()
        assert answer.status_code >= 400
        assert "content of a file" not in answer.text + exporter.logs()
        assert exporter.scrape().value(SUCCESSFUL) == 0
        assert page_lines(exporter, "edited") == before
        assert page_lines(exporter, "fatal_total") == []

        sign_in(aws)
        wait_for("the next", lambda: shows(exporter, "edited_count", 2))
        wait_for("the other", lambda: shows(exporter, "other_count", 1))
        assert all('le="2.0"' not in line for line in page_lines(exporter, "other_bucket"))
        shown = page_lines(exporter, "edited"), page_lines(exporter, "other")

        write(tmp_path, edited, other)
        exporter.kill()
        exporter.start()
        exporter.wait_until_listening()
        assert shown == (page_lines(exporter, "edited"), page_lines(exporter, "other"))


def test_a_reading_is_counted_by_the_rules_in_force_when_it_is_committed(
    aws: EmbeddedAws, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    program = EVALUATES_SLOWLY.format(gate=gate)
    with make(write(tmp_path, rule()), aws, program) as exporter:
        exporter.wait_until_ready()
        gate.touch()
        sign_in(aws)
        wait_for("the evaluation", (tmp_path / "gate.reached").exists)
        write(tmp_path, rule(labels=USER))
        began = time.monotonic()
        assert exporter.reload().is_success
        assert time.monotonic() - began < 10
        (tmp_path / "gate.open").touch()
        # The series from before, with an empty user, and the one of the match.
        wait_for(
            "the match", lambda: sorted(exporter.scrape().series("logins_total").values()) == [0, 1]
        )
        assert all("user=" in line for line in page_lines(exporter, "logins_total{"))
