"""Log groups that share a quota, polled by the real scheduler on a virtual clock."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import pytest

from exporter.aws.quotas import CallCost, Quotas
from exporter.aws.uses import Use
from exporter.model import LogEvent, Partition
from exporter.planning.plan import EVERYTHING, Request
from exporter.runtime.scheduling import Scheduler
from exporter.sources.base import Discovery
from exporter.sources.log_groups import LOG_GROUP, LogGroupsConfig
from exporter.sources.pace import EventPage
from exporter.sources.timeline import TimelineSource

REGION = "eu-central-1"
"""Five requests of FilterLogEvents a second."""


class Clock(threading.Event):
    """A virtual clock, and the ``stop`` whose waits advance it."""

    now = 1000.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        return False


class Later(Executor):
    """Makes calls when it is told to."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls.append(lambda: fn(*args, **kwargs))
        return Future()

    def make(self) -> None:
        while self.calls:
            self.calls.pop(0)()


class Simulation:
    """A region's partitions, each of which is polled at its interval."""

    def __init__(self) -> None:
        self.clock, self.pool = Clock(), Later()
        self.quotas = Quotas(clock=lambda: self.clock.now)
        self.scheduler = Scheduler(clock=lambda: self.clock.now, pool=self.pool)
        self.calls: list[tuple[float, str]] = []

    def add(self, name: str, interval: float, pages: int = 1, source: str = "apps") -> None:
        """A partition whose polls take one call for fresh events, and others for re-reads."""
        step, until = 0, 0.0

        def use() -> Use:
            return Use(source, name, "reread" if step else "fresh", until=until)

        def poll() -> float | None:
            nonlocal step, until
            if step and self.clock.now >= until:
                step = 0  # the turn is over: fresh events are due
                return 0.0
            if not step:
                until = self.clock.now + interval
            self.quotas.wait("FilterLogEvents", "1", REGION, self.clock)
            self.calls.append((self.clock.now, f"{name} {'again' if step else 'fresh'}"))
            step = (step + 1) % pages
            return 0.0 if step else None

        cost = CallCost(self.quotas, "FilterLogEvents", "1", REGION, use)
        self.scheduler.every(interval, poll, queue=f"{source} 1 {REGION}", cost=cost)

    def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            delay = self.scheduler.run_due()
            if self.pool.calls:
                self.pool.make()
            else:
                assert delay is not None
                self.clock.now += delay

    def pauses(self, kind: str, since: float = 1000.0) -> dict[str, list[float]]:
        """Seconds between the calls of a kind, by partition."""
        at: dict[str, list[float]] = {}
        for moment, name in self.calls:
            if name.endswith(kind) and moment >= since:
                at.setdefault(name, []).append(moment)
        return {
            name: [later - earlier for earlier, later in itertools.pairwise(times)]
            for name, times in at.items()
        }


def test_a_hundred_quiet_log_groups_are_each_asked_once_in_an_interval() -> None:
    simulation = Simulation()
    for number in range(100):
        simulation.add(f"group-{number}", 30)
    simulation.run(1200)
    pauses = simulation.pauses("fresh")
    assert len(pauses) == 100
    assert all(len(one) + 1 == pytest.approx(40, abs=1) for one in pauses.values())
    later = [one for pauses in simulation.pauses("fresh", since=1090).values() for one in pauses]
    assert max(later) <= 30.1, "they keep their distance once they have found it"
    _within_the_quota(simulation)


def test_too_many_log_groups_are_all_asked_later_by_the_same() -> None:
    simulation = Simulation()
    for number in range(450):
        simulation.add(f"group-{number}", 30)
    for number in range(150):
        simulation.add(f"other-{number}", 60, source="audit")
    simulation.run(1400)
    pauses = [one for all_of in simulation.pauses("fresh").values() for one in all_of]
    in_turn = 600 / 5 * 1.05
    assert len(simulation.pauses("fresh")) == 600, "none starves"
    assert min(pauses) >= in_turn - 60
    assert max(pauses) <= in_turn + 60
    assert {len(of) for of in simulation.pauses("fresh").values()} <= {9, 10, 11}
    assert len(simulation.calls) == pytest.approx(1400 / 1.05 * 5, rel=0.01), "no token is lost"
    _within_the_quota(simulation)


def test_fresh_events_are_read_in_time_while_re_reads_take_the_rest() -> None:
    simulation = Simulation()
    for number in range(80):
        simulation.add(f"group-{number}", 30, pages=4)
    simulation.run(1200)
    fresh = [one for all_of in simulation.pauses("fresh", 1100).values() for one in all_of]
    assert max(fresh) <= 32
    again = simulation.pauses("again", 1100)
    assert len(again) == 80, "all of them read their past again"
    counts = [len(pauses) for pauses in again.values()]
    assert max(counts) - min(counts) <= 3
    assert len(simulation.calls) == pytest.approx(1200 / 1.05 * 5, rel=0.01), "no token is lost"
    _within_the_quota(simulation)


def _within_the_quota(simulation: Simulation) -> None:
    times = [moment for moment, _ in simulation.calls]
    assert all(later - earlier > 1 for earlier, later in zip(times, times[5:], strict=False))


