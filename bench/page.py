"""The cost of a scrape: the exporter's page and prometheus_client's ``generate_latest``.

    python -m bench.page [--series 100000] [--rounds 3]

Both show the same series. 1 % of them change before each scrape, at random places or in a row.
The exporter's page is always compressed. prometheus_client's times are with
``disable_created_metrics()``, without gzip and with it, as its own server sends it (``gzip`` of the
standard library at its default level). A round has five scrapes of the exporter and one of
prometheus_client. CPU time, medians of all scrapes and of the rounds' ratios; in the last round the
values of both pages are compared. Taking over committed totals is not part of a scrape: it has a
separate column, in microseconds for each changed series.

Then: memory of a series, in separate processes that load a ledger; and the exporter's own
metrics of 1,700 places (100 accounts in 17 regions). The exit code is 1 if a bound is broken.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from prometheus_client import CollectorRegistry, Counter, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from bench.sizing import fill
from exporter.ledger.base import SeriesTotal
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.exposition import Exposition
from exporter.metrics.families import MetricFamily
from exporter.metrics.partitions import Meter
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import Partition, SeriesKey
from exporter.sources.log_groups import LOG_GROUP

RATIO = 60
BYTES = 600
TELEMETRY = 0.05
SCRAPES = 5
"""Of the exporter in a round."""
METRIC = "aws_api_calls_total"
LABELS = ("account_id", "region", "source", "user")
REGIONS = ("eu-central-1", "eu-west-1", "us-east-1")
ACCEPT = {False: "text/plain", True: "application/openmetrics-text"}
SAMPLE = re.compile(rb"^aws_api_calls_total(\{.*?\}) (\S+)", re.MULTILINE)


def corpus(series: int) -> list[SeriesTotal]:
    """Series of users, each with an exemplar."""
    chosen = random.Random(7)
    accounts = [f"{chosen.randrange(10**12):012}" for _ in range(20)]
    totals = []
    for number in range(series):
        account = chosen.choice(accounts)
        role = f"arn:aws:sts::{account}:assumed-role/deploy-{chosen.randrange(50)}"
        user = f"{role}/session-{number:06x}-{chosen.getrandbits(24):06x}"
        labels = zip(LABELS, (account, chosen.choice(REGIONS), "trail", user), strict=True)
        totals.append(
            SeriesTotal(
                key=SeriesKey(METRIC, tuple(labels)),
                total=float(chosen.randrange(1000)),
                buckets=None,
                created=1_700_000_000_000,
                revealed=True,
                event_id=f"{chosen.getrandbits(128):032x}",
                event_value=1.0,
                event_time=1_700_000_000_000 + number,
            )
        )
    return totals


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def values(page: bytes) -> dict[bytes, float]:
    """The values of a page, by label set."""
    return {labels: float(value) for labels, value in SAMPLE.findall(page)}


class Pages:
    """The same series in both."""

    def __init__(self, totals: list[SeriesTotal], folder: Path) -> None:
        self._totals = totals
        self._store = SeriesStore(birth_hold=None)
        self._store.describe([MetricFamily(METRIC, "counter", "Calls.")])
        self._store.load(totals)
        self._exposition = Exposition(self._store, Telemetry(), SqliteLedger.open(folder))
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        counter = Counter(METRIC.removesuffix("_total"), "Calls.", LABELS, registry=self._registry)
        self._children = [
            counter.labels(*(value for _, value in total.key.labels)) for total in totals
        ]
        for child, total in zip(self._children, totals, strict=True):
            child.inc(total.total, {"event_id": total.event_id or ""})

    def scrape(self, changed: Sequence[int], *, openmetrics: bool) -> tuple[float, float]:
        """CPU seconds to take over the changes, and of the page after them."""
        for index in changed:
            total = self._totals[index]
            self._totals[index] = replace(total, total=total.total + 1)
            self._children[index].inc(1, {"event_id": total.event_id or ""})
        # As after a commit, which has just read them.
        changes = deepcopy([self._totals[index] for index in changed])
        gc.collect()
        applied, _ = cpu(lambda: self._store.apply(changes))
        scraped, page = cpu(lambda: self._exposition.scrape(ACCEPT[openmetrics], "gzip"))
        self._body = page.body
        return applied, scraped

    def peer(self, *, openmetrics: bool) -> tuple[float, float]:
        """CPU seconds of the other page, without gzip and with it."""
        generate: Callable[[Any], bytes] = generate_openmetrics if openmetrics else generate_latest
        other, self._text = cpu(lambda: generate(self._registry))
        zipped, body = cpu(lambda: gzip.compress(self._text))
        self._zipped = len(body)
        return other, other + zipped

    def compare(self) -> str:
        """The sizes of the last pages, whose values must be the same."""
        text = gzip.decompress(self._body)
        if values(text) != values(self._text):
            raise AssertionError("the pages differ")
        return (
            f"{len(text):,} bytes of text, {len(self._body):,} with gzip; the other page"
            f" {len(self._text):,} and {self._zipped:,}"
        )


def pages(series: int, rounds: int, folder: Path) -> bool:
    """Print the table of pages; return whether the ratio is reached."""
    totals = corpus(series)
    row = sorted(range(series), key=lambda index: totals[index].key.labels)
    both = Pages(totals, folder)
    places = random.Random(1)
    count = series // 100
    kept = True
    print(
        "| format | 1 % changed | scrape with gzip, ms | generate_latest, ms (ratio) | with gzip"
        " (ratio) | taking over, µs a change |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for openmetrics in (False, True):
        name = "OpenMetrics" if openmetrics else "text 0.0.4"
        for spread in ("at random", "in a row"):
            both.scrape([], openmetrics=openmetrics)
            own, peers, ratios = [], [], []
            for _ in range(rounds):
                scrapes = []
                for _ in range(SCRAPES):
                    start = places.randrange(series - count)
                    changed = (
                        places.sample(range(series), count)
                        if spread == "at random"
                        else row[start : start + count]
                    )
                    scrapes.append(both.scrape(changed, openmetrics=openmetrics))
                own += scrapes
                peers.append(both.peer(openmetrics=openmetrics))
                one = median(scraped for _, scraped in scrapes)
                ratios.append([peer / one for peer in peers[-1]])
            applied, scraped = (median(column) for column in zip(*own, strict=True))
            other, zipped = (1000 * median(column) for column in zip(*peers, strict=True))
            ratio, zipped_ratio = (median(column) for column in zip(*ratios, strict=True))
            print(
                f"| {name} | {spread} | {1000 * scraped:.1f} | {other:.0f} ({ratio:.0f}x)"
                f" | {zipped:.0f} ({zipped_ratio:.0f}x) | {1e6 * applied / count:.1f} |",
                flush=True,
            )
            kept = kept and ratio >= RATIO
        print(f"<!-- {name}: {both.compare()} -->", flush=True)
    return kept


def resident() -> int:
    """Bytes of resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def loaded(folder: Path, *, openmetrics: bool) -> int:
    """Resident bytes after a ledger was loaded and its page scraped."""
    ledger = SqliteLedger.open(folder)
    store = SeriesStore(birth_hold=None)
    store.load(ledger.series())
    exposition = Exposition(store, Telemetry(), ledger)
    for _ in range(3):
        exposition.scrape(ACCEPT[openmetrics], "gzip")
    gc.collect()
    return resident()


