"""A poll gives way between calls, and what needs no further call takes no further tokens."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.aws.quotas import CallCost, Quotas
from exporter.clock import Clock
from exporter.ledger.review import review
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition, SourceError
from exporter.planning.forecast import from_text
from exporter.planning.plan import EVERYTHING, Request
from exporter.rules import RuleSet
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.scheduling import Scheduler
from exporter.runtime.status import source_status
from exporter.sources.base import Discovery
from exporter.sources.log_groups import LOG_GROUP, LogGroupsConfig
from exporter.sources.pace import EventPage
from exporter.sources.timeline import TimelineSource
from tests.support.waiting import wait_for

GROUP = Partition("apps", "123456789012", "us-east-1", "/aws/lambda/a", LOG_GROUP)
REGION = Partition("apps", "123456789012", "us-east-1")
DENIED = SourceError("logs:DescribeLogGroups is denied.", reason="access_denied")


CONFIG = LogGroupsConfig(name="apps", log_groups=("*",), format="lines", interval=30, lookback=60)


class Groups(TimelineSource):
    """One log group, with an event a second in pages of so many."""

    resolution = 1

    def __init__(self, clock: Clock, page_size: int) -> None:
        self.page_size = page_size
        self.waited = 0.0
        super().__init__(
            CONFIG, since=lambda _: None, clock=clock.now, monotonic=lambda: self.waited
        )
        self.calls = 0
        self.call_seconds = 0.0
        self.found = Discovery([GROUP])

    def discover(self) -> Discovery:
        return self.found

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        times = list(range(-(-start // 1000) * 1000, end, 1000))
        for first in range(0, len(times) or 1, self.page_size):
            self.calls += 1
            self.waited += self.call_seconds
            part = times[first : first + self.page_size]
            yield EventPage([LogEvent(f"GET /{at // 1000 % 10}", at, str(at)) for at in part])

    def cost(self, partition: Partition) -> CallCost:
        return CallCost(Quotas(), "FilterLogEvents", partition.account_id, partition.region)


class Process:
    """An engine that is stepped by hand."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_700_000_000.0
        self.clock = Clock(wall=lambda: self.now)
        self.telemetry = Telemetry()
        pipeline = Pipeline(SqliteLedger.open(folder), SeriesStore(0.0), self.telemetry, self.clock)
        self.engine = Engine(pipeline, Scheduler())

    def configure(self, groups: Groups) -> Groups:
        self.engine.apply({"apps": groups}, RuleSet({}))
        self.engine.discover(groups)
        return groups

    def poll(self) -> int:
        """Poll once; how many steps that took."""
        (reader,) = self.engine.readers("apps")
        steps = 1
        while reader.step() == 0.0:
            steps += 1
        return steps

    def gauge(self, name: str) -> float | None:
        labels = {"account_id": GROUP.account_id, "region": GROUP.region, "path": "", "queue": ""}
        return self.telemetry.registry.get_sample_value(
            f"metric_filter_exporter_{name}",
            {"source": "apps", "feed": "apps", "log_group": GROUP.resource, **labels},
        )


@pytest.fixture
def process(tmp_path: Path) -> Process:
    return Process(tmp_path)


def test_a_quiet_partition_takes_one_token_a_poll(process: Process) -> None:
    groups = Groups(process.clock, page_size=10_000)
    process.configure(groups)
    for polls in range(1, 5):
        process.now += 30
        assert process.poll() == 1
        assert groups.calls == polls


def test_between_two_calls_a_poll_holds_no_thread_and_each_has_its_token(process: Process) -> None:
    groups = Groups(process.clock, page_size=10)
    process.configure(groups)
    process.now += 100
    (reader,) = process.engine.readers("apps")
    before = threading.active_count()
    assert reader.step() == 0.0
    assert threading.active_count() == before
    assert reader.meter.events == 10
    steps = 1 + process.poll()
    assert reader.meter.events >= 100
    # The first step brings two pages: of one alone it is not known whether it is the last.
    assert 0 <= groups.calls - steps <= 1


