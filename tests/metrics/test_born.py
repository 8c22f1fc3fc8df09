"""Born at zero: every current scraper sees a new series at 0 first, and none waits for longer."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporter.metrics import scrapers
from exporter.metrics.families import MetricFamily
from exporter.metrics.scrapers import LONGEST_WAIT, Client, Edition, Scrapers
from exporter.metrics.series import SeriesStore
from tests.support.counting import METRIC, total

A = Client("192.0.2.1", 10.0)
B = Client("192.0.2.2", 10.0)
SOMEBODY = Client("192.0.2.3")


class Process:
    """A series store with what outlives it: the clock and the ledger's rows."""

    def __init__(self, hold: float = 0.0) -> None:
        self.now = 0.0
        self.totals: dict[str, float] = {}
        self.revealed: set[str] = set()
        self._hold = hold
        self.start()

    def start(self) -> None:
        """Start, or start again after a crash."""
        self.store = SeriesStore(self._hold, lambda: self.now)
        self.store.load(
            total(user, value, revealed=user in self.revealed)
            for user, value in self.totals.items()
        )

    def commit(self, user: str, value: float = 1.0) -> None:
        self.totals[user] = self.totals.get(user, 0.0) + value
        revealed = user in self.revealed
        self.store.apply([total(user, self.totals[user], revealed=revealed)])

    def scrape(
        self, client: Client, at: float | None = None, *, aborted: bool = False
    ) -> dict[str, float]:
        """What a client sees, by user. The runtime ticks before the request and after it."""
        self.now = self.now if at is None else at
        self.tick()
        self.store.reveal(client)
        rendered = self.store.render(openmetrics=False)
        if not aborted:
            self.store.delivered(rendered.edition, client)
        self.tick()
        return {
            sample.labels["user"]: sample.value
            for family in text_string_to_metric_families(
                "".join(family.text for family in rendered.families)
            )
            for sample in family.samples
            if sample.name == METRIC
        }

    def tick(self) -> None:
        """Record in the ledger what may be revealed."""
        due = self.store.due()
        self.revealed |= {dict(key.labels)["user"] for key in due}
        self.store.recorded(due)

    def acquaint(self, *clients: Client, interval: float = 15.0, times: int = 3) -> None:
        """Let clients scrape in turn until they are known."""
        for _ in range(times):
            self.now += interval
            for client in clients:
                self.scrape(client)


@pytest.fixture
def process() -> Process:
    return Process()


def test_one_scraper_sees_it_at_0_once_and_then_at_its_total(process: Process) -> None:
    process.acquaint(A)
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (60, 75)] == [0, 1]


def test_after_a_start_the_third_scrape_shows_the_total(process: Process) -> None:
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (0, 15, 30)] == [0, 0, 1]


def test_two_scrapers_both_see_it_at_0_first(process: Process) -> None:
    process.acquaint(A, B)
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (60, 75)] == [0, 0]
    assert process.scrape(B, 80)["root"] == 0
    assert process.scrape(A, 90)["root"] == 1
    assert process.scrape(B, 95)["root"] == 1


def test_one_that_is_gone_is_waited_for_three_of_its_own_intervals(process: Process) -> None:
    process.acquaint(A, B)  # last at 45, every 15 s
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (60, 75, 90, 91)] == [0, 0, 0, 1]


def test_after_a_start_one_that_comes_just_after_the_others_second_scrape_sees_it_at_0(
    process: Process,
) -> None:
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (0.01, 15)] == [0, 0]
    assert process.scrape(B, 15.02)["root"] == 0
    assert process.scrape(A, 30)["root"] == 1


def test_one_that_came_once_is_waited_for_ten_minutes(process: Process) -> None:
    process.acquaint(A)
    process.scrape(B, 46)
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (60, 46 + LONGEST_WAIT)] == [0, 0]
    assert process.scrape(A, 47 + LONGEST_WAIT)["root"] == 1


def test_a_missed_scrape_and_a_retry_do_not_make_its_interval_shorter(process: Process) -> None:
    process.acquaint(A, B)
    process.scrape(B, 45.1)  # a retry
    process.commit("root")
    # B misses 60 and 75.
    assert [process.scrape(A, at)["root"] for at in (60, 75, 89)] == [0, 0, 0]
    assert process.scrape(B, 90)["root"] == 0
    assert process.scrape(A, 105)["root"] == 1


def test_an_interval_is_no_shorter_than_the_timeout(process: Process) -> None:
    process.acquaint(A)
    process.scrape(B, 46)
    process.scrape(B, 46.1)  # a retry of its first scrape, with a timeout of 10 s
    process.commit("root")
    assert [process.scrape(A, at)["root"] for at in (60, 75)] == [0, 0]


