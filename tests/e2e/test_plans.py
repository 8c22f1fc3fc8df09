"""The exporter asks AWS for what its rules want only, and counts are exact while that changes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from metric_filter_demo.faults import Faults
from metric_filter_demo.patterns import Doubts
from metric_filter_demo.protocol import Request
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

REGION = "us-east-1"
SHORT = {"regions": [REGION], "interval": "1s", "lookback": "30s"}
SOURCES = [
    {"name": "history", "type": "event_history", **SHORT},
    {"name": "apps", "type": "log_groups", "log_groups": ["app"], "format": "lines", **SHORT},
]
USERS = {
    "name": "deleted_users",
    "pattern": "{ ($.eventName = DeleteUser) || ($.eventName = DeleteGroup) }",
    "metric": "deleted_users_total",
    "sources": ["history"],
}
ROLES = {**USERS, "name": "roles", "pattern": "{ $.eventName = GetRole }", "metric": "roles_total"}
ERRORS = {"name": "errors", "pattern": "ERROR", "metric": "errors_total", "sources": ["apps"]}
SLOW = {**ERRORS, "name": "slow", "pattern": "{ $.ms > 100 }", "metric": "slow_total"}
PLAN = "metric_filter_exporter_partition_plan_requests"

MakeExporter = Callable[..., Exporter]


class AskedAws(RecordingAws):
    """Remembers what is selected."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.asked: Counter[str] = Counter()

    def _count(self, request: Request, outcome: str) -> None:
        super()._count(request, outcome)
        if request.operation in ("LookupEvents", "FilterLogEvents"):
            parameters = request.parameters()
            (attribute,) = parameters.get("LookupAttributes") or [{}]
            selected = "=".join(attribute.values()) or parameters.get("filterPattern", "")
            self.asked[f"{request.operation} {selected}".rstrip()] += 1


@pytest.fixture
def aws() -> Iterator[AskedAws]:
    with AskedAws(quotas={"LookupEvents": math.inf, "FilterLogEvents": math.inf}) as embedded:
        embedded.log_group_create(REGION, "app")
        embedded.faults = Faults(doubts=Doubts(patterns=True, messages=True))
        yield embedded


def test_what_the_rules_want_is_asked_for_and_counted_exactly(
    aws: AskedAws, make_exporter: MakeExporter, tmp_path: Path
) -> None:
    written = 0

    def write() -> None:
        nonlocal written
        written += 1
        for name, read_only in (("DeleteUser", False), ("GetRole", True), ("ListUsers", True)):
            aws.record(ACCOUNT, REGION, trail_record(name, readOnly=read_only))
        for line in ("ERROR 1", "fine", '{"ms": 101}', '{"ms": 1}'):
            aws.put_log_event(REGION, "app", line)

    def counts(*metrics: str) -> list[float]:
        page = exporter.scrape()
        return [sum(page.series(metric).values()) for metric in metrics]

    def plans() -> dict[str, tuple[str, float]]:
        found = exporter.scrape().series(PLAN)
        return {dict(one)["source"]: (dict(one)["plan"], found[one]) for one in found}

    with make_exporter({"sources": SOURCES, "rules": [USERS, ERRORS]}) as exporter:
        exporter.wait_until_ready()
        write()
        write()
        wait_for("them", lambda: counts("deleted_users_total", "errors_total") == [2, 2])
        assert plans() == {"history": ("read_only_false", 1), "apps": ("pattern", 1)}
        assert "ReadOnly=false" in exporter.get("/").text
        assert set(aws.asked) == {"LookupEvents ReadOnly=false", 'FilterLogEvents "ERROR"'}
        # Rules that want more, while it is read.
        (tmp_path / "exporter.yaml").write_text(
            yaml.safe_dump({"sources": SOURCES, "rules": [USERS, ERRORS, ROLES, SLOW]})
        )
        assert exporter.reload().status_code == 200
        wait_for("the other plan", lambda: plans()["history"] != ("read_only_false", 1))
        write()
        exporter.kill()
        write()
        exporter.start()
        exporter.wait_until_listening()
        metrics = ("deleted_users_total", "errors_total", "roles_total", "slow_total")
        wait_for("all", lambda: counts(*metrics) == [4, 4, 2, 2])
        assert exporter.terminate() == 0
