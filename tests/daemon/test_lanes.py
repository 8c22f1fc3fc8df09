"""Polls that hang stop nobody else's."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from exporter.engine import Lanes
from exporter.events import Partition


def test_a_region_whose_polls_all_hang_keeps_no_other_region_and_no_other_source_waiting() -> None:
    scheduler = BackgroundScheduler(timezone=UTC)
    lanes = Lanes(scheduler)
    hanging = [Partition("apps", "1", "eu-west-1", log_group=f"/g{n}") for n in range(40)]
    healthy = [Partition("apps", "1", "us-east-1"), Partition("history", "1", "eu-west-1")]
    release = threading.Event()
    polled = {partition: threading.Event() for partition in healthy}
    for partition, call in [
        *((partition, release.wait) for partition in hanging),
        *((partition, polled[partition].set) for partition in healthy),
    ]:
        scheduler.add_job(
            call,
            "interval",
            hours=1,
            executor=lanes.of(partition),
            next_run_time=datetime.now(UTC),
        )
    scheduler.start()
    try:
        assert all(event.wait(10) for event in polled.values())
        assert not release.is_set()
    finally:
        release.set()
        scheduler.shutdown()
