"""Reading a time-selected API on a simulated clock: every visible event counts exactly once."""

from __future__ import annotations

import math
import random
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.iam_policy import Deployment, Grant
from exporter.exactness import CLOCK_ERROR
from exporter.model import EventFormat, LogEvent, Partition, PartitionKind, SourceError
from exporter.planning.plan import EVERYTHING, Request
from exporter.sources.base import Discovery, Environment
from exporter.sources.pace import EventPage
from exporter.sources.timeline import TimelineSource
from exporter.sources.timeline_options import TimelineConfig
from tests.support.examples import examples

PARTITION = Partition("simulated", "123456789012", "eu-west-1")
INTERVAL, LOOKBACK = 60, 900  # seconds
FIRST = 1_700_000_000.0


@dataclass
class Clock:
    now: float = FIRST
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        with self.lock:
            self.now += seconds


@dataclass
class SimulatedApi:
    """Shows each event from its visible_at on, in pages of random sizes, and fails at will."""

    clock: Clock
    events: list[tuple[int, int, str]]  # time, visible at (both ms), id
    random: random.Random
    failing: float = 0.0
    resolution: int = 1
    page_size: int = 50
    birth: int | None = None
    call_takes: float = 0.0
    calls: int = 0

    def pages(self, start: int, end: int) -> Iterator[EventPage]:
        now = self.clock.now * 1000
        first = start // self.resolution * self.resolution
        last = -(-end // self.resolution) * self.resolution
        visible = [
            LogEvent("", time, id)
            for time, visible_at, id in self.events
            if first <= time <= last and visible_at <= now
        ]
        self.random.shuffle(visible)
        while True:
            self.calls += 1
            self.clock.advance(self.call_takes)
            if self.random.random() < self.failing:
                raise SourceError("the simulated API failed", reason="error")
            size = self.random.choice([0, 1, 3, self.page_size])
            yield EventPage(visible[:size])
            visible = visible[size:]
            if not visible:
                return


@dataclass
class Listener:
    """A rule that counts from ``start`` on, and names it itself if it has a ``backfill``."""

    start: int
    backfill: bool


@dataclass
class SimulatedLedger:
    """Counts as the ledger does: by id while remembered, and the checkpoint with it."""

    starts: Mapping[str, Listener]
    checkpoint: str | None = None
    remembered: dict[tuple[str, str], int] = field(default_factory=dict)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    found_at: dict[tuple[str, str], float] = field(default_factory=dict)
    behind: bool = False
    caught_up: bool = False
    read_up_to: int = 0
    late: int = 0
    """Events that came later than the lookback, as far as the readings say."""
    patience: float = 0
    """Milliseconds for which it remembers longer than it must."""

    def poll(
        self,
        source: TimelineSource,
        clock: Clock,
        stop_after: int | None = None,
        turn: float = math.inf,
    ) -> bool:
        """Poll once, and say whether that went well."""
        self.caught_up = False
        try:
            own = {rule: one.start for rule, one in self.starts.items() if one.backfill}
            readings = source.poll(PARTITION, self.checkpoint, own_starts=own, turn=turn)
            for n, reading in enumerate(readings):
                if n == stop_after:
                    return True
                self.behind = reading.behind
                self.caught_up = self.caught_up or reading.completes == "older"
                for event in reading.events:
                    for rule, listener in self.starts.items():
                        assert event.id is not None
                        assert reading.watermark is not None
                        self.late += event.time < reading.watermark
                        late = event.time < reading.watermark and rule not in reading.backfill
                        if late or event.time < listener.start:
                            continue
                        if (rule, event.id) not in self.remembered:
                            self.remembered[rule, event.id] = event.time
                            self.counted[rule, event.id] += 1
                            self.found_at[rule, event.id] = clock.now
                self.checkpoint = reading.checkpoint
                assert reading.remember_from is not None
                assert reading.read_up_to is not None
                self.read_up_to = reading.read_up_to
                for key, time in list(self.remembered.items()):
                    if time < reading.remember_from - source.memory - self.patience:
                        del self.remembered[key]
        except SourceError:
            return False
        return True


class SimulatedConfig(TimelineConfig):
    kind: ClassVar = PartitionKind()

    type: Literal["simulated"] = "simulated"
    format: EventFormat = "auto"

    def source(self, environment: Environment, since: Mapping[str, int]) -> TimelineSource:
        raise NotImplementedError

    def permissions(self, where: Deployment) -> Iterator[Grant]:
        raise NotImplementedError


class SimulatedSource(TimelineSource):
    def __init__(
        self,
        api: SimulatedApi,
        config: TimelineConfig,
        *,
        since: int | None,
        complete: bool,
        ahead: bool,
    ) -> None:
        self.api = api
        # Whether every poll fetches ahead, or none. The simulated time of calls adds up.
        self.busy_load, self.busy_partitions = (0.0, 1) if ahead else (1.0, 0)
        self.resolution, self.page_size = api.resolution, api.page_size
        super().__init__(
            config,
            since=lambda _: since,
            complete=complete,
            clock=api.clock,
            monotonic=api.clock,
        )

    def discover(self) -> Discovery:
        return Discovery([PARTITION])

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        return self.api.pages(start, end)

    def cost(self, partition: Partition) -> None:
        """Nothing: no quota."""

    def created_at(self, partition: Partition) -> int | None:
        return self.api.birth


def source(
    api: SimulatedApi,
    since: int | None = None,
    *,
    start: float = 0,
    complete: bool = False,
    ahead: bool = False,
) -> SimulatedSource:
    config = SimulatedConfig(name="simulated", interval=INTERVAL, lookback=LOOKBACK, start=start)
    return SimulatedSource(api, config, since=since, complete=complete, ahead=ahead)


delays = st.one_of(st.integers(0, 5), st.integers(0, 300), st.integers(0, LOOKBACK))
arrivals = st.lists(st.tuples(st.integers(0, 3600), delays), max_size=40)


def made(arrivals: list[tuple[int, int]]) -> list[tuple[int, int, str]]:
    first = round(FIRST * 1000)
    return [
        (first + at * 1000, first + (at + delay) * 1000, str(n))
        for n, (at, delay) in enumerate(arrivals)
    ]


@settings(max_examples=examples(40), deadline=None)
@given(
    arrivals,
    st.lists(
        st.tuples(
            st.sampled_from(["poll", "poll", "poll", "restart", "killed"]),
            st.one_of(st.just(INTERVAL), st.integers(1, 3600)),
        ),
        max_size=40,
    ),
    st.sampled_from([0.0, 0.0, 0.2, 0.5]),
    st.integers(0, 2**32),
    st.tuples(st.sampled_from([1, 1000]), st.booleans()),
)
def test_every_event_counts_once_over_delays_pauses_failures_restarts_and_kills(
    arrivals: list[tuple[int, int]],
    steps: list[tuple[str, int]],
    failing: float,
    seed: int,
    kind: tuple[int, bool],
) -> None:
    clock = Clock()
    resolution, ahead = kind
    chance = random.Random(seed)
    api = SimulatedApi(clock, made(arrivals), chance, failing, resolution)
    rules = {"rule": Listener(round(FIRST * 1000), backfill=False)}
    ledger = SimulatedLedger(rules)
    reader = source(api, ahead=ahead)
    ledger.poll(reader, clock)
    for what, gap in steps:
        if what == "restart":
            reader = source(api, ahead=ahead)
        ledger.poll(reader, clock, stop_after=chance.randrange(4) if what == "killed" else None)
        clock.now += gap
    api.failing = 0.0
    for _ in range(60 + LOOKBACK // INTERVAL + 3):
        clock.now += INTERVAL
        ledger.poll(reader, clock)
    assert {id for _, id in ledger.counted} == {id for _, _, id in api.events}
    assert max(ledger.counted.values(), default=1) == 1


@settings(max_examples=examples(25), deadline=None)
@given(arrivals, st.integers(0, 2**32))
def test_an_event_is_found_in_time_and_with_few_calls(
    arrivals: list[tuple[int, int]], seed: int
) -> None:
    clock = Clock()
    api = SimulatedApi(clock, made(arrivals), random.Random(seed), page_size=1000)
    ledger = SimulatedLedger({"rule": Listener(round(FIRST * 1000), backfill=False)})
    reader = source(api)
    polls = 60 + LOOKBACK // INTERVAL + 3
    for _ in range(polls):
        ledger.poll(reader, clock)
        clock.now += INTERVAL
    for time, visible_at, id in api.events:
        late = (visible_at - time) / 1000
        age = ledger.found_at["rule", id] - time / 1000
        assert age <= 2 * late + 2 * INTERVAL


def test_a_quiet_partition_costs_one_call_a_poll() -> None:
    clock = Clock()
    api = SimulatedApi(clock, [], random.Random(0))
    ledger = SimulatedLedger({"rule": Listener(0, backfill=False)})
    reader = source(api)
    for poll in range(1, 200):
        ledger.poll(reader, clock)
        clock.now += INTERVAL
        assert api.calls <= poll


def test_an_event_later_than_the_lookback_does_not_count() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    api = SimulatedApi(
        clock, [(start + 1000, start + (LOOKBACK + 600) * 1000, "late")], random.Random(0)
    )
    ledger = SimulatedLedger({"rule": Listener(start, backfill=False)})
    reader = source(api)
    for _ in range(2 * LOOKBACK // INTERVAL):
        ledger.poll(reader, clock)
        clock.now += INTERVAL
    assert not ledger.counted


def test_events_of_whole_seconds_in_many_slices_are_not_reported_as_late() -> None:
    clock = Clock()
    first = round(FIRST * 1000)
    events = [(at, at, str(at)) for at in range(first, first + 1_200_000, 1_000)]
    api = SimulatedApi(clock, events, random.Random(1), resolution=1000, page_size=7)
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    reader = source(api)
    while clock.now < FIRST + 1200 + LOOKBACK:
        ledger.poll(reader, clock)
        clock.now += INTERVAL
    assert len(ledger.counted) == len(events)
    assert ledger.late == 0


def test_a_single_run_finds_whatever_is_visible_within_the_lookback() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    api = SimulatedApi(clock, [(start, start + 5_000, "a")], random.Random(0))
    ledger = SimulatedLedger({"rule": Listener(start, backfill=False)})
    single = source(api, complete=True)
    assert all(reading.rereads is None for reading in single.poll(PARTITION, None, own_starts={}))
    ledger.poll(single, clock)
    assert not ledger.counted
    clock.now += 6
    ledger.poll(source(api, complete=True), clock)
    ledger.poll(source(api, complete=True), clock)
    assert ledger.counted == {("rule", "a"): 1}


def test_a_new_rule_with_a_start_of_its_own_counts_its_past_and_no_other_does_again() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    events = [(start + n * 600_000, start + n * 600_000, str(n)) for n in range(30)]
    api = SimulatedApi(clock, events, random.Random(0))
    ledger = SimulatedLedger({"old": Listener(start, backfill=False)})
    reader = source(api)
    while clock.now < FIRST + 4 * 3600:
        ledger.poll(reader, clock)
        clock.now += INTERVAL
    seen = sum(ledger.counted.values())
    ledger.starts = {
        "old": Listener(start, backfill=False),
        "new": Listener(start + 3_600_000, backfill=True),
        "now": Listener(round(clock.now * 1000) + 1, backfill=False),
    }
    for _ in range(10):
        ledger.poll(source(api), clock)
        clock.now += INTERVAL
    counted = Counter(rule for rule, _ in ledger.counted)
    assert max(ledger.counted.values()) == 1
    assert seen == 24
    assert counted["old"] == 25
    assert counted["new"] == 25 - 6
    assert counted["now"] == 0


def test_a_partition_born_while_nobody_looked_is_read_from_its_birth() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    api = SimulatedApi(clock, [(start + 500_000, 0, "early")], random.Random(0))
    api.birth = start + 400_000
    clock.now += 3600
    ledger = SimulatedLedger({"rule": Listener(start, backfill=False)})
    ledger.poll(source(api, since=start), clock)
    assert ledger.counted == {("rule", "early"): 1}


def test_a_partition_that_could_not_be_found_at_first_is_read_from_when_it_was_configured() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    api = SimulatedApi(clock, [(start + 1000, 0, "missed")], random.Random(0))
    clock.now += 10 * LOOKBACK
    ledger = SimulatedLedger({"rule": Listener(start, backfill=False)})
    ledger.poll(source(api, since=start), clock)
    assert ledger.counted == {("rule", "missed"): 1}


def test_what_arrives_late_from_before_the_load_counts_for_a_rule_with_a_start_of_its_own() -> None:
    clock = Clock()
    now = round(FIRST * 1000)
    events = [(now - 5000, now - 5000, "there"), (now - 4000, now + 200_000, "late")]
    api = SimulatedApi(clock, events, random.Random(0))
    rules = {
        "own": Listener(now - 3_600_000, backfill=True),
        "now": Listener(now, backfill=False),
    }
    ledger = SimulatedLedger(rules)
    reader = source(api)
    for _ in range(3 * LOOKBACK // INTERVAL):
        ledger.poll(reader, clock)
        clock.now += INTERVAL
    assert ledger.counted == {("own", "there"): 1, ("own", "late"): 1}


def test_the_first_poll_asks_the_api_so_that_it_tells_whether_it_may() -> None:
    clock = Clock(FIRST + 0.4)
    api = SimulatedApi(clock, [], random.Random(0), resolution=1000)
    ledger = SimulatedLedger({"rule": Listener(0, backfill=False)})
    ledger.poll(source(api), clock)
    assert api.calls == 1


def test_a_partition_that_was_there_before_is_read_from_start() -> None:
    clock = Clock()
    start = round(FIRST * 1000)
    api = SimulatedApi(
        clock, [(start - 1000, 0, "before"), (start + 1000, 0, "after")], random.Random(0)
    )
    api.birth = start - 10**9
    ledger = SimulatedLedger({"rule": Listener(start, backfill=False)})
    reader = source(api)
    clock.now += 60
    ledger.poll(reader, clock)
    assert ledger.counted == {("rule", "after"): 1}
    ledger = SimulatedLedger({"rule": Listener(start - 7_200_000, backfill=False)})
    clock.now = FIRST
    ledger.poll(source(api, start=7200), clock)
    assert ledger.counted == {("rule", "before"): 1}


def catch_up(reader: TimelineSource, ledger: SimulatedLedger, clock: Clock, until: float) -> None:
    """Poll as the engine does: at once while more is due, soon after a failure, else in turn."""
    failed = 0
    while clock.now < until:
        began = clock.now
        if ledger.poll(reader, clock, turn=INTERVAL):
            failed = 0
        else:
            failed = 1 if ledger.caught_up else failed + 1
        if failed and ledger.behind:
            clock.now += min(INTERVAL, 0.05 * 2**failed)
        elif not ledger.behind:
            clock.now = max(clock.now, began + INTERVAL)


@settings(max_examples=examples(6), deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([0.0, 0.02, 0.3]),
    st.sampled_from([1, 1000]),
    st.booleans(),
)
def test_a_backlog_is_worked_off_slice_by_slice_while_fresh_events_keep_their_time(
    seed: int, failing: float, resolution: int, ahead: bool
) -> None:
    clock = Clock()
    first, hours = round(FIRST * 1000), 6
    end = FIRST + hours * 3600 + 3600
    events = [(at, at, str(at)) for at in range(first, round(end * 1000), 20_000)]
    api = SimulatedApi(clock, events, random.Random(seed), failing, resolution, call_takes=1.0)
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    ledger.poll(source(api), clock)
    clock.now += hours * 3600
    back = clock.now
    catch_up(source(api, ahead=ahead), ledger, clock, end)
    api.failing = 0.0
    catch_up(source(api, ahead=ahead), ledger, clock, end + 30 * INTERVAL)
    assert {id for _, id in ledger.counted} == {id for _, _, id in events}
    assert max(ledger.counted.values()) == 1
    assert ledger.read_up_to >= (end - INTERVAL) * 1000
    for time, _, id in events:
        if time / 1000 > back and not failing:
            age = ledger.found_at["rule", id] - time / 1000
            assert age <= 3 * INTERVAL, "a fresh event waited for the backlog"


@settings(max_examples=examples(25), deadline=None)
@given(
    arrivals,
    st.one_of(st.integers(-LOOKBACK, LOOKBACK), st.integers(LOOKBACK, 8 * LOOKBACK)),
    st.integers(1, 10),
    st.integers(0, 2**32),
)
def test_positions_of_a_clock_that_was_ahead_lose_nothing_once_it_is_right(
    arrivals: list[tuple[int, int]], skew: int, polls: int, seed: int
) -> None:
    right = Clock()
    skewed = Clock()
    api = SimulatedApi(right, made(arrivals), random.Random(seed))
    rules = {"rule": Listener(round(FIRST * 1000), backfill=False)}
    # Positions that leap ahead are not proven soon (memory.py): nothing is forgotten by them.
    ledger = SimulatedLedger(rules, patience=CLOCK_ERROR if skew < 0 else math.inf)
    ledger.poll(source(api), right)
    reader = source(api)
    reader._clock = skewed
    for _ in range(polls):
        right.now += INTERVAL
        skewed.now = right.now + skew
        ledger.poll(reader, right)
    reader = source(api)
    while right.now < FIRST + 3600 + 2 * LOOKBACK + 3 * INTERVAL:
        right.now += INTERVAL
        ledger.poll(reader, right)
    assert {id for _, id in ledger.counted} == {id for _, _, id in api.events}
    assert max(ledger.counted.values(), default=1) == 1


def test_a_backlog_does_not_pass_for_fresh_where_nothing_is() -> None:
    clock = Clock()
    first = round(FIRST * 1000)
    events = [(first + n * 1000, first + n * 1000, str(n)) for n in range(3600)]
    api = SimulatedApi(clock, events, random.Random(0), resolution=1000)
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    reader = source(api)
    ledger.poll(reader, clock)
    clock.now += 3600
    ledger.poll(reader, clock, turn=0)
    api.call_takes = 1
    ledger.poll(reader, clock, turn=0)  # within the second in which all that is fresh was read
    assert clock.now < FIRST + 3600 + 2 * INTERVAL


def test_a_slice_that_fails_for_ever_does_not_hold_up_older_ones() -> None:
    clock = Clock()
    first = round(FIRST * 1000)
    events = [(first + at * 1000, first + at * 1000, str(at)) for at in range(0, 7200, 30)]
    api = SimulatedApi(clock, events, random.Random(0))
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    reader = source(api)
    ledger.poll(reader, clock)
    broken = range(first, first + 3_400_000)

    def pages(start: int, end: int) -> Iterator[EventPage]:
        if start < broken.stop and end > broken.start:
            raise SourceError("this slice fails", reason="error")
        return SimulatedApi.pages(api, start, end)

    api.pages = pages  # type: ignore[method-assign]
    clock.now += 3600
    assert not ledger.poll(reader, clock)  # A first backlog stays behind.
    clock.now += 3600
    broken = range(first + 5_000_000, first + 5_001_000)
    for _ in range(10):
        assert not ledger.poll(reader, clock)
        clock.now += INTERVAL
    counted = {int(id) for _, id in ledger.counted}
    assert set(range(30, 3600, 30)) <= counted, "the older backlog waited for the one that fails"


class BusyApi(SimulatedApi):
    """Full pages, one after the other; throttles at will."""

    def pages(self, start: int, end: int) -> Iterator[EventPage]:
        now = self.clock.now * 1000
        span = self.events[bisect_left(self.events, (start,)) : bisect_left(self.events, (end,))]
        visible = [LogEvent("", time, id) for time, visible_at, id in span if visible_at <= now]
        for page in range(0, max(1, len(visible)), self.page_size):
            self.calls += 1
            self.clock.advance(self.call_takes)
            if self.random.random() < self.failing:
                raise SourceError("the simulated API throttles", reason="throttled")
            yield EventPage(visible[page : page + self.page_size])


@settings(max_examples=6, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.1, 0.5, 1.0, 1.7, 1.7]), st.integers(1, 25)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([0.0, 0.0, 0.05]),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_re_reads_thin_out_and_return_while_fresh_events_are_in_time_and_all_count_once(
    phases: list[tuple[float, int]], failing: float, restarts: bool, seed: int
) -> None:
    clock, chance = Clock(), random.Random(seed)
    first, polls = round(FIRST * 1000), sum(polls for _, polls in phases)
    times = range(first, first + polls * INTERVAL * 1000, 4_000)  # 15 pages an interval
    late = (chance.choice([0, 0, chance.randrange(LOOKBACK * 1000)]) for _ in times)
    events = [(at, at + delay, str(at)) for at, delay in zip(times, late, strict=True)]
    api = BusyApi(clock, events, chance, failing, page_size=1)
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    reader = source(api)
    ledger.poll(reader, clock)
    for api.call_takes, length in phases:
        until = clock.now + length * INTERVAL
        while clock.now < until:
            catch_up(reader, ledger, clock, clock.now + INTERVAL)
            if not failing:
                assert clock.now - ledger.read_up_to / 1000 <= 2 * INTERVAL
            if restarts and chance.random() < 0.1:
                reader = source(api)
    api.call_takes, api.failing = 0.1, 0.0
    catch_up(reader, ledger, clock, clock.now + 200 * INTERVAL)
    assert {id for _, id in ledger.counted} == {id for _, _, id in events}
    assert max(ledger.counted.values()) == 1
    assert not reader._paces[PARTITION.key].thinning.rereads.thinned


def test_a_partition_that_is_too_busy_for_its_re_reads_leaves_some_out() -> None:
    clock = Clock()
    first = round(FIRST * 1000)
    events = [(at, at, str(at)) for at in range(first, first + 7_200_000, 4_000)]
    api = BusyApi(clock, events, random.Random(0), page_size=1, call_takes=1.0)
    ledger = SimulatedLedger({"rule": Listener(first, backfill=False)})
    reader = source(api)
    ledger.poll(reader, clock)
    catch_up(reader, ledger, clock, FIRST + 3600)
    before = api.calls
    catch_up(reader, ledger, clock, FIRST + 7200)
    rereads = reader._paces[PARTITION.key].thinning.rereads
    assert 2 < rereads.reads < rereads.all_reads
    assert rereads.load < 1
    assert api.calls - before < (rereads.reads + 0.5) * 900
    again = source(api)  # after a restart
    ledger.poll(again, clock)
    assert again._paces[PARTITION.key].thinning.rereads.reads == rereads.reads