def memory(series: int, folder: Path) -> bool:
    """Print the memory of a series; return whether it is small enough."""
    kept = True
    fill(folder / "none", 0, 0)
    fill(folder / "many", series, 0)
    for openmetrics in (False, True):
        none, many = (
            int(
                subprocess.run(
                    [sys.executable, "-m", "bench.page", "--loaded", str(folder / name)]
                    + ["--openmetrics"] * openmetrics,
                    capture_output=True,
                    check=True,
                ).stdout
            )
            for name in ("none", "many")
        )
        each = (many - none) / series
        kept = kept and each <= BYTES
        print(f"Memory of a series, {ACCEPT[openmetrics]}: {each:.0f} bytes (at most {BYTES}).")
    return kept


def telemetry(rounds: int, folder: Path) -> bool:
    """Print the cost of the exporter's own metrics; return whether that is little enough."""
    own = Telemetry()
    places = [
        (f"{account:012}", f"region-{region}") for account in range(100) for region in range(17)
    ]
    meters = [
        Meter(Partition("trail", *place, "/aws/cloudtrail", LOG_GROUP), found=1.0, read_up_to=0)
        for place in places
    ]
    for meter in meters:
        own.read.add(meter)
    exposition = Exposition(SeriesStore(birth_hold=None), own, SqliteLedger.open(folder))
    generate: Callable[[Any], bytes] = generate_openmetrics
    times, others = [], []
    for number in range(rounds):
        for meter in meters:
            meter.succeeded += 1
            meter.bytes += 12345
            meter.read_up_to = 1000 * number
        for place in places:
            for operation, outcome in (
                ("FilterLogEvents", "success"),
                ("DescribeLogGroups", "success"),
                ("FilterLogEvents", "throttled"),
            ):
                own.api_request(
                    service="logs",
                    operation=operation,
                    account_id=place[0],
                    region=place[1],
                    outcome=outcome,
                )
        times.append(cpu(lambda: exposition.scrape(ACCEPT[True], "gzip"))[0])
        others.append(cpu(lambda: generate(own.registry))[0])
    print(
        f"Own metrics of {len(places):,} places: {1000 * median(times):.1f} ms a scrape (at most"
        f" {1000 * TELEMETRY:.0f}); by prometheus_client {1000 * median(others):.0f} ms."
    )
    return median(times) < TELEMETRY


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loaded", type=Path, help="print the memory of a process with a ledger")
    parser.add_argument("--openmetrics", action="store_true")
    arguments = parser.parse_args()
    if arguments.loaded:
        print(loaded(arguments.loaded, openmetrics=arguments.openmetrics))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = telemetry(3 * arguments.rounds, folder / "telemetry")
        kept = memory(arguments.series, folder) and kept
        kept = pages(arguments.series, arguments.rounds, folder / "page") and kept
    sys.exit(not kept)


if __name__ == "__main__":
    main()
