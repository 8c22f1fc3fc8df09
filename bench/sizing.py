"""What an exporter of some size needs: memory, disk and CPU, of the real process.

    python bench/sizing.py

Two runs: one with many series in the ledger, one with many quiet log groups that are polled every
second. The AWS is embedded, in this process; what is measured is the exporter's process alone.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from exporter.ledger.base import Batch, RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey
from metric_filter_demo.aws import EmbeddedAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

SERIES = (0, 10_000, 100_000)
MATCHES = 100_000
GROUPS = 100
SECONDS = 20
RULE = {"name": "r", "sources": ["f"], "pattern": "x", "metric": "bench_total"}
REGION = "us-east-1"


def configuration(sources: list[dict[str, Any]], **rule: Any) -> str:
    """An exporter.yaml with one rule."""
    return yaml.safe_dump({"sources": sources, "rules": [{**RULE, **rule}]})


def fill(folder: Path, series: int, matches: int) -> None:
    """A ledger of that many revealed series, and matches to remember."""
    ledger = SqliteLedger.open(folder)
    definition = {
        "metric": "bench_total",
        "buckets": None,
        "labels": {"user": ""},
        "uses_default_metric": False,
    }
    use = RuleUse(None, own_start=False, definition=json.dumps(definition), max_series=10**6)
    ledger.load_rules({"f": {"r": use}}, now=0, keep={}, generation="bench")
    now = round(time.time() * 1000)
    keys = [
        SeriesKey(
            "bench_total",
            (
                ("account_id", "123456789012"),
                ("region", REGION),
                ("source", "f"),
                ("user", f"arn:aws:sts::123456789012:assumed-role/deploy/session-{number:06}"),
            ),
        )
        for number in range(max(series, 1))
    ]
    judged, partition = frozenset(["r"]), Partition("f", resource="/bench")
    events = [
        JudgedEvent(
            f"event-{n:032}",
            "",
            now,
            now,
            judged,
            (Increment("r", keys[n % len(keys)], keys[0], 1.0),),
        )
        for n in range(max(series, matches))
    ]
    for start in range(0, len(events), 5000):
        part, before = events[start : start + 5000], ledger.checkpoint(partition)
        ledger.commit(Batch(partition, "f", "{}", before, part, remember_from=now))
    ledger.reveal(keys)
    ledger.close()


def with_series(folder: Path) -> None:
    """Print what series cost."""
    print("| series | RSS, MiB | page, MiB (gzip) | scrape, s (gzip) | ledger, MiB |")
    print("| --- | --- | --- | --- | --- |")
    for series in SERIES:
        place = folder / str(series)
        fill(place / "data", series, 0)
        config = place / "exporter.yaml"
        files = {"name": "f", "type": "files", "paths": [str(place / "none")]}
        config.write_text(configuration([files], labels={"user": "$.u"}, max_series=200_000))
        with Exporter(config, place / "data") as exporter:
            exporter.wait_until_ready()
            plain, compressed = scrape(exporter, "identity"), scrape(exporter, "gzip")
            rss = exporter.scrape().value("process_resident_memory_bytes") or math.nan
        ledger = (place / "data" / LEDGER_FILE).stat().st_size
        print(
            f"| {series:,} | {mib(rss)} | {mib(plain[0])} ({mib(compressed[0])})"
            f" | {plain[1]:.2f} ({compressed[1]:.2f}) | {mib(ledger)} |"
        )
    place = folder / "matches"
    fill(place, 1, MATCHES)
    size = (place / LEDGER_FILE).stat().st_size
    print(f"\nA remembered match takes {size / MATCHES:.0f} bytes of the ledger.\n")


def scrape(exporter: Exporter, encoding: str) -> tuple[float, float]:
    """Bytes and seconds of the quickest of five scrapes."""
    best = (0.0, math.inf)
    for _ in range(5):
        began = time.perf_counter()
        headers = {"Accept": "text/plain", "Accept-Encoding": encoding}
        with httpx.stream("GET", f"{exporter.url}/metrics", headers=headers) as answer:
            sent = sum(len(part) for part in answer.iter_raw())
        took = time.perf_counter() - began
        if took < best[1]:
            best = (sent, took)
    return best


def with_polls(folder: Path) -> None:
    """Print what polls cost. The exporter keeps FilterLogEvents' quota of 25 requests a second."""
    apps = {
        "name": "f",
        "type": "log_groups",
        "regions": [REGION],
        "log_groups": ["/bench/*"],
        "interval": "1s",
        "lookback": "60s",
    }
    config = folder / "polls.yaml"
    config.write_text(configuration([apps]))
    with EmbeddedAws(quotas={"FilterLogEvents": math.inf}) as aws:
        for number in range(GROUPS):
            aws.log_group_create(REGION, f"/bench/{number}")
        with Exporter(config, folder / "polls", environment=aws.environment()) as exporter:
            exporter.wait_until_ready()
            polls, cpu, calls = counted(exporter)
            end = time.monotonic() + SECONDS
            wait_for("the end", lambda: time.monotonic() > end, timeout=SECONDS + 5)
            after = counted(exporter)
            rss = exporter.scrape().value("process_resident_memory_bytes") or math.nan
    done = after[0] - polls
    print(
        f"{done:.0f} polls of {GROUPS} quiet log groups: {1000 * (after[1] - cpu) / done:.1f} ms"
        f" of CPU and {(after[2] - calls) / done:.2f} API calls a poll; RSS {mib(rss)} MiB."
    )


def counted(exporter: Exporter) -> tuple[float, float, float]:
    """Polls, CPU seconds and API calls so far."""
    page = exporter.scrape()
    names = (
        "metric_filter_exporter_polls_total",
        "process_cpu_seconds_total",
        "metric_filter_exporter_api_requests_total",
    )
    polls, cpu, calls = (page.value(name) or 0.0 for name in names)
    return polls, cpu, calls


def mib(count: float) -> str:
    """Bytes as mebibytes."""
    return f"{count / 2**20:.1f}"


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as folder:
        with_series(Path(folder))
        with_polls(Path(folder))


if __name__ == "__main__":
    main()
