"""A slice that is read again costs a look-up for each event that counted, and counts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml

from exporter.clock import Clock
from exporter.configuration import load
from exporter.ledger.base import Batch, Committed
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition
from exporter.planning.plan import EVERYTHING, Request
from exporter.rules import RuleSet
from exporter.runtime.pipeline import Evaluated, Pipeline
from exporter.runtime.reader import Reader
from exporter.sources.log_groups import LOG_GROUP
from exporter.sources.pace import EventPage
from exporter.sources.progress import Progress
from exporter.sources.schedule import BacklogSpan, Window
from tests.runtime.test_reader import Groups
from tests.support.counting import load as load_rules
from tests.support.counting import use

GROUP = Partition("apps", "123456789012", "us-east-1", "/app", LOG_GROUP)
BEGAN = 1_700_000_000.0


class Recording(SqliteLedger):
    """A ledger that notes its commits."""

    commits: list[Batch]

    def commit(self, *batches: Batch) -> Committed:
        self.commits += batches
        return super().commit(*batches)


class Process:
    """A log group with an event a second, and the pipeline that reads it."""

    def __init__(self, folder: Path, pattern: str = "GET") -> None:
        self.now = BEGAN
        clock = Clock(wall=lambda: self.now)
        self.ledger = cast("Recording", Recording.open(folder / "data"))
        self.ledger.commits = []
        rule = {"name": "gets", "pattern": pattern, "metric": "gets_total"}
        source = {"name": "apps", "type": "log_groups", "log_groups": ["/app"], "format": "lines"}
        file = folder / "exporter.yaml"
        file.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
        load_rules(self.ledger, {"apps": {"gets": use("gets_total")}})
        rules = RuleSet.of(load([file]).rules)
        self.pipeline = Pipeline(self.ledger, SeriesStore(0.0), Telemetry(), clock, rules)
        self.source = Groups(clock, page_size=10)

    def poll(self) -> list[Evaluated]:
        begin = self.ledger.checkpoint(GROUP)
        readings = []
        for reading in self.pipeline.evaluated(
            self.source, GROUP, begin, turn=1e9, wanted=lambda: True
        ):
            assert self.pipeline.commit(reading) is not None
            readings.append(reading)
        return readings

    @property
    def total(self) -> float:
        return sum(series.total for series in self.ledger.series())


def test_an_event_that_counted_is_looked_up_and_not_counted_again(tmp_path: Path) -> None:
    process = Process(tmp_path)
    read = proposed = 0
    for _ in range(6):
        process.now += 30
        for one in process.poll():
            read += len(one.reading.events)
            proposed += len(one.evaluation.events)
    seconds = round(process.now - BEGAN)
    assert process.total == seconds
    assert read > 2 * seconds  # so most of them were read again …
    assert proposed <= seconds + 1  # … but not evaluated again


def test_an_event_that_arrives_in_a_slice_that_was_read_before_counts(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.now += 30
    process.poll()
    counted = process.total
    late = LogEvent("GET /late", round(process.now * 1000) - 5000, "late")
    pages = process.source.pages

    def with_the_late_one(
        partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        yield from pages(partition, start, end, request)
        if start <= late.time < end:
            yield EventPage([late])

    process.source.pages = with_the_late_one  # type: ignore[method-assign]
    process.now += 60
    process.poll()
    assert process.total == counted + 60 + 1


def test_the_arrival_delay_is_that_of_events_that_count_and_observed_once(tmp_path: Path) -> None:
    process = Process(tmp_path, pattern='"/0"')  # every tenth event
    reader = Reader(GROUP, process.pipeline, on_end=lambda *_: None)
    reader.source = process.source
    for _ in range(4):
        process.now += 30
        while reader.step() == 0.0:
            pass
    observed = process.pipeline.telemetry.registry.get_sample_value
    name = "metric_filter_exporter_arrival_delay_seconds"
    labels = {"source": "apps", "feed": "apps"}
    assert observed(f"{name}_count", labels) == process.total == 12
    mean = (observed(f"{name}_sum", labels) or 0) / 12
    assert 10 <= mean <= 20  # half an interval
    assert reader.meter.events > 2 * 120


@pytest.mark.parametrize("pattern", ["GET", "POST"])
def test_only_what_changes_something_is_committed(tmp_path: Path, pattern: str) -> None:
    process = Process(tmp_path, pattern)
    process.now += 100
    pages = len(process.poll())
    commits = process.ledger.commits
    assert commits
    positions = {batch.checkpoint for batch in commits}
    assert all(batch.events or batch.checkpoint != batch.expected for batch in commits)
    # Pages without a match that complete no slice change nothing.
    assert len(commits) == (pages if pattern == "GET" else len(positions))
    assert process.ledger.checkpoint(GROUP) == commits[-1].checkpoint


PROGRESS = Progress((900, 700, 500), backlog=(BacklogSpan((450, 200, 100), 600),))


@pytest.mark.parametrize(
    ("start", "end", "read_before"),
    [
        (900, 950, False),
        (850, 950, True),
        (700, 900, True),
        (450, 600, False),  # the rest of the backlog
        (450, 650, True),
        (440, 460, True),
        (100, 200, True),
    ],
)
def test_whether_the_time_of_a_window_was_read(start: int, end: int, *, read_before: bool) -> None:
    assert PROGRESS.was_read(Window(start, end)) is read_before
