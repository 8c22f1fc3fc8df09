"""Scrapes without end, and what must hold on every page."""

from __future__ import annotations

import threading
from collections import Counter

import httpx

from tests.support.chaos.configuration import DYNAMIC, METRICS
from tests.support.chaos.traffic import Counts
from tests.support.expositions import Exposition, Labels
from tests.support.processes import Exporter


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

    def stop(self) -> list[str]:
        """Scrape no more; return what did not hold."""
        self.stopped.set()
        self.join()
        return self.complaints

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


def counted(page: Exposition) -> Counts:
    """What the page shows, over regions and log groups."""
    counts: Counts = Counter()
    for metric in METRICS:
        for labels, value in page.series(metric).items():
            named = dict(labels)
            own = named.get("user", named.get("path", ""))
            counts[metric, named["account_id"], own] += int(value)
    return +counts


def differences(shown: Counts, expected: Counts) -> dict[tuple[str, str, str], str]:
    """What is counted otherwise than expected: ``counted/expected`` by metric, account, label."""
    return {
        key: f"{shown[key]}/{expected[key]}"
        for key in sorted(shown.keys() | expected.keys())
        if shown[key] != expected[key]
    }
