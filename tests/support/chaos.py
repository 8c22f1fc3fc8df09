"""A random AWS, random traffic and random kills, and what must hold all the time."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from exporter.demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from exporter.demo.faults import Faults
from tests.support.expositions import Exposition, Labels
from tests.support.iam import RecordingAws, denied, policy_for
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

REGIONS = ["us-east-1", "eu-west-1"]
GROUPS = ["/app/checkout", "/app/search"]
LOOKBACK = 12
CHAOS = Faults(
    throttle=0.08,
    error=0.05,
    drop=0.02,
    empty_page=0.2,
    page_size=(1, 20),
    duplicate=0.1,
    seed=7,
    operations=["LookupEvents", "FilterLogEvents", "DescribeLogGroups"],
)
CONFIGURATION = {
    "sources": [
        {
            "name": "history",
            "type": "event_history",
            "regions": REGIONS,
            "interval": "1s",
            "lookback": f"{LOOKBACK}s",
        },
        {
            "name": "apps",
            "type": "log_groups",
            "regions": ["us-east-1"],
            "log_groups": ["/app/*"],
            "interval": "1s",
            "lookback": f"{LOOKBACK}s",
            "discovery_interval": "2s",
        },
    ],
    "rules": [
        {
            "name": "logins",
            "sources": ["history"],
            "pattern": "{ $.eventName = ConsoleLogin }",
            "metric": "logins_total",
            "labels": {"user": "$.userIdentity.userName"},
        },
        {
            "name": "calls",
            "sources": ["history"],
            "pattern": "{ $.eventName = * }",
            "metric": "calls_total",
        },
        {
            "name": "errors",
            "sources": ["apps"],
            "pattern": "ERROR",
            "metric": "errors_total",
        },
        {
            "name": "bytes",
            "sources": ["apps"],
            "pattern": "[level, path, bytes]",
            "metric": "sent_bytes_total",
            "value": "$bytes",
            "labels": {"path": "$path"},
        },
    ],
}
DYNAMIC = ("logins_total", "sent_bytes_total")
METRICS = ("logins_total", "calls_total", "errors_total", "sent_bytes_total")


def record(name: str, user: str) -> dict[str, Any]:
    return {
        "eventVersion": "1.09",
        "userIdentity": {"type": "IAMUser", "userName": user},
        "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "eventSource": "signin.amazonaws.com",
        "eventName": name,
        "recipientAccountId": DEFAULT_ACCOUNT,
    }


class Traffic(threading.Thread):
    """Makes events with random delays until it is stopped, and keeps count of them."""

    def __init__(self, aws: EmbeddedAws, seed: int) -> None:
        super().__init__(daemon=True)
        self._aws = aws
        self._random = random.Random(seed)
        self.stopped = threading.Event()
        self.expected: Counter[tuple[str, str]] = Counter()

    def run(self) -> None:
        while not self.stopped.wait(0.03):
            delay = self._random.choice([0, 0, self._random.uniform(0, 6)])
            if self._random.random() < 0.5:
                self._call(delay)
            else:
                self._log(delay)

    def _call(self, delay: float) -> None:
        region = self._random.choice(REGIONS)
        name = self._random.choice(["ConsoleLogin", "DescribeInstances", "AssumeRole"])
        user = f"user-{self._random.randrange(6)}"
        self._aws.record(
            DEFAULT_ACCOUNT, region, record(name, user) | {"awsRegion": region}, visible_in=delay
        )
        self.expected["calls_total", ""] += 1
        if name == "ConsoleLogin":
            self.expected["logins_total", user] += 1

    def _log(self, delay: float) -> None:
        level = self._random.choice(["INFO", "ERROR"])
        path, size = f"/p{self._random.randrange(4)}", self._random.randrange(1000)
        group = self._random.choice(GROUPS)
        self._aws.put_log_event("us-east-1", group, f"{level} {path} {size}", visible_in=delay)
        self.expected["sent_bytes_total", path] += size
        if level == "ERROR":
            self.expected["errors_total", ""] += 1


class Scraper(threading.Thread):
    """Scrapes all the time, over restarts, and holds each series to what counters must keep."""

    def __init__(self, exporter: Exporter) -> None:
        super().__init__(daemon=True)
        self._exporter = exporter
        self._last: dict[tuple[str, Labels], float] = {}
        self.stopped = threading.Event()
        self.complaints: list[str] = []
        self.scrapes = 0

    def run(self) -> None:
        while not self.stopped.wait(0.15):
            try:
                page = self._exporter.scrape()
            except (httpx.HTTPError, AssertionError):
                continue  # it was just killed
            self.scrapes += 1
            self._check(page)

    def _check(self, page: Exposition) -> None:
        now = {
            (metric, labels): value
            for metric in METRICS
            for labels, value in page.series(metric).items()
        }
        for series, value in now.items():
            before = self._last.get(series)
            if before is None and value != 0 and series[0] in DYNAMIC:
                self.complaints.append(f"{series} was first scraped at {value}")
            if before is not None and value < before:
                self.complaints.append(f"{series} went from {before} to {value}")
        for series in self._last.keys() - now.keys():
            self.complaints.append(f"{series} vanished")
        self._last = now


def counted(page: Exposition) -> Counter[tuple[str, str]]:
    """What the page shows, over accounts, regions and log groups."""
    counts: Counter[tuple[str, str]] = Counter()
    for metric in METRICS:
        for labels, value in page.series(metric).items():
            named = dict(labels)
            key = metric, named.get("user", named.get("path", ""))
            counts[key] += int(value)
    return +counts


def run_chaos(folder: Path, *, seed: int, restarts: int) -> int:
    """Run the exporter through kills and faults; the number of events made.

    AssertionError where, at the end, an event was not counted or counted twice, or where on the
    way a series went down, vanished, or was first scraped at anything but 0, or where the exporter
    called what ``iam-policy`` does not allow.
    """
    config = folder / "exporter.yaml"
    config.write_text(yaml.safe_dump(CONFIGURATION))
    chance = random.Random(seed)
    quotas = {"LookupEvents": math.inf, "FilterLogEvents": math.inf}
    with RecordingAws(quotas=quotas) as aws:
        for group in GROUPS:
            aws.log_group_create("us-east-1", group)
        exporter = Exporter(
            config,
            folder / "data",
            arguments=("--metrics.birth-hold=1s",),
            environment=aws.environment(),
        )
        with exporter:
            exporter.wait_until_ready()
            aws.faults = replace(CHAOS, seed=seed)
            traffic, scraper = Traffic(aws, seed), Scraper(exporter)
            traffic.start()
            scraper.start()
            for restart in range(restarts):
                # The moment of the kill is what this is about: it is random, not awaited.
                time.sleep(chance.uniform(0.5, 3))
                if restart % 4 == 2:
                    assert exporter.terminate() == 0
                else:
                    exporter.kill()
                exporter.start()
                exporter.wait_until_listening()
            traffic.stopped.set()
            traffic.join()
            aws.faults = Faults()
            expected = +traffic.expected
            wait_for(
                "every event to be counted",
                lambda: counted(exporter.scrape()) == expected,
                timeout=LOOKBACK + 30,
            )
            # Every slice is read once more at the age of the lookback: nothing may come twice.
            end = time.time() + LOOKBACK + 3
            wait_for("the last sweep", lambda: time.time() > end, timeout=LOOKBACK + 5)
            assert counted(exporter.scrape()) == expected
            scraper.stopped.set()
            scraper.join()
            assert scraper.complaints == []
            assert scraper.scrapes > restarts
        assert denied(policy_for(config), aws.requests) == []
    return sum(count for (metric, _), count in expected.items() if metric != "sent_bytes_total")
