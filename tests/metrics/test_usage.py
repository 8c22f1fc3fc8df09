"""Requests and readings by source and reason; the quotas."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from exporter.aws.bucket import Needs
from exporter.aws.quotas import CallCost, Quotas
from exporter.aws.uses import Use, used_by, using
from exporter.metrics.telemetry import PREFIX, SourceInfo, Telemetry


def requested(telemetry: Telemetry) -> None:
    telemetry.api_request(
        service="logs",
        operation="FilterLogEvents",
        account_id="1",
        region="eu-west-1",
        outcome="success",
    )


def test_requests_are_counted_by_source_and_reason_wherever_they_are_made() -> None:
    telemetry = Telemetry()
    telemetry.set_sources([SourceInfo("apps", 30, 3600, "org")])

    def pages() -> Iterator[int]:
        for page in range(2):
            requested(telemetry)
            yield page

    read = used_by(Use("apps", "group", "reread"), pages())
    threads = [threading.Thread(target=next, args=(read,)) for _ in range(2)]
    for thread in threads:
        thread.start()
        thread.join()
    with using(Use("apps", reason="discovery")):
        requested(telemetry)
    requested(telemetry)  # for no source

    def value(reason: str) -> float | None:
        labels = {"source": "apps", "feed": "org", "operation": "FilterLogEvents", "reason": reason}
        return telemetry.registry.get_sample_value(PREFIX + "source_api_requests_total", labels)

    assert (value("reread"), value("discovery"), value("fresh")) == (2, 1, None)
    assert telemetry.api_calls() == 4


def test_readings_are_counted_by_reason() -> None:
    telemetry = Telemetry()
    telemetry.usage.read("apps", "fresh", events=10, size=2000)
    telemetry.usage.read("apps", "reread", events=0, size=0)
    telemetry.usage.read("apps", "reread", events=3, size=500)
    for name, value in (("pages", 2), ("events", 3), ("bytes", 500)):
        labels = {"source": "apps", "feed": "apps", "reason": "reread"}
        metric = f"{PREFIX}source_read_{name}_total"
        assert telemetry.registry.get_sample_value(metric, labels) == value


def test_each_quota_shows_its_limit_and_how_much_is_used_and_needed() -> None:
    telemetry, quotas = Telemetry(), Quotas(clock=lambda: 1000.0)
    telemetry.usage.quotas = quotas.states
    cost = CallCost(
        quotas, "LookupEvents", "1", "us-east-1", lambda: Use("history", "1", budget=0.5)
    )
    cost.need(Needs(4.0, 0.5))
    ticket = cost.ticket(0.0)
    assert ticket is not None
    assert ticket.take() == 0
    labels = {"account_id": "1", "region": "us-east-1", "operation": "LookupEvents"}

    def value(name: str) -> float | None:
        return telemetry.registry.get_sample_value(f"{PREFIX}api_quota_{name}", labels)

    assert value("limit") == 1
    assert value("used_ratio") == pytest.approx(1.05 / 60)
    assert value("needed_ratio") == pytest.approx(4 * 1.05)
    assert value("least_needed_ratio") == pytest.approx(0.5 * 1.05)
