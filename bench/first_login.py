"""How soon a root login on the event bus fires an alert: a real Prometheus, every 5 s.

    python bench/first_login.py [LOGINS]

Each login is from a new address, so its series is new. From when the queue shows the message until
the exporter has committed the match, and until the alert fires. The bounds are 2 s for the
exporter and 15 s for all. Event history brings the same records a minute later, to the same feed.
"""

from __future__ import annotations

import json
import math
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo.aws import DEFAULT_ACCOUNT, DEFAULT_REGION, EmbeddedAws
from tests.support.envelopes import envelope, sign_in
from tests.support.processes import Exporter
from tests.support.prometheus import Prometheus
from tests.support.tools import find_tool

LOGINS, EVERY = 15, 5
LOOK_EVERY = 0.05
"""Seconds between two looks."""
QUEUE, JOB = "events", "exporter"
METRIC = "aws_root_logins_total"
ALERTS: dict[str, Any] = {
    "groups": [
        {
            "name": "root",
            "rules": [{"alert": "RootLogin", "expr": f"increase({METRIC}[5m]) > 0"}],
        }
    ]
}


def configuration(url: str) -> dict[str, Any]:
    """A bus and event history in one feed."""
    history = {"name": "history", "type": "event_history", "interval": "10s", "feed": "org"}
    bus = {"name": "bus", "type": "event_bus", "queue_url": url, "feed": "org"}
    rule = {
        "name": "root_logins",
        "pattern": '{ $.eventName = ConsoleLogin && $.userIdentity.type = "Root" }',
        "metric": METRIC,
        "labels": {"source_ip": "$.sourceIPAddress"},
    }
    return {"sources": [history, bus], "rules": [rule]}


def waited(condition: Callable[[], bool], began: float) -> float:
    """Wait for a condition; return the seconds since ``began``."""
    while not condition():
        if time.time() - began > 120:
            raise TimeoutError
        time.sleep(LOOK_EVERY)
    return time.time() - began


def measure(logins: int, folder: Path, aws: EmbeddedAws) -> tuple[list[float], list[float]]:
    """Return the seconds until the commit and until the alert, for each login."""
    path, alerts = folder / "exporter.yaml", folder / "alerts.yaml"
    path.write_text(yaml.safe_dump(configuration(aws.queue_create(DEFAULT_REGION, QUEUE))))
    alerts.write_text(yaml.safe_dump(ALERTS))
    chance = random.Random(1)
    commits, firings = [], []
    with (
        Exporter(path, folder / "data", environment=aws.environment()) as exporter,
        Prometheus(
            find_tool("prometheus3"),
            folder / "prometheus",
            targets={JOB: exporter.address},
            rule_files=[alerts],
            interval=f"{EVERY}s",
        ) as server,
    ):
        exporter.wait_until_ready()
        server.wait_until_up(JOB, timeout=60)
        server.wait_for_scrapes(JOB, 3, timeout=60)

        def matches() -> float:
            name = 'matches_total{source="bus",feed="org",rule="root_logins"} '
            found = re.search(f"{re.escape(name)}([0-9.]+)", exporter.get("/metrics").text)
            return 0.0 if found is None else float(found[1])

        def is_firing(address: str) -> bool:
            return any(
                alert["state"] == "firing" and alert["labels"].get("source_ip") == address
                for alert in server.get("/api/v1/alerts")["alerts"]
            )

        for number in range(logins):
            time.sleep(chance.uniform(0, EVERY))
            address, before = f"192.0.2.{number}", matches()
            record = sign_in(
                userIdentity={"type": "Root"}, sourceIPAddress=address, awsRegion=DEFAULT_REGION
            )
            aws.record(DEFAULT_ACCOUNT, DEFAULT_REGION, record, visible_in=60)
            began = time.time()
            aws.send_message(DEFAULT_REGION, QUEUE, json.dumps(envelope(record)))
            commits.append(waited(lambda: matches() > before, began))  # noqa: B023
            firings.append(waited(lambda: is_firing(address), began))  # noqa: B023
    return commits, firings


def main() -> None:
    """Print the table."""
    logins = int(sys.argv[1]) if len(sys.argv) > 1 else LOGINS
    quotas = {"LookupEvents": math.inf}
    with tempfile.TemporaryDirectory() as folder, EmbeddedAws(quotas=quotas) as aws:
        commits, firings = measure(logins, Path(folder), aws)
    print("| from the message until | median, s | slowest, s | bound of the median, s |")
    print("| --- | --- | --- | --- |")
    for until, seconds, bound in (("the commit", commits, 2), ("the alert", firings, 15)):
        median = statistics.median(seconds)
        print(f"| {until} | {median:.2f} | {max(seconds):.2f} | {bound} |")


if __name__ == "__main__":
    main()
