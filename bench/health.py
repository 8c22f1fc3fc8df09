"""How soon ``/-/healthy`` and ``/-/ready`` answer while everything happens at once.

    python -m bench.health [--seconds 60] [--partitions 3000]

Eight files of CloudTrail records are read as fast as they can be, thousands of log groups are
polled and looked for, the configuration is reloaded all the time (every other time with another
interval, so that every partition is found again), and the page is scraped. Each request opens
a connection, as a kubelet does. The AWS and the prober are separate processes.
The exit code is 1 if a bound is broken.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import math
import multiprocessing
import sys
import tempfile
import threading
import time
from multiprocessing.managers import BaseManager
from pathlib import Path
from statistics import quantiles
from typing import Any, cast

import yaml

from metric_filter_demo.aws import EmbeddedAws
from tests.support.processes import Exporter
from tests.support.records import trail_record
from tests.support.waiting import wait_for

REGION = "us-east-1"
BUSY = 8
RECORDS = 400_000
"""Of each busy file: more than can be read in the time."""
PATHS = ("/-/healthy", "/-/ready")
P99 = 0.050
SLOWEST = 0.250


class Aws:
    """The embedded AWS with many log groups, in a separate process."""

    def __init__(self, groups: int) -> None:
        self._aws = EmbeddedAws(quotas={"FilterLogEvents": math.inf}).start()
        for number in range(groups):
            self._aws.log_group_create(REGION, f"/bench/{number:04}")

    def environment(self) -> dict[str, str]:
        """Variables that make an SDK talk to it."""
        return self._aws.environment(REGION)


class _Processes(BaseManager):
    """Runs an Aws in a process."""


_Processes.register("aws", Aws)


def write_busy_files(folder: Path) -> None:
    """Eight files of records that need work, and an empty one, which makes the source ready."""
    folder.mkdir()
    (folder / "empty.gz").write_bytes(gzip.compress(b""))
    for file in range(BUSY):
        with gzip.open(folder / f"{file}.jsonl.gz", "wt", compresslevel=1) as out:
            for number in range(RECORDS):
                name = "ConsoleLogin" if number % 50 == 0 else "AssumeRole"
                out.write(json.dumps(trail_record(name, eventID=f"{file}-{number}")) + "\n")


def write_configuration(path: Path, busy: Path, interval: int) -> None:
    """The busy files and the log groups, with a pack of rules."""
    sources: list[dict[str, Any]] = [
        {"name": "busy", "type": "files", "paths": [f"{busy}/*.gz"], "format": "cloudtrail"},
        {
            "name": "apps",
            "type": "log_groups",
            "regions": [REGION],
            "log_groups": ["/bench/*"],
            "interval": f"{interval}s",
            "discovery_interval": "10s",
        },
    ]
    rule = {"name": "errors", "sources": ["apps"], "pattern": "ERROR", "metric": "errors_total"}
    packs = [{"name": "cloudtrail-security", "sources": ["busy"]}]
    text = yaml.safe_dump({"sources": sources, "rule_packs": packs, "rules": [rule]})
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def probe(port: int, seconds: float) -> dict[str, list[float]]:
    """Seconds that each request took, by path."""
    taken: dict[str, list[float]] = {path: [] for path in PATHS}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for path in PATHS:
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            taken[path].append(time.perf_counter() - began)
            connection.close()
            if answer.status != http.client.OK:
                raise RuntimeError(f"{path} answered {answer.status}")
            time.sleep(0.005)
    return taken


def measure(folder: Path, seconds: float, groups: int) -> dict[str, list[float]]:
    """Probe an exporter that has everything to do at once."""
    write_busy_files(folder / "busy")
    config = folder / "exporter.yaml"
    write_configuration(config, folder / "busy", 30)
    ended = threading.Event()
    with _Processes() as processes:
        aws = cast("Aws", processes.aws(groups))  # type: ignore[attr-defined]
        exporter = Exporter(config, folder / "data", environment=aws.environment())

        def reload_and_scrape() -> None:
            for number in range(10_000):
                write_configuration(config, folder / "busy", 30 + number // 2 % 2)
                if ended.wait(1):
                    return
                exporter.reload().raise_for_status()
                exporter.get("/metrics")

        with exporter, multiprocessing.Pool(1) as pool:
            exporter.wait_until_ready(timeout=120)
            wait_for(
                "all log groups",
                lambda: (
                    exporter.scrape().value("metric_filter_exporter_partitions", source="apps")
                    == groups
                ),
                timeout=120,
            )
            thread = threading.Thread(target=reload_and_scrape)
            thread.start()
            try:
                taken = pool.apply(probe, (exporter.port, seconds))
            finally:
                ended.set()
                thread.join()
            page = exporter.scrape()
            read = page.value("metric_filter_exporter_log_events_read_total", source="busy")
            if read == BUSY * RECORDS:
                raise RuntimeError("the busy files were read before the end; make them longer")
    return taken


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--partitions", type=int, default=3000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(Path(folder), options.seconds, options.partitions)
    broken = False
    print("| path | partitions | requests | p50, ms | p99, ms (50) | slowest, ms (250) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for path, times in taken.items():
        p50, p99, slowest = quantiles(times, n=2)[0], quantiles(times, n=100)[-1], max(times)
        broken = broken or p99 > P99 or slowest > SLOWEST
        shown = " | ".join(f"{1000 * value:.1f}" for value in (p50, p99, slowest))
        print(f"| `{path}` | {options.partitions:,} | {len(times)} | {shown} |")
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
