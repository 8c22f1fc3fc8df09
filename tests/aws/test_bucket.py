"""Who gets the tokens of a quota: on a virtual clock, with callers that always want more."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.bucket import Bucket, Needs, Ticket
from exporter.aws.uses import Reason, Use


@dataclass
class Line:
    """Callers of a quota, each of which wants the next token a while after the last."""

    limit: int
    now: float = 1000.0
    given: list[tuple[float, Use]] = field(default_factory=list)
    bucket: Bucket = field(init=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _sending: set[Ticket] = field(default_factory=set)
    _asking: list[tuple[float, int, Ticket, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.limit, lambda: self.now)

    def add(self, use: Use, *, every: float = 0.0, threads: int = 1, at: float = 0.0) -> None:
        for _ in range(threads):
            self._ask(self.now + at, Ticket(self.bucket, use, self.now + at), every)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._asking and self._asking[0][0] <= end:
            self.now, _, ticket, every = heapq.heappop(self._asking)
            delay = 0.0 if ticket in self._sending else ticket.take()
            if not delay:
                self._sending.add(ticket)
                delay = self.bucket.send()
            if delay:
                self._ask(self.now + delay, ticket, every)
            else:
                self._sending.discard(ticket)
                self.given.append((self.now, ticket.use))
                again = self.now + every
                self._ask(again, Ticket(self.bucket, ticket.use, again), every)
        self.now = end

    def _ask(self, at: float, ticket: Ticket, every: float) -> None:
        heapq.heappush(self._asking, (at, next(self._numbers), ticket, every))

    def counts(self, since: float = 0.0) -> Counter[Use]:
        return Counter(use for at, use in self.given if at >= since)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.given]


REASONS: list[Reason] = ["fresh", "reread", "backlog", "backfill", "discovery"]
CALLERS = st.lists(
    st.tuples(
        st.sampled_from(["history", "audit"]),
        st.integers(0, 5),
        st.sampled_from(REASONS),
        st.floats(0, 3),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=12,
)


@given(CALLERS, st.sampled_from([1, 2, 5, 25]), st.floats(0.01, 1), st.floats(0.01, 1))
@settings(max_examples=40, deadline=None)
def test_never_more_than_the_quota_in_any_second_nor_than_a_budget(
    callers: list[tuple[str, int, Reason, float, int]], limit: int, history: float, audit: float
) -> None:
    line, budgets = Line(limit), {"history": history, "audit": audit}
    for source, partition, reason, every, threads in callers:
        use = Use(source, str(partition), reason, budgets[source])
        line.add(use, every=every, threads=threads)
    line.run(30)
    times = line.times
    assert all(later - earlier > 1 for earlier, later in zip(times, times[limit:], strict=False))
    for source, budget in budgets.items():
        calls = sum(use.source == source for _, use in line.given)
        assert calls <= 1 + limit * budget * 30


def test_no_token_is_left_while_somebody_waits() -> None:
    line = Line(5)
    line.add(Use("apps", "1"), threads=3)
    line.add(Use("apps", "2", "backfill"), threads=3)
    line.run(105)
    assert len(line.given) == pytest.approx(105 / 1.05 * 5, abs=6)


def test_two_sources_with_half_of_the_quota_use_all_of_it_and_one_half() -> None:
    both, one = Line(10), Line(10)
    for name in ("apps", "audit"):
        both.add(Use(name, budget=0.5), threads=5)
    one.add(Use("apps", budget=0.5), threads=5)
    both.run(105)
    one.run(105)
    assert len(both.given) == pytest.approx(1000, abs=15)
    assert len(one.given) == pytest.approx(500, abs=10)


@pytest.mark.parametrize(("limit", "budget", "partitions"), [(2, 0.1, 1), (10, 0.5, 100)])
def test_a_source_waits_for_no_other_that_has_used_up_its_budget(
    limit: int, budget: float, partitions: int
) -> None:
    line = Line(limit)
    for number in range(partitions):
        line.add(Use("busy", str(number), budget=budget))
    line.add(Use("other", "1", budget=1 - budget))
    line.run(60)
    given = Counter(use.source for _, use in line.given)
    assert given["other"] > 0.9 * 60 * limit * (1 - budget) / 1.05


def test_a_budget_of_less_than_a_request_a_second_is_kept() -> None:
    line = Line(2)
    line.add(Use("history", budget=0.1))
    line.run(105)
    assert len(line.given) == pytest.approx(20, abs=1)


def test_fresh_events_wait_for_no_re_read_and_no_backlog_but_for_their_least_share() -> None:
    line = Line(5)
    for reason in REASONS[1:4]:
        line.add(Use("apps", reason, reason), threads=8)
    line.run(10)
    fresh = Use("apps", "new")
    line.add(fresh, threads=6)
    began = line.now
    line.run(10)
    first = [use for at, use in line.given if at >= began][:10]
    assert first.count(fresh) >= 7


def test_further_pages_re_reads_and_backlogs_get_their_least_share_while_others_wait() -> None:
    line = Line(5)
    for number in range(50):
        line.add(Use("apps", str(number)))
    reread, backlog = Use("apps", "old", "reread"), Use("apps", "older", "backlog")
    further = Use("apps", "busy").following()
    line.add(further, threads=4)
    line.add(reread, threads=2)
    line.add(backlog, threads=2)
    line.run(210)
    counts, total = line.counts(), len(line.given)
    assert counts[further] == pytest.approx(0.3 * total, abs=2)
    assert counts[reread] == pytest.approx(0.2 * total, abs=2)
    assert counts[backlog] == pytest.approx(0.1 * total, abs=2)
    for use, apart in ((further, 1.3), (reread, 2.2), (backlog, 3.3)):
        at = [moment for moment, one in line.given if one == use]
        assert max(later - earlier for earlier, later in itertools.pairwise(at)) <= apart


def test_a_backlog_gets_all_that_nobody_else_wants() -> None:
    line = Line(10)
    backlog = Use("apps", "older", "backlog")
    line.add(backlog, threads=4)
    line.add(Use("apps", "new"), every=1.0)
    line.run(105)
    assert line.counts()[backlog] > 850


@pytest.mark.parametrize("reason", ["fresh", "reread", "backlog"])
def test_partitions_get_the_same_number_if_none_has_enough(reason: Reason) -> None:
    line = Line(5)
    line.add(Use("apps", "busy", reason), threads=4)
    line.add(Use("audit", "busy", reason), threads=1)
    for number in range(28):
        line.add(Use("apps", str(number), reason), every=number / 10)
    line.run(630)
    counts = line.counts(since=1000 + 60).values()  # all wait by then
    assert len(counts) == 30
    assert max(counts) - min(counts) <= 1


def test_a_partition_that_wants_little_gets_it_soon() -> None:
    line = Line(5)
    for number in range(40):
        line.add(Use("apps", str(number)), threads=2)
    quiet = Use("apps", "quiet")
    line.add(quiet, every=30)
    line.run(630)
    assert line.counts()[quiet] >= 20


def test_re_reads_wait_no_longer_than_until_fresh_events_are_due() -> None:
    line = Line(1)
    line.add(Use("apps", "busy"), threads=3)
    line.run(20)
    began = line.now
    line.add(Use("apps", "other", "backlog", until=began + 3), every=inf)
    line.run(8)
    (at,) = [at for at, use in line.given if use.partition == "other" and at >= began]
    assert at <= began + 3 + 3 * 1.06


def test_the_next_page_of_a_re_read_waits_for_no_turn_of_all_others_once_it_is_late() -> None:
    line = Line(5)
    for number in range(100):
        line.add(Use("apps", str(number)))
    rereads = [Use("apps", f"old {number}", "reread") for number in range(20)]
    for use in rereads:
        line.add(use)
    line.run(30)
    late = Use("apps", "late", "reread", until=line.now).following()
    line.add(late)
    line.run(21)
    assert line.counts()[late] == pytest.approx(0.3 * 100, abs=3)


def test_a_token_that_is_given_up_goes_to_another() -> None:
    line = Line(1)
    first, late, other = (Ticket(line.bucket, Use("apps", name), 0.0) for name in "abc")
    assert first.take() == 0
    assert late.take() > 0
    assert other.take() > 0
    line.now += 1.1
    assert other.take() > 0, "the one before it has the token"
    late.leave()
    assert other.take() == 0


def test_a_caller_asks_seldom_while_it_waits() -> None:
    line, asked = Line(5), 0
    tickets = [Ticket(line.bucket, Use("apps", str(n)), float(n)) for n in range(100)]
    asking = [(line.now, n) for n in range(100)]
    while asking:
        line.now, number = heapq.heappop(asking)
        delay, asked = tickets[number].take(), asked + 1
        if delay:
            heapq.heappush(asking, (line.now + delay, number))
    assert line.now == pytest.approx(1000 + 100 / 5 * 1.051, abs=0.5)
    assert asked <= 4 * 100


def test_the_needs_are_those_of_all_partitions_and_of_the_source_with_the_smallest_budget() -> None:
    line = Line(5)
    for number in range(100):
        line.bucket.need(Use("apps", str(number)), Needs(2 / 30, 1 / 30))
    state = line.bucket.state("FilterLogEvents", "111122223333", "eu-central-1")
    assert (state.limit, state.sources) == (5, ("apps",))
    assert state.needed == pytest.approx(100 * 2 / 30 / 5 * 1.05)
    assert state.fewest == pytest.approx(100 / 30 / 5 * 1.05)
    small = Use("audit", "x", budget=0.1)
    line.bucket.need(small, Needs(1.0, 0.5))
    state = line.bucket.state("FilterLogEvents", "111122223333", "eu-central-1")
    assert (state.limit, state.sources) == (5, ("apps", "audit"))
    assert state.needed == pytest.approx(1.0 / 0.5 * 1.05)
    line.bucket.need(small, None)
    for number in range(100):
        line.bucket.need(Use("apps", str(number)), None)
    assert line.bucket.state("FilterLogEvents", "1", "eu-central-1").needed == 0


def test_a_source_alone_with_a_budget_has_that_part_of_the_quota() -> None:
    line = Line(10)
    use = Use("apps", "x", budget=0.5)
    line.bucket.need(use, Needs(5.0, 2.5))
    line.add(use, threads=6)
    line.run(600)
    state = line.bucket.state("FilterLogEvents", "1", "eu-west-1")
    assert state.limit == 5
    assert state.used == pytest.approx(1, abs=0.05)
    assert state.needed == pytest.approx(1.05)
    line.now += 600
    assert line.bucket.state("FilterLogEvents", "1", "eu-west-1").used < 0.01


def test_a_budget_is_a_share_of_what_aws_allows_while_it_throttles() -> None:
    line = Line(10)
    line.bucket.throttled()
    line.add(Use("apps", budget=0.5), threads=5)
    line.run(10.5)
    assert len(line.given) == pytest.approx(40, abs=5)