def test_one_that_comes_back_or_is_new_sees_at_0_what_is_still_held(process: Process) -> None:
    process.acquaint(A)
    process.commit("root")
    process.scrape(A, 60)
    assert process.scrape(B, 61)["root"] == 0
    assert process.scrape(A, 75)["root"] == 1


def test_an_aborted_scrape_has_seen_nothing_and_holds_nothing_up(process: Process) -> None:
    process.acquaint(A)
    process.commit("root")
    assert [process.scrape(A, at, aborted=True)["root"] for at in (60, 75)] == [0, 0]
    process.scrape(B, 76, aborted=True)
    assert [process.scrape(A, at)["root"] for at in (80, 90)] == [0, 1]


def test_any_client_counts_while_none_announces_a_timeout(process: Process) -> None:
    process.acquaint(SOMEBODY)
    process.commit("root")
    assert [process.scrape(SOMEBODY, at)["root"] for at in (60, 75)] == [0, 1]


def test_a_look_at_the_page_holds_nothing_up(process: Process) -> None:
    process.acquaint(SOMEBODY)
    process.scrape(Client("192.0.2.4"))
    process.commit("root")
    assert [process.scrape(SOMEBODY, at)["root"] for at in (60, 75)] == [0, 1]


def test_no_other_client_counts_while_one_announces_a_timeout(process: Process) -> None:
    process.acquaint(SOMEBODY)
    assert process.scrape(A) == {}
    process.commit("root")
    for _ in range(5):
        assert process.scrape(SOMEBODY, process.now + 1)["root"] == 0
    assert [process.scrape(A, at)["root"] for at in (60, 75)] == [0, 1]


def test_the_first_that_announces_a_timeout_sees_at_0_what_others_have_seen(
    process: Process,
) -> None:
    process.acquaint(SOMEBODY)
    process.commit("root")
    process.scrape(SOMEBODY)
    assert process.scrape(A)["root"] == 0


def test_scrapers_behind_one_address_need_a_hold_of_their_interval() -> None:
    process = Process(hold=15.0)
    process.acquaint(A)
    process.commit("root")
    # Two servers, at 46 and 59: the second would be shown the total without the hold.
    assert [process.scrape(A, at)["root"] for at in (46, 59, 61)] == [0, 0, 1]


def test_after_a_restart_the_hold_counts_from_the_first_page() -> None:
    process = Process(hold=15.0)
    process.commit("root")
    process.now = 100.0  # loading took its time
    assert [process.scrape(A, at)["root"] for at in (100, 104, 114, 116)] == [0, 0, 0, 1]


@pytest.mark.parametrize("interval", [300.0, 3600.0, 86_400.0])
def test_one_that_comes_rarely_sees_it_all_the_same(process: Process, interval: float) -> None:
    process.acquaint(SOMEBODY, interval=interval)
    process.commit("root")
    seen = [process.scrape(SOMEBODY, process.now + interval)["root"] for _ in range(2)]
    assert seen == [0, 1]


def test_when_all_were_away_it_waits_for_each_as_after_a_start(process: Process) -> None:
    process.acquaint(A, B)
    process.commit("root")
    assert process.scrape(A, 5000)["root"] == 0
    assert process.scrape(B, 5014)["root"] == 0
    assert process.scrape(A, 5015)["root"] == 0
    assert process.scrape(A, 5030)["root"] == 1


def test_a_series_whose_rule_was_away_is_seen_at_0_once_it_is_back(process: Process) -> None:
    family = MetricFamily(METRIC, "counter", "Logins.")
    process.acquaint(A)
    process.store.describe([])
    process.commit("root")
    process.acquaint(A)
    process.store.describe([family])
    assert [process.scrape(A)["root"] for _ in range(2)] == [0, 1]


# -- restarts: totals that were shown before --


def test_after_a_restart_everybody_sees_the_old_total_before_the_jump(process: Process) -> None:
    process.acquaint(A, B)
    process.commit("root", 3)
    process.acquaint(A, B)
    process.now += 3600
    process.start()
    process.commit("root", 5)
    at = process.now
    assert process.scrape(A, at)["root"] == 3
    assert process.scrape(B, at + 14)["root"] == 3
    assert process.scrape(A, at + 15)["root"] == 3
    assert process.scrape(B, at + 29)["root"] == 8
    assert process.scrape(A, at + 30)["root"] == 8


def test_what_was_committed_meanwhile_in_the_other_order_does_not_lower_it(
    process: Process,
) -> None:
    process.store.load([total("root", 3.0, revealed=True)])
    process.store.apply([total("root", 8.0, revealed=True), total("root", 5.0, revealed=True)])
    assert [process.scrape(A, at)["root"] for at in (0, 15, 30)] == [3, 3, 8]