class Groups(TimelineSource):
    """Quiet log groups, whose events become visible late; each call takes a token."""

    resolution = 1
    page_size = 1000

    def __init__(self, simulation: Simulation, groups: int) -> None:
        chance = random.Random(0)
        self._simulation = simulation
        began = round(simulation.clock.now * 1000)
        self.events = {
            str(number): [
                (time := began + chance.randrange(1_200_000), time + chance.choice(_DELAYS))
                for _ in range(12)
            ]
            for number in range(groups)
        }
        self.polls = 0
        self.read: set[tuple[str, int]] = set()
        self._checkpoints: dict[Partition, str] = {}
        config = LogGroupsConfig(
            name="apps", log_groups=("*",), interval=30.0, lookback=_LOOKBACK / 1000
        )
        clock = simulation.clock
        super().__init__(
            config, since=lambda _: None, clock=lambda: clock.now, monotonic=lambda: clock.now
        )
        for name in self.events:
            partition = Partition("apps", "1", REGION, name, LOG_GROUP)
            cost, step = self.cost(partition), self._steps(partition)
            simulation.scheduler.every(30.0, partial(next, step), queue="apps", cost=cost)

    def discover(self) -> Discovery:
        raise NotImplementedError

    def cost(self, partition: Partition) -> CallCost:
        use = partial(self.use, partition)
        return CallCost(self._simulation.quotas, "FilterLogEvents", "1", REGION, use)

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        clock, name = self._simulation.clock, partition.resource
        self._simulation.quotas.wait("FilterLogEvents", "1", REGION, clock)
        self._simulation.calls.append((clock.now, name))
        yield EventPage(
            [
                LogEvent("", time, f"{name} {time}")
                for time, visible in self.events[name]
                if start <= time < end and visible <= clock.now * 1000
            ]
        )

    def _steps(self, partition: Partition) -> Iterator[float | None]:
        """As ``Reader.step``, with what a reading brings and its checkpoint kept here."""
        while True:
            self.polls += 1
            known = self._checkpoints.get(partition)
            behind = False
            for reading in self.poll(partition, known, own_starts={}, turn=30.0):
                assert reading.watermark is not None
                for event in reading.events:
                    assert event.time >= reading.watermark, "it would not count"
                    self.read.add((partition.resource, event.time))
                self._checkpoints[partition], behind = reading.checkpoint, reading.behind
                if behind and known is not None:
                    yield 0.0
                known = reading.checkpoint
            yield 0.0 if behind else None


_LOOKBACK = 600_000
_DELAYS = (0, 10_000, 100_000, 400_000, 590_000)
"""Milliseconds, as the lookback."""


def test_log_groups_that_are_asked_later_than_configured_lose_nothing() -> None:
    simulation = Simulation()
    groups = Groups(simulation, 200)
    simulation.run(1200 + 600 + 300)
    missing = {
        (name, time) for name, events in groups.events.items() for time, _ in events
    } - groups.read
    assert not missing
    per_group = Counter(name for _, name in simulation.calls)
    assert max(per_group.values()) - min(per_group.values()) <= 3
    assert len(simulation.calls) <= 1.05 * groups.polls, "about one call for all that is due"
    (state,) = simulation.quotas.states()
    assert state.fewest > 1, "it says that they do not fit"
    _within_the_quota(simulation)


class BusyAndQuiet(Groups):
    """Quiet log groups, and a busy one; a page has ten events."""

    page_size = 10
    busy_partitions = 0

    def __init__(self, simulation: Simulation, quiet: int, events_a_second: int) -> None:
        super().__init__(simulation, quiet + 1)
        began = round(simulation.clock.now * 1000)
        events = range(began, began + 600_000, 1000 // events_a_second)
        self.events["0"] = [(time, time) for time in events]

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        simulation = self._simulation
        for page in super().pages(partition, start, end, request):
            yield EventPage(page.events[:10])
            for first in range(10, len(page.events), 10):
                simulation.quotas.wait("FilterLogEvents", "1", REGION, simulation.clock)
                simulation.calls.append((simulation.clock.now, partition.resource))
                yield EventPage(page.events[first : first + 10])

    def lags(self) -> tuple[float, float]:
        """Seconds by which the busy one is read late, and the latest of the quiet ones."""
        now = self._simulation.clock.now
        by_name = {
            partition.resource: now - self.read_up_to(partition, checkpoint) / 1000
            for partition, checkpoint in self._checkpoints.items()
        }
        return by_name.pop("0"), max(by_name.values())


@pytest.mark.parametrize("quiet", [130, 200])
def test_a_busy_log_group_does_not_fall_behind_among_many_quiet_ones(quiet: int) -> None:
    simulation = Simulation()
    groups = BusyAndQuiet(simulation, quiet, events_a_second=3)
    for _ in range(9):
        simulation.run(60)
        late, quiet_late = groups.lags()
        assert late <= 100
        assert quiet_late <= 60
    assert {time for name, time in groups.read if name == "0"} >= set(
        range(1_000_000, 1_000_000 + 440_000, 1000 // 3)
    )
    _quiet_ones_are_asked_evenly(simulation)
    _within_the_quota(simulation)


def test_a_log_group_that_needs_more_than_the_quota_makes_no_other_one_late() -> None:
    simulation = Simulation()
    groups = BusyAndQuiet(simulation, 130, events_a_second=100)
    for _ in range(9):
        simulation.run(60)
        assert groups.lags()[1] <= 60
    calls = Counter(name for _, name in simulation.calls)
    assert calls["0"] >= 0.3 * calls.total(), "its least share"
    _quiet_ones_are_asked_evenly(simulation)
    _within_the_quota(simulation)


def _quiet_ones_are_asked_evenly(simulation: Simulation) -> None:
    calls = Counter(name for _, name in simulation.calls)
    del calls["0"]
    assert max(calls.values()) <= 1.5 * min(calls.values())
