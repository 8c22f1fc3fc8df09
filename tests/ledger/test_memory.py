"""What the ledger remembers, and for how long: never by the wall clock."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exporter.exactness import CLOCK_ERROR, PROVEN_AFTER, RetentionLine
from exporter.ledger.base import Committed
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import JudgedEvent, Partition
from tests.support.counting import (
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    expire,
    increment,
    load,
    use,
)
from tests.support.examples import examples

DAY = 24 * 3600 * 1000
YEAR = 365 * DAY
NOW = 20_000 * DAY
MEMORY = 100
OTHER = Partition(SOURCE, "444455556666", "eu-west-1")
FILE = Partition(SOURCE, resource="/logs/a.json")


class Time:
    """A wall clock that can be set, and time that passes while the ledger is open."""

    def __init__(self) -> None:
        self.wall = NOW
        self.steady = 0

    def pass_by(self, milliseconds: int) -> None:
        self.wall += milliseconds
        self.steady += milliseconds

    def open(self, directory: Path) -> SqliteLedger:
        ledger = SqliteLedger.open(
            directory, clock=lambda: self.wall / 1000, steady=lambda: self.steady / 1000
        )
        load(ledger, {SOURCE: {RULE: use()}, "files": {"f": use("f_total")}})
        return ledger


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def timed(tmp_path: Path, time: Time) -> Iterator[SqliteLedger]:
    opened = time.open(tmp_path)
    yield opened
    opened.close()


def at(time: int, *, scope: str = "") -> JudgedEvent:
    return increment(str(time), event_id=str(time), time=time, scope=scope)


def counted(committed: Committed) -> list[int]:
    """The times of the events that counted."""
    return [int(user) for user in users(committed)]


def users(committed: Committed) -> list[str]:
    return [dict(one.series.labels)["user"] for event in committed.new for one in event.increments]


def forget(
    ledger: SqliteLedger, time: Time, *found: Partition, looked: bool = True, memory: int = MEMORY
) -> int:
    """Clean up twice, with as much time between as positions must hold; how many are forgotten."""
    forgotten = 0
    for _ in range(2):
        looked_at = time.wall if looked else None
        forgotten += expire(ledger, SOURCE, found, looked_at=looked_at, memory=memory)
        time.pass_by(PROVEN_AFTER)
    looked_at = time.wall if looked else None
    return forgotten + expire(ledger, SOURCE, found, looked_at=looked_at, memory=memory)


PASSED = NOW - CLOCK_ERROR - MEMORY
"""Events before this are forgotten where every position is at NOW."""


def test_a_match_is_forgotten_when_every_partition_has_passed_it(
    timed: SqliteLedger, time: Time
) -> None:
    for event in (PASSED - 201, PASSED - 200):
        commit(timed, batch(at(event), remember_from=NOW - 100))
        commit(timed, batch(partition=OTHER, remember_from=NOW - 200))
        assert forget(timed, time, PARTITION, OTHER) == (event == PASSED - 201)
    assert commit(timed, batch(at(PASSED - 200), remember_from=NOW)).new == []
    assert commit(timed, batch(at(PASSED - 201), remember_from=NOW)).new != []


def test_memory_is_deleted_a_segment_at_a_time(timed: SqliteLedger, time: Time) -> None:
    commit(timed, batch(at(PASSED - 2), at(PASSED), remember_from=NOW))
    assert forget(timed, time, PARTITION) == 0, "one of the segment is still needed"
    commit(timed, batch(remember_from=NOW + 1))
    assert forget(timed, time, PARTITION) == 2


def test_only_the_named_source_forgets(timed: SqliteLedger) -> None:
    commit(timed, batch(at(1), remember_from=NOW))
    assert expire(timed, "apps", [], looked_at=NOW, memory=0) == 0
    assert commit(timed, batch(at(1), remember_from=NOW)).new == []


def test_a_partition_that_is_denied_for_years_holds_what_it_can_still_bring(
    timed: SqliteLedger, time: Time
) -> None:
    commit(timed, batch(partition=OTHER, remember_from=NOW))
    time.pass_by(3 * YEAR)
    commit(timed, batch(at(NOW + 5), remember_from=time.wall))
    assert forget(timed, time, PARTITION, OTHER) == 0
    copy = batch(at(NOW + 5), partition=OTHER, remember_from=time.wall)
    assert commit(timed, copy).new == []
    assert forget(timed, time, PARTITION, OTHER) == 1


def test_a_position_is_never_deleted(timed: SqliteLedger, time: Time) -> None:
    own = at(NOW + 1, scope=PARTITION.key)
    commit(timed, batch(at(NOW), own, checkpoint="read", remember_from=NOW))
    file = dataclasses.replace(FILE, source="files")
    commit(timed, batch(checkpoint="read", partition=file))
    time.pass_by(3 * YEAR)
    assert forget(timed, time) == 1, "what only it can bring is remembered"
    assert timed.checkpoint(PARTITION) == timed.checkpoint(file) == "read"
    assert commit(timed, batch(at(NOW), own, remember_from=NOW)).new == []


@pytest.mark.parametrize("unread", [True, False])
def test_nothing_is_forgotten_until_all_was_found_and_read(
    timed: SqliteLedger, time: Time, unread: bool
) -> None:
    commit(timed, batch(at(1), remember_from=NOW))
    found = (PARTITION, OTHER) if unread else (PARTITION,)
    assert forget(timed, time, *found, looked=unread) == 0
    commit(timed, batch(partition=OTHER, remember_from=NOW))
    assert forget(timed, time, PARTITION, OTHER) == 1


def test_a_partition_that_comes_back_counts_only_what_can_still_be_told(
    timed: SqliteLedger, time: Time
) -> None:
    own, shared = PASSED - 7, PASSED - 5
    commit(timed, batch(partition=OTHER, remember_from=NOW - DAY))
    commit(timed, batch(at(shared), remember_from=NOW))
    assert forget(timed, time, PARTITION) == 1, "who is gone holds nothing"

    back = batch(
        at(shared),
        at(own, scope=OTHER.key),
        at(NOW),
        partition=OTHER,
        remember_from=NOW - DAY,
    )
    assert counted(commit(timed, back)) == [own, NOW]
    # Once it has caught up it is a partition like any other.
    commit(timed, batch(partition=OTHER, remember_from=NOW))
    again = batch(at(shared), partition=OTHER, remember_from=NOW)
    assert counted(commit(timed, again)) == [shared]


def test_positions_that_leap_ahead_for_one_clean_up_cost_nothing(
    timed: SqliteLedger, time: Time
) -> None:
    commit(timed, batch(at(NOW), remember_from=NOW))
    assert forget(timed, time, PARTITION) == 0
    commit(timed, batch(remember_from=NOW + YEAR))
    assert expire(timed, SOURCE, [PARTITION], looked_at=NOW + YEAR, memory=MEMORY) == 0
    commit(timed, batch(remember_from=NOW))
    assert forget(timed, time, PARTITION) == 0
    assert commit(timed, batch(at(NOW), remember_from=NOW)).new == []


@pytest.mark.parametrize("leap", [-50 * YEAR, 0, 50 * YEAR])
def test_what_comes_once_is_remembered_for_its_time_of_reading(
    timed: SqliteLedger, time: Time, tmp_path: Path, leap: int
) -> None:
    record = batch(at(time.wall + leap), partition=FILE)
    time.wall += leap
    commit(timed, record)
    time.pass_by(13 * DAY)
    assert forget(timed, time, memory=14 * DAY) == 0
    timed.close()
    time.wall += 2 * YEAR
    reopened = time.open(tmp_path)
    assert forget(reopened, time, memory=14 * DAY) == 0
    assert commit(reopened, record).new == []
    time.pass_by(DAY)
    assert forget(reopened, time, memory=14 * DAY) == 1
    reopened.close()


def test_a_source_that_once_had_another_type_remembers_by_its_positions(
    timed: SqliteLedger, time: Time
) -> None:
    commit(timed, batch(at(NOW), partition=dataclasses.replace(FILE, source=SOURCE)))
    commit(timed, batch(at(NOW), remember_from=NOW))
    commit(timed, batch(partition=OTHER, remember_from=NOW - DAY))
    time.pass_by(DAY)
    assert forget(timed, time, PARTITION, OTHER) == 0
    brought = commit(timed, batch(at(NOW), partition=OTHER, remember_from=NOW))
    assert brought.new == [], "another partition was behind, and brings it again"


def test_a_large_memory_is_deleted_too(timed: SqliteLedger, time: Time) -> None:
    many = [increment("a", event_id=str(number), time=number) for number in range(20_001)]
    commit(timed, batch(*many, remember_from=NOW))
    assert forget(timed, time, PARTITION) == 20_001


def test_notes_are_no_scopes(timed: SqliteLedger, time: Time, tmp_path: Path) -> None:
    commit(timed, batch(at(NOW), remember_from=NOW))
    forget(timed, time, PARTITION)
    created = timed.condition().created
    assert timed.load_scopes({SOURCE: ["us-east-1"]}, now=5, generation="a") == {
        SOURCE: {"us-east-1": 5}
    }
    timed.close()
    time.pass_by(YEAR)
    reopened = time.open(tmp_path)
    assert reopened.condition().created == created == NOW
    reopened.close()


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, PROVEN_AFTER // 2)), min_size=1, max_size=30
    )
)
def test_the_line_goes_only_to_what_held_for_a_quarter_of_an_hour(
    looks: list[tuple[int, int]],
) -> None:
    line, now = RetentionLine(), 0
    seen: list[tuple[int, int]] = []
    for bound, passed in looks:
        now += passed
        seen.append((now, bound))
        before, line = line.line, line.moved(bound, now)
        if line.line != before:
            held = [one for at, one in seen if at >= now - PROVEN_AFTER]
            assert line.line is not None
            assert line.line <= min(held)
            assert before is None or before < line.line


LOOKBACK = 60_000
REGIONS = [Partition(SOURCE, "1", region) for region in ("a", "b", "c")]
REMEMBERED = 14 * DAY


@dataclasses.dataclass(frozen=True)
class Event:
    id: str
    time: int
    homes: frozenset[int]
    shared: bool


class Memory(RuleBasedStateMachine):
    """Partitions that are read, denied, gone and back, under clocks that leap; all events once."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.time = Time()
        self.events: list[Event] = []
        self.counted: Counter[str] = Counter()
        self.read_at: dict[str, int] = {}
        self.denied: set[int] = set()
        self.gone: set[int] = set()
        self.was_gone: set[int] = set()
        self.open()

    def open(self) -> None:
        self.ledger = self.time.open(self.directory)
        self.unread = set(range(len(REGIONS)))
        self.looked_at: int | None = None

    @initialize()
    def begin(self) -> None:
        self.read_all()

    @rule()
    def read_all(self) -> None:
        for index in range(len(REGIONS)):
            self.poll(index)

    def teardown(self) -> None:
        self.denied, self.gone = set(), set()
        self.read_all()
        self.read_all()
        for event in self.events:
            certain = not event.shared or event.homes - self.was_gone
            assert self.counted[event.id] == 1 or not certain, event
        self.ledger.close()
        shutil.rmtree(self.directory)

    @invariant()
    def nothing_counts_twice(self) -> None:
        assert all(count == 1 for count in self.counted.values()), self.counted

    @rule(
        homes=st.frozensets(st.integers(0, len(REGIONS) - 1), min_size=1),
        shared=st.booleans(),
        late=st.integers(0, LOOKBACK // 2),
    )
    def happen(self, homes: frozenset[int], shared: bool, late: int) -> None:
        event = Event(str(len(self.events)), self.time.wall - late, homes, shared)
        if not shared:
            event = dataclasses.replace(event, homes=frozenset([min(homes)]))
        self.events.append(event)

    @rule(duration=st.sampled_from([1_000, LOOKBACK, CLOCK_ERROR, DAY, 100 * DAY]))
    def wait(self, duration: int) -> None:
        self.time.pass_by(duration)

    @rule(duration=st.sampled_from([0, LOOKBACK, 100 * DAY]), off=st.sampled_from([-YEAR, 0, YEAR]))
    def restart(self, duration: int, off: int) -> None:
        self.ledger.close()
        self.time.wall += duration + off
        self.open()
        self.time.wall -= off
        self.read_all()

    @rule(index=st.integers(0, len(REGIONS) - 1))
    def poll(self, index: int, off: int = 0) -> None:
        """Read all from the oldest position on, as TimelineSource does."""
        if index in self.gone | self.denied:
            return
        now, partition = self.time.wall + off, REGIONS[index]
        position = min(int(self.ledger.checkpoint(partition) or "0"), now - LOOKBACK)
        increments = [
            increment(
                event.id,
                event_id=event.id,
                time=event.time,
                scope="" if event.shared else partition.key,
            )
            for event in self.events
            if index in event.homes and event.time >= position
        ]
        after = max(position, now - LOOKBACK)
        committed = commit(
            self.ledger,
            batch(*increments, checkpoint=str(after), partition=partition, remember_from=after),
        )
        self.counted.update(users(committed))
        self.unread.discard(index)

    @rule(index=st.integers(0, len(REGIONS) - 1))
    def deny_or_allow(self, index: int) -> None:
        self.denied ^= {index}

    @rule(index=st.integers(0, len(REGIONS) - 1))
    def go_or_come_back(self, index: int) -> None:
        self.gone ^= {index}
        self.was_gone.add(index)
        self.unread.add(index)
        self.poll(index)

    @rule()
    def look_and_forget(self, off: int = 0) -> None:
        present = set(range(len(REGIONS))) - self.gone
        looked_at = None if self.unread & present else self.time.wall + off
        expire(
            self.ledger, SOURCE, [REGIONS[i] for i in present], looked_at=looked_at, memory=LOOKBACK
        )

    @rule(off=st.sampled_from([-YEAR, -CLOCK_ERROR // 3, YEAR, 100 * YEAR]))
    def leap(self, off: int) -> None:
        """Everything is read and cleaned up with a wrong clock, which is then set right.

        AWS refuses a clock that is far behind; one that is ahead is worse here than AWS lets it be.
        """
        if off > -CLOCK_ERROR:
            for index in range(len(REGIONS)):
                self.poll(index, off)
        for _ in range(3):
            self.look_and_forget(off)
            self.time.pass_by(LOOKBACK // 6)
        for index in range(len(REGIONS)):
            self.poll(index)

    @rule(record=st.sampled_from("xyz"), path=st.sampled_from("ab"), off=st.integers(-YEAR, YEAR))
    def read_file(self, record: str, path: str, off: int) -> None:
        time = self.time.wall + off
        one = increment("f", event_id=record, time=time, event_time=NOW, rule="f", metric="f_total")
        file = Partition("files", resource=path)
        committed = commit(self.ledger, batch(one, partition=file))
        if record in self.read_at and self.time.wall - self.read_at[record] < REMEMBERED:
            assert committed.new == []
        if committed.new:
            self.read_at[record] = self.time.wall
        expire(self.ledger, "files", [file], looked_at=self.time.wall + off, memory=REMEMBERED)


def test_positions_that_were_corrected_between_two_looks_prove_nothing() -> None:
    state = Memory()
    state.begin()
    for off in (-YEAR, YEAR, YEAR, YEAR):
        state.leap(off)
        state.wait(CLOCK_ERROR)
        state.happen(homes=frozenset([0]), shared=False, late=0)
    state.leap(YEAR)
    state.nothing_counts_twice()
    state.teardown()


TestMemory = Memory.TestCase
TestMemory.settings = settings(max_examples=examples(40), stateful_step_count=20, deadline=None)
