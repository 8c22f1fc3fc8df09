"""A reload changes what differs and touches nothing else, with hundreds of partitions too."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.expositions import Exposition
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

FILES = 300
LINES = 3
PREFIX = "metric_filter_exporter_"
GAUGES = ("partition_up", "partition_last_success_timestamp_seconds", "partitions")
COUNTERS = ("log_events_read_total", "read_bytes_total", "polls_total", "matches_total")


def configuration(folder: Path, *, interval: str = "1h", **rule: Any) -> dict[str, Any]:
    """Polls an hour apart: whatever moves, a reload has moved it."""
    paths = [str(folder / "logs" / "*.log")]
    rules = [{"name": "errors", "pattern": "ERROR", "metric": "errors_total", **rule}]
    sources = [{"name": "apps", "type": "files", "paths": paths, "interval": interval}]
    return {"sources": sources, "rules": rules}


def write(folder: Path, **changes: str) -> None:
    (folder / "exporter.yaml").write_text(yaml.safe_dump(configuration(folder, **changes)))


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    """An exporter that has read each of its files once."""
    (tmp_path / "logs").mkdir()
    for number in range(FILES):
        (tmp_path / "logs" / f"{number}.log").write_text("ERROR disk full\n" * LINES)
    write(tmp_path)
    with Exporter(tmp_path / "exporter.yaml", tmp_path / "data") as running:
        running.wait_until_ready()
        wait_for("each file", lambda: own(running.scrape(), "polls_total") == FILES)
        yield running


def own(page: Exposition, name: str) -> float | None:
    return page.value(PREFIX + name)


def told(page: Exposition, *names: str) -> dict[Any, float]:
    return {
        (name, labels): value
        for name in names
        for labels, value in page.series(PREFIX + name).items()
    }


def numbers_of_the_status_page(exporter: Exporter) -> list[str]:
    """Every number on it but times and the ledger's size."""
    text = re.sub(r"<time.*?</time>|<[^>]*>", " ", exporter.get("/").text, flags=re.DOTALL)
    text = re.sub(r"\d[\d,.:]*\s*(ms|s|m|h|min|[KM]i?B|hours?|minutes?|seconds?)\b", " ", text)
    return re.findall(r"\b\d[\d,]*\b", text)


@contextmanager
def scraped_all_the_time(exporter: Exporter) -> Iterator[list[Exposition]]:
    pages: list[Exposition] = []
    ended = threading.Event()

    def scrape() -> None:
        while not ended.wait(0.01):
            pages.append(exporter.scrape())

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield pages
    finally:
        ended.set()
        thread.join()


def test_when_an_unchanged_file_is_reloaded_no_gauge_counter_or_number_of_the_page_moves(
    exporter: Exporter,
) -> None:
    names = (*GAUGES, *COUNTERS)
    wait_for("the total", lambda: exporter.scrape().value("errors_total") == FILES * LINES)
    before, page = told(exporter.scrape(), *names), numbers_of_the_status_page(exporter)
    assert len(before) > 2 * FILES
    assert str(FILES * LINES) in page
    with scraped_all_the_time(exporter) as pages:
        for _ in range(3):
            assert exporter.reload().is_success
    assert pages
    for scraped in pages:
        assert told(scraped, *names) == before
        assert scraped.value("errors_total") == FILES * LINES
    assert numbers_of_the_status_page(exporter) == page


def test_when_a_source_is_changed_its_partitions_go_on_and_nothing_goes_down(
    exporter: Exporter, tmp_path: Path
) -> None:
    before = exporter.scrape()
    write(tmp_path, interval="2h")
    with scraped_all_the_time(exporter) as pages:
        assert exporter.reload().is_success
        wait_for("all again", lambda: own(exporter.scrape(), "polls_total") == 2 * FILES)
    for page in pages:
        assert own(page, "partition_up") == FILES
        for metric, value in told(before, *COUNTERS).items():
            assert told(page, *COUNTERS)[metric] >= value
    assert own(pages[-1], "log_events_read_total") == FILES * LINES


def test_a_source_that_no_longer_has_a_partition_reads_it_no_more_and_keeps_its_sums(
    exporter: Exporter, tmp_path: Path
) -> None:
    changed = configuration(tmp_path)
    changed["sources"][0]["paths"] = [str(tmp_path / "logs" / "1*.log")]
    kept = len(list((tmp_path / "logs").glob("1*.log")))
    (tmp_path / "exporter.yaml").write_text(yaml.safe_dump(changed))
    for file in (tmp_path / "logs").glob("*.log"):
        file.write_text("ERROR disk full\n" * (LINES + 1))
    assert exporter.reload().is_success
    wait_for("the others to go", lambda: own(exporter.scrape(), "partitions") == kept)
    wait_for("polls", lambda: own(exporter.scrape(), "polls_total") == FILES + kept)
    page = exporter.scrape()
    assert len(page.series(f"{PREFIX}partition_up")) == kept
    assert own(page, "log_events_read_total") == FILES * LINES + kept
