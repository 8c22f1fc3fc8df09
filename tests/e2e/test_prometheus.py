"""A real Prometheus scrapes the exporter."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from metric_filter_demo.aws import EmbeddedAws
from tests.support.births import CONFIGURATION, INTERVAL, Birth, Births, over_restarts
from tests.support.processes import Exporter
from tests.support.prometheus import CREATED_FEATURES, Prometheus
from tests.support.records import ACCOUNT, trail_record
from tests.support.tools import PrometheusBinaries
from tests.support.waiting import wait_for

SCRAPE = 1.0
SLACK = 1.5
"""Seconds for a machine that is busy with other tests."""


def check(births: list[Birth], *, first: float = 0.0, samples: int = 4) -> None:
    for birth in births:
        assert (birth.values[0], birth.values[-1]) == (first, first + 1), birth
        assert birth.increase > 0, birth
        assert len(birth.values) <= samples, birth
        assert birth.seconds <= INTERVAL + 3 * SCRAPE + SLACK, birth


def test_increase_sees_each_first_match_within_three_scrapes_running_restarted_and_after_an_outage(
    tmp_path: Path,
    aws: EmbeddedAws,
    prometheus_binaries: PrometheusBinaries,
) -> None:
    with Births(tmp_path, aws, prometheus_binaries.prometheus) as scene:
        scene.add_server()
        began = time.time()
        scene.login("192.0.2.4")
        check(scene.seen("192.0.2.4", began), samples=3)
        scene.add_server()
        began = time.time()
        scene.login("192.0.2.1")
        check(scene.seen("192.0.2.1", began), samples=3)
        found = over_restarts(scene)
        totals = scene.exporter.scrape().series("root_logins_total")
        resets = [
            server.query("sum(resets(root_logins_total[5m]))")[0].value for server in scene.servers
        ]
    assert all(len(births) == 2 for births in found.values())
    check(found["restart"])
    check(found["outage"])
    check(found["outage, known series"], first=1)
    assert resets == [0, 0]
    assert {dict(labels)["source_ip"]: value for labels, value in totals.items()} == {
        "192.0.2.1": 2,
        "192.0.2.2": 1,
        "192.0.2.3": 1,
        "192.0.2.4": 1,
    }


def test_both_prometheus_servers_see_the_first_match_and_a_restart_adds_nothing(
    tmp_path: Path,
    aws: EmbeddedAws,
    make_exporter: Callable[..., Exporter],
    both_prometheus: tuple[PrometheusBinaries, ...],
) -> None:
    """With the oldest Prometheus and the newest, which takes ``_created`` for a 0 of that time."""
    # The servers come from one address, so the exporter cannot tell them apart.
    exporter = make_exporter(CONFIGURATION, "--metrics.birth-hold=2s", "--metrics.created")
    oldest, newest = (
        Prometheus(
            binaries.prometheus,
            tmp_path / f"prometheus{binaries.major}",
            targets={"exporter": exporter.address},
            features=CREATED_FEATURES[binaries.major],
        )
        for binaries in both_prometheus
    )
    with exporter, oldest, newest:
        exporter.wait_until_ready()
        for prometheus in (oldest, newest):
            prometheus.wait_until_up("exporter")
        root = {"type": "Root"}
        login = trail_record("ConsoleLogin", userIdentity=root, sourceIPAddress="192.0.2.7")
        aws.record(ACCOUNT, "us-east-1", login)
        for prometheus in (oldest, newest):
            wait_for("increase() to see the login", partial(has_counted_one, prometheus))
        exporter.kill()
        exporter.start()
        exporter.wait_until_ready()
        for prometheus in (oldest, newest):
            prometheus.wait_for_scrapes("exporter", 2)
            assert has_counted_one(prometheus)
            assert prometheus.query("sum(resets(root_logins_total[5m]))")[0].value == 0
        assert oldest.query("root_logins_created")
        assert not newest.query("root_logins_created")


def has_counted_one(prometheus: Prometheus) -> bool:
    """One, but for the extrapolation to the window's end, a part of a scrape interval."""
    samples = prometheus.query("sum(increase(root_logins_total[5m]))")
    return bool(samples) and round(samples[0].value) == 1


def test_promtool_has_nothing_to_say_about_the_page(
    aws: EmbeddedAws,
    make_exporter: Callable[..., Exporter],
    both_prometheus: tuple[PrometheusBinaries, ...],
) -> None:
    with make_exporter(CONFIGURATION) as exporter:
        exporter.wait_until_ready()
        aws.record(ACCOUNT, "us-east-1", trail_record("ConsoleLogin"))
        wait_for(
            "a poll",
            lambda: exporter.scrape().value("metric_filter_exporter_log_events_read_total"),
        )
        page = exporter.get("/metrics").content
    for binaries in both_prometheus:
        done = subprocess.run(
            [str(binaries.promtool), "check", "metrics"],
            input=page,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
