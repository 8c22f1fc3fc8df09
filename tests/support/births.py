"""How long it takes from an event in AWS until ``increase()`` of a new series sees it."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import yaml

from exporter.ledger.base import Batch
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import Partition
from metric_filter_demo.aws import EmbeddedAws
from tests.support.forwarding import Forwarder
from tests.support.processes import Exporter
from tests.support.prometheus import Prometheus
from tests.support.records import ACCOUNT, trail_record
from tests.support.waiting import wait_for

INTERVAL = 1.0
"""Of the source, in seconds."""
CONFIGURATION: dict[str, Any] = {
    "sources": [
        {
            "name": "history",
            "type": "event_history",
            "regions": ["us-east-1"],
            "interval": f"{INTERVAL:g}s",
            "lookback": "60s",
            "start": "2h",
        }
    ],
    "rules": [
        {
            "name": "root_logins",
            "title": "Sign-ins of the root user",
            "pattern": '{ $.eventName = ConsoleLogin && $.userIdentity.type = "Root" }',
            "metric": "root_logins_total",
            "labels": {"source_ip": "$.sourceIPAddress"},
        }
    ],
}
OUTAGE = timedelta(hours=1)
JOB = "exporter"


@dataclass(frozen=True, slots=True)
class Birth:
    """What one Prometheus server stored of a series."""

    series: str
    seconds: float
    """From when the event could be read until the first sample that is above the one before."""
    values: list[float]
    """The samples up to that one, since the exporter's last start."""
    increase: float
    """What PromQL makes of it."""


class Births:
    """An exporter of root logins by address, and the Prometheus servers that scrape it.

    Use as a context manager: the exporter runs inside, and no server yet.
    """

    def __init__(
        self, folder: Path, aws: EmbeddedAws, prometheus: Path, *, scrape_interval: str = "1s"
    ) -> None:
        configuration = folder / "exporter.yaml"
        configuration.write_text(yaml.safe_dump(CONFIGURATION))
        self.exporter = Exporter(configuration, folder / "data", environment=aws.environment())
        self.servers: list[Prometheus] = []
        self._folder = folder
        self._aws = aws
        self._prometheus = prometheus
        self._scrape_interval = scrape_interval
        self._since = time.time()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.exporter)
        self.exporter.wait_until_ready()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.__exit__(*exception)  # type: ignore[arg-type]

    def add_server(self) -> None:
        """Start one more Prometheus, and wait until it has scraped often enough to be known.

        Each but the first comes from another address, as if from another machine.
        """
        number = len(self.servers) + 1
        target = self.exporter.address
        if number > 1:
            forwarder = Forwarder(self.exporter.port, source=f"127.0.0.{number}")
            target = self._stack.enter_context(forwarder).address
        server = Prometheus(
            self._prometheus,
            self._folder / f"prometheus-{number}",
            targets={JOB: target},
            interval=self._scrape_interval,
        )
        self.servers.append(self._stack.enter_context(server))
        server.wait_until_up(JOB, timeout=60)
        server.wait_for_scrapes(JOB, 2, timeout=60)

    def login(self, address: str, *, ago: timedelta = timedelta()) -> None:
        """Let root sign in from an address; AWS shows it from now on."""
        at = (datetime.now(UTC) - ago).strftime("%Y-%m-%dT%H:%M:%SZ")
        identity = {"type": "Root"}
        record = trail_record(
            "ConsoleLogin", eventTime=at, userIdentity=identity, sourceIPAddress=address
        )
        self._aws.record(ACCOUNT, "us-east-1", record)

    def stop(self) -> None:
        """Kill the exporter."""
        self.exporter.kill()

    def age_position(self) -> None:
        """Set the position back by the outage, as if the exporter had been down for so long."""
        partition = Partition("history", ACCOUNT, "us-east-1")
        ledger = SqliteLedger.open(self._folder / "data")
        document = json.loads(ledger.checkpoint(partition) or "")
        back = round(OUTAGE.total_seconds() * 1000)
        document["sweep"] = [[age, position - back] for age, position in document["sweep"]]
        before = ledger.checkpoint(partition)
        ledger.commit(Batch(partition, "history", json.dumps(document), before))
        ledger.close()

    def start(self) -> None:
        """Start the exporter again."""
        self.exporter.start()
        self.exporter.wait_until_listening()
        self._since = time.time()

    def seen(self, address: str, began: float | None = None) -> list[Birth]:
        """Wait until each server has seen the series rise, since the exporter's last start.

        ``began``: when the event could be read, seconds since the epoch; default: that start.
        """
        return [
            wait_for(
                f"{server.url} to see {address}",
                lambda server=server: self._seen(  # type: ignore[misc]
                    server, address, self._since if began is None else began
                ),
                timeout=60,
            )
            for server in self.servers
        ]

    def _seen(self, server: Prometheus, address: str, began: float) -> Birth | None:
        series = f'root_logins_total{{source_ip="{address}"}}'
        samples = server.samples(series, since=self._since)
        for number, ((_, before), (at, value)) in enumerate(itertools.pairwise(samples), start=2):
            if value > before:
                window = round((at - self._since) * 1000)
                (increase,) = server.query(f"increase({series}[{window}ms])", at=at)
                values = [value for _, value in samples[:number]]
                return Birth(address, at - began, values, increase.value)
        return None


def over_restarts(scene: Births) -> dict[str, list[Birth]]:
    """First logins over a restart, and over an outage of an hour, in which a known series jumps.

    By situation, one birth for each server. The series of 192.0.2.1 must exist, at 1.
    """
    found = {}
    scene.stop()
    scene.login("192.0.2.2")
    scene.start()
    found["restart"] = scene.seen("192.0.2.2")
    scene.stop()
    scene.age_position()
    scene.login("192.0.2.1", ago=OUTAGE * 2 / 3)
    scene.login("192.0.2.3", ago=OUTAGE * 2 / 3)
    scene.start()
    found["outage"] = scene.seen("192.0.2.3")
    found["outage, known series"] = scene.seen("192.0.2.1")
    return found
