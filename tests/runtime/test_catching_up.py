"""``partition_catching_up``: whether a page may show counts of what happened in an outage."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.aws.quotas import CallCost, Quotas
from exporter.clock import Clock
from exporter.configuration import load
from exporter.ledger.base import Batch, Committed
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.partitions import CATCHING_UP_HOLD, Meter
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import (
    EventPlace,
    Increment,
    JudgedEvent,
    LogEvent,
    Partition,
    SeriesKey,
    SourceError,
)
from exporter.planning.plan import EVERYTHING, Request
from exporter.rules import Evaluation, RuleSet
from exporter.runtime import finding
from exporter.runtime import reader as reader_module
from exporter.runtime.catching_up import CatchingUp
from exporter.runtime.engine import Engine
from exporter.runtime.pipeline import Evaluated, Pipeline
from exporter.runtime.reader import Reader
from exporter.runtime.scheduling import Scheduler
from exporter.sources.base import Discovery, QueueState, Reading, Source
from exporter.sources.log_groups import LOG_GROUP, LogGroupsConfig
from exporter.sources.pace import EventPage
from exporter.sources.queue_source import QUEUE
from exporter.sources.timeline import TimelineSource
from tests.support.counting import load as load_rules
from tests.support.counting import use

GROUP = Partition("apps", "123456789012", "us-east-1", "/app", LOG_GROUP)
BEGAN = 1_700_000_000.0
INTERVAL = 30.0
EVERY = 10_000
"""Milliseconds between two events."""


class Group(TimelineSource):
    """A log group with an event every ten seconds."""

    resolution = 1
    page_size = 1000

    def __init__(self, world: World, *, start: float, created: float | None = None) -> None:
        config = LogGroupsConfig(
            name="apps", log_groups=("*",), format="lines", interval=INTERVAL, start=start
        )
        self.world = world
        self.created = created
        super().__init__(
            config,
            since=lambda _: round(BEGAN * 1000),
            clock=lambda: world.now,
            monotonic=lambda: world.now,
        )

    def discover(self) -> Discovery:
        return Discovery([GROUP])

    def created_at(self, partition: Partition) -> int | None:
        return None if self.created is None else round(self.created * 1000)

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        if self.world.failing:
            raise SourceError("AWS is away.", reason="unreachable")
        self.world.now += self.world.call_takes
        times = range(-(-start // EVERY) * EVERY, end, EVERY)
        yield EventPage([LogEvent("GET", at, str(at)) for at in times])

    def cost(self, partition: Partition) -> CallCost:
        return CallCost(Quotas(), "FilterLogEvents", partition.account_id, partition.region)


class Watched(SqliteLedger):
    """A ledger that looks at the gauge whenever it has committed: a scrape may come then."""

    world: World

    def commit(self, *batches: Batch) -> Committed:
        committed = super().commit(*batches)
        now = self.world.now
        for event in committed.new:
            lateness = now - (event.event_time or 0) / 1000
            self.world.seen.append((lateness, self.world.gauge()))
        return committed


class World:
    """A process, and the time."""

    def __init__(self, folder: Path) -> None:
        self.now = BEGAN
        self.failing = False
        self.call_takes = 0.0
        self.seen: list[tuple[float, float | None]] = []
        """How old each counted event was, and the gauge at that moment."""
        self._folder = folder

    def starts(self, *, start: float = 0, created: float | None = None) -> None:
        rule = {"name": "gets", "pattern": "GET", "metric": "gets_total"}
        source = {"name": "apps", "type": "log_groups", "log_groups": ["/app"], "format": "lines"}
        file = self._folder / "exporter.yaml"
        file.write_text(yaml.safe_dump({"sources": [source], "rules": [rule]}))
        self.ledger = cast("Watched", Watched.open(self._folder / "data"))
        self.ledger.world = self
        load_rules(self.ledger, {"apps": {"gets": use("gets_total")}})
        self.telemetry = Telemetry()
        self.telemetry.read.steady = lambda: self.now
        clock = Clock(wall=lambda: self.now, monotonic=lambda: self.now)
        pipeline = Pipeline(self.ledger, SeriesStore(0.0), self.telemetry, clock)
        self.engine = Engine(pipeline, Scheduler())
        group = Group(self, start=start, created=created)
        self.engine.apply({"apps": group}, RuleSet.of(load([file]).rules))
        self.engine.discover(group)

    def stops(self) -> None:
        self.engine.stop()
        self.ledger.close()

    @property
    def reader(self) -> Reader:
        (reader,) = self.engine.readers("apps")
        return reader

    def poll(self, times: int = 1, every: float = INTERVAL) -> None:
        for _ in range(times):
            self.now += every
            while self.reader.step() == 0.0 and not self.failing:
                pass

    def gauge(self, name: str = "partition_catching_up") -> float | None:
        labels = {"account_id": GROUP.account_id, "region": GROUP.region, "path": "", "queue": ""}
        return self.telemetry.registry.get_sample_value(
            f"metric_filter_exporter_{name}",
            {"source": "apps", "feed": "apps", "log_group": GROUP.resource, **labels},
        )


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    one = World(tmp_path)
    for module in (reader_module, finding):
        monkeypatch.setattr(module, "elapsed", lambda: one.now)
    yield one
    one.stops()


def test_it_is_0_in_normal_operation_and_in_a_quick_restart(world: World) -> None:
    world.starts()
    for _ in range(4):
        for _ in range(10):
            world.poll()
            assert world.gauge() == 0
        world.stops()
        world.now += 60
        world.starts()


@pytest.mark.parametrize("stops", [True, False])
def test_it_is_1_before_a_count_of_an_outage_shows_and_20_minutes_after(
    world: World, stops: bool
) -> None:
    world.starts()
    world.poll(5)
    world.seen.clear()
    if stops:
        world.stops()
        world.now += 3600
        world.starts()
    else:
        world.failing = True
        world.poll(120)
        assert world.gauge() == 0, "nothing is counted yet, so nothing is held back"
        world.failing = False
    world.poll()
    assert len(world.seen) > 350
    assert {gauge for _, gauge in world.seen} == {1}
    caught_up = world.now
    while world.now < caught_up + CATCHING_UP_HOLD - INTERVAL:
        assert world.gauge() == 1
        world.poll()
    world.poll(3)
    assert world.gauge() == 0


def test_a_process_that_starts_after_another_has_caught_up_says_so_too(world: World) -> None:
    world.starts()
    world.poll(5)
    world.now += 3600
    world.poll()
    world.stops()
    world.starts()
    assert world.gauge() == 1, "the totals that it loads may not have been scraped"
    world.poll(3)
    assert world.gauge() == 1
    world.poll(1, every=CATCHING_UP_HOLD)
    world.now += 2 * CATCHING_UP_HOLD
    assert world.gauge() == 0


def test_a_first_start_that_reads_the_past_catches_up(world: World) -> None:
    world.starts(start=7200)
    world.poll()
    assert {gauge for _, gauge in world.seen} == {1}
    assert world.gauge("partition_counted_since_timestamp_seconds") == BEGAN - 7200


def test_a_log_group_that_is_found_soon_after_its_creation_does_not_catch_up(world: World) -> None:
    world.now += 86_400
    created = world.now - 280
    world.starts(created=created)
    world.poll(3)
    assert {gauge for _, gauge in world.seen} == {0}
    assert world.gauge("partition_counted_since_timestamp_seconds") == created


def test_polls_that_come_slowly_since_the_quota_is_shared_by_many_are_no_outage(
    world: World,
) -> None:
    world.starts()
    world.poll(5)
    world.poll(3, every=600)  # a pace that is not known yet
    while world.gauge() == 1:
        world.poll(1, every=600)
    for _ in range(20):
        world.poll(1, every=600)
        assert world.gauge() == 0


def test_reading_that_fails_again_and_again_is_no_pace(world: World) -> None:
    world.starts()
    world.poll(5)
    for _ in range(4):
        world.seen.clear()
        world.failing = True
        world.poll(120)
        world.failing = False
        world.poll()
        assert {gauge for lateness, gauge in world.seen if lateness > 600} == {1}


def test_an_outage_that_does_not_end_holds_nothing_back_for_ever(world: World) -> None:
    world.starts()
    world.poll(5)
    world.now += 7200
    world.poll()
    assert world.gauge() == 1
    world.failing = True
    world.poll(100)
    assert world.gauge() == 0


def test_since_when_it_is_counted_outlives_restarts_and_an_edit_of_start(world: World) -> None:
    world.starts(start=600)
    world.poll(2)
    world.stops()
    world.now += 1000
    world.starts(start=86_400)
    assert world.gauge("partition_counted_since_timestamp_seconds") == BEGAN - 600


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["poll", "stop", "away"]), st.integers(1, 3000)), max_size=8
    )
)
def test_no_count_that_is_older_than_a_pause_shows_while_it_is_0(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[tuple[str, int]],
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    for module in (reader_module, finding):
        monkeypatch.setattr(module, "elapsed", lambda: world.now)
    world.starts()
    world.poll(3)
    for what, seconds in steps:
        if what == "poll":
            world.poll(min(seconds, 10))
        elif what == "stop":
            world.stops()
            world.now += seconds
            world.starts()
            world.poll()
        else:
            world.failing = True
            world.poll(max(1, seconds // 300), every=300)
            world.failing = False
            world.poll()
    world.stops()
    pause = 300 + 2 * INTERVAL
    assert all(gauge == 1 for lateness, gauge in world.seen if lateness > pause)


def test_a_queue_catches_up_until_it_has_no_older_messages() -> None:
    meter = Meter(Partition("queue", "1", "eu-west-1", "events", QUEUE), found=0)
    catching_up, now = CatchingUp(meter), 100_000.0

    timing = SimpleNamespace(interval=20.0, discovery_interval=60.0)
    source = cast("Source", timing)

    def receive(age: float | None) -> bool:
        oldest = None if age is None else round((now - age) * 1000)
        reading = Reading((), "{}", queue=QueueState(oldest, {}))
        evaluation = Evaluation([], {}, {})
        one = Evaluated(
            source, meter.partition, reading, "{}", False, lambda: True, RuleSet({}), evaluation
        )
        catching_up.reads(one.source, one, now, now)
        is_on = now < meter.catching_up_until
        catching_up.read(reading, now)
        catching_up.polled(now, behind=False)
        return is_on

    assert [receive(age) for age in (None, 5, 900)] == [False, False, False], "one comes again"
    now += 3600
    assert receive(3500)
    assert receive(1200)
    assert receive(None)
    now += CATCHING_UP_HOLD + 1
    catching_up.polled(now - 10, behind=False)
    assert not receive(5)


def test_a_queue_catches_up_for_the_accounts_of_its_events_too(tmp_path: Path) -> None:
    telemetry, now = Telemetry(), 100_000.0
    telemetry.read.steady = lambda: now
    meter = Meter(Partition("queue", "1", "eu-west-1", "events", QUEUE), found=0)
    telemetry.read.add(meter)

    def gauge(account_id: str, region: str) -> float | None:
        labels = {"account_id": account_id, "region": region, "log_group": "", "queue": "events"}
        return telemetry.registry.get_sample_value(
            "metric_filter_exporter_partition_catching_up",
            {"source": "queue", "feed": "queue", "path": "", **labels},
        )

    def receive(*places: tuple[str, str], age: float) -> bool:
        at = round((now - age) * 1000)
        reading = Reading((), "{}", queue=QueueState(at, {}))
        keys = [
            SeriesKey("x_total", (("account_id", account_id), ("region", region)))
            for account_id, region in places
        ]
        events = [
            JudgedEvent(str(n), "", at, at, frozenset("x"), (Increment("x", key, key, 1.0),))
            for n, key in enumerate(keys)
        ]
        source = cast("Source", SimpleNamespace(interval=20.0, discovery_interval=60.0))
        evaluation = Evaluation(events, {}, {})
        rules = RuleSet({})
        one = Evaluated(
            source, meter.partition, reading, "{}", False, lambda: True, rules, evaluation
        )
        return CatchingUp(meter).reads(source, one, now, now)

    assert receive(("1", "eu-west-1"), ("2", "us-east-1"), age=7200)
    assert receive(("3", "us-east-1"), age=7000)
    for account_id, region in (("1", "eu-west-1"), ("2", "us-east-1"), ("3", "us-east-1")):
        assert gauge(account_id, region) == 1, "alerts select by the account of the events"
    assert gauge("4", "us-east-1") is None

    places = meter.catching_up_places
    for part in (places, frozenset([EventPlace("5", "us-east-1")])):
        with closing(SqliteLedger.open(tmp_path)) as ledger:
            ledger.note_catching_up("queue", round((time.time() + 1200) * 1000), part)
    with closing(SqliteLedger.open(tmp_path)) as ledger:
        assert ledger.catching_up("queue")[1] == places | {EventPlace("5", "us-east-1")}

    now += CATCHING_UP_HOLD + 1
    assert (gauge("1", "eu-west-1"), gauge("2", "us-east-1")) == (0, 0)
    assert receive(("2", "us-east-1"), age=7200)
    assert gauge("3", "us-east-1") is None, "that one is over"
