"""The exporter reads EventBridge's events from a queue: each counts once."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION
from tests.support.envelopes import envelope, finding
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

RULES = [
    {"name": "logins", "pattern": "{ $.eventName = ConsoleLogin }", "metric": "logins_total"},
    {"name": "findings", "pattern": "{ $.detail.severity > 7 }", "metric": "findings_total"},
]


class Bus:
    """A queue that delivers as AWS may: repeatedly, in any order, and before its time again."""

    def __init__(self, aws: RecordingAws, seed: int) -> None:
        self._aws = aws
        self.url = aws.queue_create(DEFAULT_REGION, "events")
        self._random = random.Random(seed)

    def deliver(self, events: list[dict[str, Any]]) -> None:
        """Send events in any order, alone or in lists, a fifth of them twice."""
        copies = [*events, *self._random.sample(events, len(events) // 5)]
        self._random.shuffle(copies)
        while copies:
            size = self._random.choice((1, 1, 1, 5))
            part, copies = copies[:size], copies[size:]
            body = json.dumps(part if size > 1 else part[0])
            self._aws.send_message(DEFAULT_REGION, "events", body)

    def expire_visibility(self) -> None:
        """Let everything that was received come again, whoever works on it."""
        self._aws.expire_visibility(DEFAULT_REGION, "events")

    @property
    def messages(self) -> int:
        return self._aws.messages_left(DEFAULT_REGION, "events")


@pytest.fixture
def bus(aws: RecordingAws) -> Bus:
    return Bus(aws, seed=1)


def test_each_event_counts_once_over_kills_copies_and_expired_visibility(
    bus: Bus, make_exporter: Any
) -> None:
    source = {"name": "bus", "type": "event_bus", "queue_url": bus.url, "interval": "2s"}
    exporter: Exporter = make_exporter({"sources": [source], "rules": RULES})

    def counted(metric: str) -> float:
        return exporter.scrape().value(metric, source="bus") or 0.0

    def more_than(logins: int) -> Callable[[], bool]:
        return lambda: counted("logins_total") > logins

    with exporter:
        for round_ in range(3):
            bus.deliver([envelope() for _ in range(60)] + [finding() for _ in range(5)])
            exporter.wait_until_ready()
            wait_for("some of them", more_than(60 * round_))
            bus.expire_visibility()
            if round_ < 2:
                exporter.kill()
                bus.expire_visibility()
                exporter.start()

        def is_worked_off() -> bool:
            bus.expire_visibility()
            return bus.messages == 0

        wait_for("an empty queue", is_worked_off)
        # A server that scrapes sees the old total first.
        wait_for("the total", lambda: counted("logins_total") >= 180)
        assert (counted("logins_total"), counted("findings_total")) == (180, 15)
        assert exporter.terminate() == 0


def test_forged_messages_count_nothing_and_the_rest_goes_on(bus: Bus, make_exporter: Any) -> None:
    own = {"account_ids": [DEFAULT_ACCOUNT], "interval": "2s"}
    source = {"name": "bus", "type": "event_bus", "queue_url": bus.url, **own}
    exporter: Exporter = make_exporter({"sources": [source], "rules": RULES})
    foreign = envelope(account="999999999999")
    foreign["detail"]["recipientAccountId"] = "999999999999"
    bus.deliver([{"s3Bucket": "b", "s3ObjectKey": ["k"]}])
    bus.deliver([foreign, finding(account="999999999999"), envelope()])

    def value(name: str, **labels: str) -> float | None:
        return exporter.scrape().value(f"metric_filter_exporter_{name}", source="bus", **labels)

    with exporter:
        exporter.wait_until_ready()
        wait_for("the event", lambda: exporter.scrape().value("logins_total", source="bus") == 1)
        wait_for("the others", lambda: value("excluded_events_total", reason="account") == 2)
        wait_for("the error", lambda: value("queue_messages_total", outcome="unreadable") == 1)
        assert exporter.scrape().value("findings_total", source="bus") == 0
        assert bus.messages == 1
        assert exporter.logs().count("events are excluded") == 1
        assert exporter.logs().count("cannot be read") == 1
        assert exporter.terminate() == 0