def test_a_busy_partition_counts_the_same_and_leaves_no_thread_behind(process: Process) -> None:
    groups = Groups(process.clock, page_size=10)
    groups.busy_load = 0.0  # from the first page on
    process.configure(groups)
    (reader,) = process.engine.readers("apps")
    process.now += 100
    assert reader.step() == 0.0
    assert groups.uses_threads(GROUP)
    process.poll()
    assert reader.meter.events == 100
    assert not groups.uses_threads(GROUP)
    process.now += 100
    assert reader.step() == 0.0
    reader.suspend()
    assert not groups.uses_threads(GROUP)
    wait_for(
        "its threads to end",
        lambda: not any(one.name.startswith("ahead") for one in threading.enumerate()),
    )


class OneByOne(Groups):
    """Fetches nothing ahead, as the simulated time of its calls adds up."""

    busy_partitions = 0


def test_re_reads_that_do_not_fit_are_logged_once_and_shown(process: Process) -> None:
    groups = OneByOne(process.clock, page_size=1)
    process.configure(groups)
    with capture_logs() as logs:
        for groups.call_seconds, polls in ((0.1, 5), (0.45, 12), (0.1, 60)):
            for _ in range(polls):
                process.now += 30
                process.poll()
            status = source_status(CONFIG, process.engine, process.clock).partitions[0]
            if groups.call_seconds == 0.45:
                assert "Re-reads are thinned out" in status.notice
                assert "All 4 reads" in status.notice
                factor = process.gauge("partition_reread_factor")
                assert factor is not None
                assert factor > 1.5
            else:
                assert status.notice == ""
                assert process.gauge("partition_reread_factor") == 1.5
    told = [log["event"] for log in logs if "re-reads" in log["event"]]
    assert told == ["re-reads are thinned out", "re-reads are complete again"]


def test_a_partition_that_nobody_can_look_for_after_a_change_is_not_read_and_says_why(
    process: Process,
) -> None:
    process.configure(Groups(process.clock, page_size=10_000))
    process.now += 30
    process.poll()
    assert process.gauge("partition_up") == 1
    denied = Groups(process.clock, page_size=10_000)
    denied.found = Discovery((), [(REGION, DENIED)])
    source = process.configure(denied)
    (reader,) = process.engine.readers("apps")
    assert reader.error == str(DENIED)
    assert process.gauge("partition_up") == 0
    assert reader.step() is None
    assert denied.calls == 0
    denied.found = Discovery([GROUP])
    process.engine.discover(source)
    process.now += 30
    process.poll()
    assert process.engine.readers("apps") == [reader]
    assert process.gauge("partition_up") == 1
    denied.found = Discovery(())
    process.engine.discover(source)
    assert process.engine.readers("apps") == []
    assert process.gauge("partition_up") is None


class Answer:
    """What a call of AWS has brought when it fails."""


class Failing(Groups):
    """Its calls and its discovery fail, with an answer in their frames."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, page_size=10)
        self.answers: list[weakref.ref[Answer]] = []
        self.unavailable = False

    def discover(self) -> Discovery:
        try:
            if self.unavailable:
                self._fail()
        except SourceError as error:
            return Discovery((), [(REGION, error)])
        return super().discover()

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        self._fail()
        yield from super().pages(partition, start, end)

    def _fail(self) -> None:
        answer = Answer()
        self.answers.append(weakref.ref(answer))
        raise SourceError(str(DENIED), reason="access_denied")


def test_a_failure_keeps_no_answer_of_aws_in_memory(process: Process) -> None:
    failing = Failing(process.clock)
    process.configure(failing)
    process.now += 30
    gc.disable()  # what runtime/collecting.py freezes is never collected either
    try:
        process.poll()
        failing.unavailable = True
        process.engine.discover(failing)
        kept = [answer() for answer in failing.answers]
    finally:
        gc.enable()
    assert kept == [None, None]
    (reader,) = process.engine.readers("apps")
    assert reader.error == str(DENIED)
    assert process.engine.failures("apps") == {REGION: str(DENIED)}


def test_the_ledger_keeps_what_the_partitions_of_a_source_have_shown(
    process: Process, tmp_path: Path
) -> None:
    groups = Groups(process.clock, page_size=10_000)
    process.configure(groups)
    for _ in range(3):
        process.now += 30
        process.poll()
    process.engine._forget(groups)
    found = review(tmp_path, lambda _: {}, now=round(process.now * 1000), keep={})
    assert found is not None
    (rates,) = from_text(found.seen["apps"])
    assert (rates.account_id, rates.region) == (GROUP.account_id, GROUP.region)
    assert (rates.plan, rates.partitions, rates.events) == ("everything", 1, {"everything": 1.0})
