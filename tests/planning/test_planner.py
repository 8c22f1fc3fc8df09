"""The plan of a partition follows what reading it costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from exporter.patterns import compile_pattern
from exporter.planning.interest import Interest, Wanted
from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.planning.planner import Planner
from exporter.planning.sampling import shares
from exporter.sources.schedule import Schedule

CHANGES, ROLES = Request("ReadOnly", "false"), Request("EventName", "AssumeRole")
ALL = Plan("everything", (EVERYTHING,), "Everything.")
TWO = Plan("attributes", (CHANGES, ROLES), "Two.")
SCHEDULE = Schedule(60_000, 1_800_000, 1000)
PAGE = 50


class Account:
    """Events a second by what selects them, and the plans by which they are read."""

    def __init__(self, **rates: float) -> None:
        self.rates = rates
        self.planner = Planner()
        self.probes = 0

    def rate(self, request: Request) -> float:
        return self.rates.get(request.value or "all", 0.0)

    def share(self, request: Request) -> float:
        return self.rate(request) / self.rate(EVERYTHING) if self.rate(EVERYTHING) else 0.0

    def poll(self, polls: int = 1, noise: random.Random | None = None) -> str:
        for _ in range(polls):
            factor = noise.uniform(0.7, 1.3) if noise else 1.0
            plan = self.planner.begin([ALL, TWO], SCHEDULE.pages)
            for request in plan.requests:
                read = self.rate(request) * 60 * factor
                self.planner.read(request, read / PAGE, read, 60_000)
            if plan.requests == ALL.requests:
                read = self.rate(EVERYTHING) * 60 * factor
                self.planner.sample(EVERYTHING, read / PAGE, read, 60_000, self.share)
            if self.planner.probe is not None:
                self.probes += 1
                read = self.rate(EVERYTHING)
                self.planner.sample(EVERYTHING, read / PAGE, read, 1000, self.share)
        return self.planner.plan.kind


def test_a_quiet_account_stays_at_one_request() -> None:
    account = Account(all=0.01, false=0.001)
    assert account.poll(200) == "everything"
    assert account.probes == 0


def test_a_busy_account_is_read_by_several_requests_if_that_is_less() -> None:
    account = Account(all=60, false=6, AssumeRole=1)
    assert account.poll(1) == "everything"
    assert account.poll(10) == "attributes"
    assert "instead of" in account.planner.plan.why


def test_a_rule_whose_events_are_most_of_all_saves_nothing() -> None:
    account = Account(all=60, false=6, AssumeRole=53)
    assert account.poll(100) == "everything"


def test_an_account_that_becomes_quiet_returns_to_one_request() -> None:
    account = Account(all=60, false=6, AssumeRole=1)
    account.poll(20)
    account.rates = {"all": 0.05, "false": 0.01}
    assert account.poll(100) == "everything"
    assert account.probes >= 1


def test_an_account_whose_reads_grow_is_read_by_less_again() -> None:
    account = Account(all=60, false=6, AssumeRole=53)
    account.poll(20)
    account.rates["AssumeRole"] = 1
    assert account.poll(20) == "attributes"


def test_a_load_at_the_border_does_not_change_the_plan_back_and_forth() -> None:
    chance = random.Random(1)
    for rate in (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0):
        account = Account(all=rate, false=0.1 * rate, AssumeRole=0.05 * rate)
        plans: Counter[str] = Counter()
        before = ""
        for _ in range(1000):
            kind = account.poll(noise=chance)
            plans["changes"] += kind != before
            before = kind
        assert plans["changes"] <= 4


def test_the_other_plan_is_probed_now_and_then_only() -> None:
    account = Account(all=60, false=6, AssumeRole=1)
    account.poll(310)
    assert 8 <= account.probes <= 10


def test_a_request_that_aws_refuses_is_in_no_plan_any_more() -> None:
    account = Account(all=60, false=6, AssumeRole=1)
    account.poll(20)
    account.planner.refuse(ROLES)
    assert account.poll() == "everything"
    assert account.poll(100) == "everything"
    alone = Plan("pattern", (Request(value="ERROR"),), "One.")
    planner = Planner()
    assert planner.begin([alone], SCHEDULE.pages) == alone
    planner.refuse(alone.requests[0])
    assert planner.begin([alone], SCHEDULE.pages).requests == (EVERYTHING,)


def test_other_rules_have_other_plans_at_once() -> None:
    account = Account(all=60, false=6, AssumeRole=1)
    account.poll(20)
    changes = Plan("read_only_false", (CHANGES,), "Changes.")
    assert account.planner.begin([changes], SCHEDULE.pages) == changes
    assert account.planner.begin([ALL, TWO], SCHEDULE.pages).kind in ("everything", "attributes")


def test_what_is_known_is_what_was_read() -> None:
    known: Mapping[Request, float] = Account(all=60).planner.rates
    assert known == {}
    account = Account(all=60, false=6, AssumeRole=1)
    account.poll(5)
    rates = account.planner.rates
    assert round(rates[EVERYTHING]) == 60
    assert round(rates[CHANGES]) == 6


def test_interests_of_versions_that_have_ended_do_not_pile_up() -> None:
    interest = Interest(Wanted(compile_pattern(f"a{end}"), until=end) for end in range(100))
    assert [len(interest.since(time).patterns) for time in range(101)] == [*range(100, -1, -1)]
    assert len(interest._since) < 10


def test_a_sample_of_long_messages_is_a_small_one() -> None:
    found, others = "ERROR" + 60_000 * "x", 60_000 * "x"
    assert shares([found, *9 * [others]])(Request(value="ERROR")) == 1
    assert shares([found[5:], *9 * [found]])(Request(value="ERROR")) == 0
    assert shares(10 * [2 * others])(Request(value="ERROR")) == 1, "it may be all"