def test_if_nobody_comes_after_a_restart_the_totals_are_the_ledgers_in_ten_minutes(
    process: Process,
) -> None:
    process.store.load([total("root", 3.0, revealed=True)])
    process.store.apply([total("root", 8.0, revealed=True)])
    assert process.scrape(A, LONGEST_WAIT)["root"] == 8


def test_what_appears_after_the_start_does_not_wait_for_the_loaded_totals(
    process: Process,
) -> None:
    process.store.load([total("root", 3.0, revealed=True), total("new", 1.0, revealed=False)])
    for value in (5.0, 8.0):
        process.store.apply([total(user, value, revealed=True) for user in ("root", "eve", "new")])
        assert process.scrape(A, 0) == {"root": 3, "eve": value, "new": 0}
    process.store.end([total("root", 0.0, revealed=True).key])
    for value in (1.0, 2.0):
        process.store.apply([total("root", value, revealed=True)])
        assert process.scrape(A, 0)["root"] == value


# -- hostile clients --


@pytest.mark.parametrize("timeout", ["", "x", "nan", "inf", "-5", "1e400", "0", "9" * 400])
def test_a_strange_timeout_makes_it_a_scraper_and_nothing_else(
    process: Process, timeout: str
) -> None:
    hostile = Client.announcing("203.0.113.1", timeout)
    assert hostile.timeout == 0.0
    process.acquaint(A, hostile)
    process.commit("root")
    process.scrape(A, 60)
    assert process.scrape(A, 91)["root"] == 1


@pytest.mark.parametrize("timeout", ["1e12", "10"])
def test_a_crowd_of_addresses_holds_nothing_up_longer_than_ten_minutes(
    process: Process, timeout: str
) -> None:
    process.acquaint(A, B)
    crowd = [Client.announcing(f"203.0.113.{number}", timeout) for number in range(200)]
    for client in crowd * 3:
        process.scrape(client, process.now + 0.01)
    process.acquaint(A, B)
    process.commit("root")
    born = process.now
    # The crowd goes on, each time from other addresses.
    number = 0
    while process.scrape(A, process.now + 15)["root"] == 0:
        assert process.now - born <= LONGEST_WAIT + 15
        for _ in range(20):
            number += 1
            process.scrape(Client(f"2001:db8::{number:x}", 1.0), process.now + 0.01)
    assert len(process.store._scrapers._announcing._scrapers) == scrapers._MOST


@pytest.mark.parametrize("times", [1, 2])
def test_a_crowd_does_not_displace_the_scrapers_that_are_known(
    process: Process, times: int
) -> None:
    process.acquaint(A, B)
    crowd = [Client(f"2001:db8::{number:x}", 1.0) for number in range(500)]
    for client in crowd:
        for _ in range(times):
            process.scrape(client, process.now + 0.001)
    process.commit("root")
    for client in crowd:
        process.scrape(client, process.now + 0.001)
    assert [process.scrape(A, at)["root"] for at in (60, 75)] == [0, 0]
    process.scrape(B, 76)
    assert process.scrape(A, 90)["root"] == 1


# -- any schedule --


@dataclass
class Server:
    """A Prometheus server, and what its storage has."""

    client: Client
    interval: float
    offset: float
    gone: float
    aborts: frozenset[int]
    """Which scrapes it breaks off: never so many in a row that it would be gone."""
    served: float = -math.inf
    """When it was last served."""
    series: dict[str, list[float]] = field(default_factory=dict)


@st.composite
def servers(draw: st.DrawFn, same: bool) -> list[Server]:
    intervals = st.sampled_from([1.0, 5.0, 15.0, 60.0])
    common = draw(intervals)
    drawn = []
    for number in range(draw(st.integers(1, 3))):
        interval = common if same else draw(intervals)
        drawn.append(
            Server(
                Client(f"192.0.2.{number}", min(interval, 10.0)),
                interval,
                interval * draw(st.integers(0, 99)) / 100,
                math.inf if same else draw(st.sampled_from([math.inf, 5.5 * interval])),
                frozenset()
                if same
                else draw(st.frozensets(st.sampled_from([4, 6, 8, 10, 12]), max_size=2)),
            )
        )
    return drawn


def schedule(drawn: list[Server], until: float) -> Iterator[tuple[float, int, Server]]:
    """Each server's scrapes in the order of time: when, which of its own, who."""
    plans = [
        [
            (server.offset + number * server.interval, number, index)
            for number in range(int(until / server.interval))
            if server.offset + number * server.interval < server.gone
        ]
        for index, server in enumerate(drawn)
    ]
    for at, number, index in heapq.merge(*plans):
        yield at, number, drawn[index]


