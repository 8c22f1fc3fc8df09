"""The product as a whole: what happens in AWS is on every dashboard, and alerts.

The demo's traffic and drills in the embedded AWS, the real exporter with every pack, and two real
Prometheus servers with every alert, the oldest and the newest: both scrape the same exporter, so
the second proof costs no second run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.child import CONFIG_FILE
from metric_filter_demo.faults import Faults
from metric_filter_demo.traffic import Traffic
from tests.support.alerting import alerts, rule_files
from tests.support.dashboards import Window, dashboards
from tests.support.iam import RecordingAws, denied, policy_for
from tests.support.processes import Exporter
from tests.support.prometheus import Prometheus
from tests.support.promql import selectors
from tests.support.tools import PROMETHEUS_MAJORS, PrometheusBinaries
from tests.support.waiting import wait_for

JOB = "metric-filter-exporter"
WINDOW = Window(range="10m", interval="5s", rate_interval="30s")
CHOSEN = {"rule": "cis_root_usage", "metric": "aws_cis_root_usage_total"}


@dataclass(frozen=True)
class Product:
    """Everything at work, after every rule of every pack had something to count."""

    aws: EmbeddedAws
    exporter: Exporter
    servers: dict[str, Prometheus]
    """By major version."""


def configuration(folder: Path) -> Path:
    """The demo's, polled every two seconds."""
    document: dict[str, Any] = yaml.safe_load(CONFIG_FILE.read_text())
    for source in document["sources"]:
        source["interval"] = "2s"
        if source["type"] == "log_groups":
            source["discovery_interval"] = "2s"
    document["rule_files"] = [str(CONFIG_FILE.with_name("rules.yaml"))]
    path = folder / "exporter.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory, both_prometheus: tuple[PrometheusBinaries, ...]
) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("product")
    quotas = {"LookupEvents": math.inf, "FilterLogEvents": math.inf}
    with RecordingAws(quotas=quotas) as aws:
        traffic = Traffic(aws, seed=1)
        exporter = Exporter(
            configuration(folder),
            folder / "data",
            # Both servers come from one address, so the exporter cannot tell them apart.
            arguments=("--metrics.birth-hold=2s",),
            environment=aws.environment(),
        )
        servers = {
            binaries.major: Prometheus(
                binaries.prometheus,
                folder / f"prometheus{binaries.major}",
                targets={JOB: exporter.address},
                rule_files=rule_files(),
            )
            for binaries in both_prometheus
        }
        traffic.start()
        try:
            with exporter, ExitStack() as stack:
                for server in servers.values():
                    stack.enter_context(server)
                exporter.wait_until_ready()
                for server in servers.values():
                    server.wait_until_up(JOB)
                traffic.put_every_drill()
                wait_for(
                    "every rule to match", lambda: not _silent(exporter), timeout=120, every=0.5
                )
                # A new series is scraped at 0 first; rates need some scrapes after that.
                for server in servers.values():
                    server.wait_for_scrapes(JOB, 6)
                yield Product(aws, exporter, servers)
        finally:
            traffic.stop()
        assert denied(policy_for(folder / "exporter.yaml"), aws.requests) == []


@pytest.fixture(params=PROMETHEUS_MAJORS)
def prometheus(product: Product, request: pytest.FixtureRequest) -> Prometheus:
    """Each server in turn."""
    return product.servers[request.param]


def _silent(exporter: Exporter) -> list[str]:
    """Rules that have matched nothing."""
    matches = exporter.scrape().series("metric_filter_exporter_matches_total")
    by_rule: dict[str, float] = {}
    for labels, value in matches.items():
        rule = dict(labels)["rule"]
        by_rule[rule] = by_rule.get(rule, 0) + value
    return [rule for rule, value in by_rule.items() if not value]


def test_every_query_of_every_panel_returns_data(prometheus: Prometheus) -> None:
    queries = [
        query for dashboard in dashboards() for query in dashboard.panel_queries(CHOSEN, WINDOW)
    ]

    def all_return_data() -> bool:
        # A scrape that a busy machine makes too late leaves a gap for a second.
        queries[:] = [q for q in queries if not prometheus.query(q.expression)]
        assert not queries, [f"{query}: {query.expression}" for query in queries]
        return True

    wait_for("every query to return data", all_return_data)


def test_every_variable_has_values_and_every_annotation_works(prometheus: Prometheus) -> None:
    for dashboard in dashboards():
        for variable in dashboard.variable_queries(CHOSEN):
            path = f"/api/v1/label/{variable.label}/values"
            assert prometheus.get(path, **{"match[]": variable.selector}), str(variable)
        for annotation in dashboard.annotation_queries(CHOSEN):
            prometheus.query(annotation.expression)


def wait_for_series(prometheus: Prometheus, *, but: frozenset[str] = frozenset()) -> None:
    """Wait until Prometheus has what alerts look at, however far back they look at it."""
    missing = {
        re.sub(r" offset \w+", "", selector.prettify())
        for alert in alerts()
        for selector in selectors(alert.expression)
    } - but

    def nothing_is_missing() -> bool:
        # What was there is not asked for again: there are hundreds.
        missing.difference_update([one for one in missing if prometheus.query(one)])
        assert not missing, missing
        return True

    wait_for("all that alerts look at", nothing_is_missing, timeout=60, every=0.5)


def test_every_alert_looks_at_series_that_exist(prometheus: Prometheus) -> None:
    # These series exist where something is wrong, which the last test sees to.
    trouble = {
        'metric_filter_exporter_api_requests_total{outcome="access_denied"}',
        "metric_filter_exporter_discovery_failures_total",
    }
    wait_for_series(prometheus, but=frozenset(trouble))


def test_a_root_login_becomes_a_firing_alert(prometheus: Prometheus) -> None:
    def firing() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = prometheus.get("/api/v1/alerts")["alerts"]
        named = [a for a in found if a["labels"]["alertname"] == "AwsCisRootUsage"]
        return [a for a in named if a["labels"]["severity"] == "critical"]

    (first, *_) = wait_for("the alert", firing)
    assert first["state"] == "firing"
    assert first["labels"]["account_id"] == "123456789012"
    assert "root" in first["annotations"]["summary"].lower()


def test_nothing_is_wrong_with_the_exporter_itself_while_all_goes_well(
    prometheus: Prometheus,
) -> None:
    found: list[dict[str, Any]] = prometheus.get("/api/v1/alerts")["alerts"]
    own = {a["labels"]["alertname"] for a in found if a["state"] == "firing"}
    assert {name for name in own if name.startswith("MetricFilterExporter")} == set()


def test_what_a_denied_region_alerts_on_exists_as_soon_as_one_is_denied(
    product: Product, prometheus: Prometheus
) -> None:
    product.aws.faults = Faults(denied={"us-east-1": ["DescribeLogGroups", "LookupEvents"]})
    wait_for_series(prometheus)
    product.aws.faults = Faults()