commits = st.lists(st.tuples(st.floats(0, 1), st.sampled_from("abcd")), max_size=12)


@settings(max_examples=150, deadline=None)
@given(servers(same=False), commits)
def test_while_it_runs_each_sees_0_first_and_the_total_as_early_as_the_rule_allows(
    drawn: list[Server], events: list[tuple[float, str]]
) -> None:
    slowest = max(server.interval for server in drawn)
    # The start is the next test's: all are known before the first event.
    quiet = 3 * slowest
    until = 14 * slowest
    pending = sorted((quiet + share * (until - quiet), user) for share, user in events)
    process = Process()
    born: dict[str, float] = {}
    saw: dict[str, dict[str, float]] = {}
    shown: set[str] = set()
    for at, number, server in schedule(drawn, until):
        while pending and pending[0][0] <= at:
            process.now, user = pending.pop(0)
            process.commit(user)
            born.setdefault(user, process.now)
        aborted = number in server.aborts
        page = process.scrape(server.client, at, aborted=aborted)
        for user, value in page.items():
            expected = user in shown or all(
                other.client.address in saw.get(user, {})
                for other in drawn
                if other is server or at - other.served <= 3 * _interval(other, at)
            )
            if expected:
                shown.add(user)
            assert value == (process.totals[user] if expected else 0)
        if aborted:
            continue
        server.served = at
        for user, value in page.items():
            values = server.series.setdefault(user, [])
            assert values or value == 0 or at - born[user] > 3 * server.interval
            assert not values or value >= values[-1]
            values.append(value)
            saw.setdefault(user, {})[server.client.address] = at


def _interval(server: Server, at: float) -> float:
    """The longest of a server's last four gaps between pages that it was served."""
    served = [
        server.offset + number * server.interval
        for number in range(int((at - server.offset) / server.interval + 1e-9) + 1)
        if number not in server.aborts and server.offset + number * server.interval < server.gone
    ]
    gaps = [later - earlier for earlier, later in itertools.pairwise(served)]
    return max(server.client.timeout or 0.0, *gaps[-4:])


@settings(max_examples=150, deadline=None)
@given(
    servers(same=True),
    commits,
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.7, 5.0, 100.0])), max_size=3),
)
def test_over_restarts_none_goes_down_nothing_jumps_unseen_and_the_third_scrape_shows_it(
    drawn: list[Server], events: list[tuple[float, str]], crashes: list[tuple[float, float]]
) -> None:
    """A crash comes with a time, in intervals, in which no scrape is answered and nothing read."""
    interval = drawn[0].interval
    until = 20 * interval + sum(length for _, length in crashes) * interval
    plan: list[tuple[float, int, str | float | Server]] = [
        *((share * 20 * interval, 0, user) for share, user in events),
        *((share * 20 * interval, 1, length * interval) for share, length in crashes),
        *((at, 2, server) for at, _, server in schedule(drawn, until)),
    ]
    process = Process()
    up = 0.0
    missed: list[str] = []
    pages: dict[str, int] = {}
    at_start: dict[str, float] = {}
    at_first: dict[str, dict[str, float]] = {}
    for at, _, what in sorted(plan, key=lambda step: step[:2]):
        process.now = max(at, process.now)
        if isinstance(what, float):
            up = max(up, at + what)
            process.now = up
            process.start()
            at_start, pages, at_first = dict(process.totals), {}, {}
        elif isinstance(what, str) and at < up:
            missed.append(what)
        elif isinstance(what, str):
            process.commit(what)
        elif isinstance(what, Server) and at >= up:
            while missed:
                process.commit(missed.pop())
            address = what.client.address
            pages[address] = pages.get(address, 0) + 1
            first = at_first.setdefault(address, dict(process.totals))
            for user, value in process.scrape(what.client, at).items():
                values = what.series.setdefault(user, [])
                assert value == 0 if not values else value >= values[-1]
                if pages[address] == 1:
                    assert value <= at_start.get(user, 0)
                if pages[address] >= 3:
                    assert value >= first.get(user, 0)
                values.append(value)


def test_two_servers_behind_one_address_that_scrape_at_the_same_moment_are_waited_for() -> None:
    scrapers, client = Scrapers(), Client("192.0.2.1", timeout=10.0)
    for number in range(5):
        scrapers.served(client, Edition(2 * number + 1, at=60.0 * number))
        scrapers.served(client, Edition(2 * number + 2, at=60.0 * number + 0.001))
    assert scrapers.seen(None, 241.0) == 10
