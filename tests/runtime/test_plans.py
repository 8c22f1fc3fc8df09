"""Whatever is asked of AWS, and however that changes: counts are as if everything was read.

Sources, planner, rule set, pipeline and ledger are the real ones, on a simulated clock.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.clock import Clock
from exporter.configuration import Configuration, load
from exporter.ledger.base import Member
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition, SourceError
from exporter.patterns import FilterPattern, compile_pattern
from exporter.planning.interest import Interest, Wanted
from exporter.planning.plan import EVERYTHING, READ_EVERYTHING, Plan, Request
from exporter.planning.planner import Planner
from exporter.rules import RuleSet
from exporter.runtime.assembly import kept_versions, rule_uses
from exporter.runtime.pipeline import Pipeline
from exporter.runtime.reader import Reader
from exporter.sources.asking import Answered, Plans
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistory
from exporter.sources.log_groups import LOG_GROUP, LogGroups
from exporter.sources.pace import Answer, EventPage, Pace
from tests.support.examples import examples
from tests.support.selecting import ACCOUNT, REGION, Happening, SelectingAws, record

BEGIN, LASTS, INTERVAL, LOOKBACK = 1_700_000_000, 1800, 60, 600
ALIAS, ALIAS_FROM, ALIAS_UNTIL = "acme", BEGIN + 500, BEGIN + 1100
"""The account has an alias for a while."""
NAMES = (
    ("DeleteUser", "iam.amazonaws.com", False),
    ("ConsoleLogin", "signin.amazonaws.com", False),
    ("ScheduleKeyDeletion", "kms.amazonaws.com", False),
    ("Decrypt", "kms.amazonaws.com", True),
    ("AssumeRole", "sts.amazonaws.com", True),
)
PATTERNS = {
    "history": (
        '{ $.eventName = "DeleteUser" }',
        "{ ($.eventName = ConsoleLogin) && ($.errorMessage = Failed) }",
        '{ ($.eventSource = kms.amazonaws.com) && ($.eventName = "Sched*") }',
        "{ $.eventName = AssumeRole }",
        "{ ($.eventName = Decrypt) || ($.eventName = DeleteUser) }",
        '{ $.userIdentity.type = "Root" }',
        "{ $.readOnly IS FALSE }",
        "{ $.errorMessage = Failed }",
        "Failed",
    ),
    "apps": (
        "Failed",
        "?Decrypt ?AssumeRole -Failed",
        "[at, level = ERROR, ...]",
        '{ $.eventName = "DeleteUser" }',
        "{ $.errorMessage NOT EXISTS }",
        "{ $.detail.eventName = ConsoleLogin || $.eventName = ConsoleLogin }",
        '{ $.eventName = %D.*t% && $.eventSource != "iam*" }',
    ),
}


class Fickle(Planner):
    """Takes any of the plans at any time."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance

    def begin(self, plans: Sequence[Plan], cost: Callable[[float], float]) -> Plan:
        super().begin(plans, cost)
        plans = self._allowed(plans)
        self.plan = self._chance.choice(plans)
        self.probe = plans[0].requests[0] if self._chance.random() < 0.2 else None
        return self.plan


def configuration(folder: Path, name: str, rules: dict[int, str | None]) -> Configuration:
    """The source, and rules by the number of their pattern, each with its own start, if any."""
    types: dict[str, dict[str, Any]] = {
        "history": {"type": "event_history"},
        "apps": {"type": "log_groups", "log_groups": ["app"], "format": "auto"},
    }
    times = {"interval": f"{INTERVAL}s", "lookback": f"{LOOKBACK}s"}
    path = folder / "exporter.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "sources": [{"name": name, **types[name], **times}],
                "rules": [
                    {
                        "name": f"rule_{number}",
                        "pattern": PATTERNS[name][number],
                        "metric": f"rule_{number}_total",
                        **({} if start is None else {"start": start}),
                    }
                    for number, start in rules.items()
                ],
            }
        )
    )
    return load([path])


class Exporter:
    """Reads the simulated AWS by one configuration after the other."""

    def __init__(self, folder: Path, name: str, events: list[Happening], seed: int) -> None:
        self.now = float(BEGIN)
        self.chance = random.Random(seed)
        self.name = name
        self.aws = SelectingAws(lambda: self.now, events, self.chance)
        self.aws.alias = lambda: ALIAS if ALIAS_FROM <= self.now < ALIAS_UNTIL else ""
        if self.chance.random() < 0.5:
            self.aws.names_root = lambda _alias: "root"
        self.clock = Clock(wall=lambda: self.now)
        self.folder = folder
        resource = ("app", LOG_GROUP) if name == "apps" else ()
        self.partition = Partition(name, ACCOUNT, REGION, *resource)
        self.telemetry = Telemetry()
        self.loads = 0
        self.planned = True
        self.ledger = self._open()

    def _open(self) -> SqliteLedger:
        def clock() -> float:
            return self.now

        return SqliteLedger.open(self.folder, clock=clock, steady=clock, temporary=True)

    def restart(self) -> None:
        self.ledger.close()
        self.ledger = self._open()
        self.load(self.rules)

    def load(self, rules: dict[int, str | None]) -> None:
        """Load rules into a new pipeline, as at a start."""
        found = self._load(rules)
        self.pipeline = Pipeline(
            self.ledger, SeriesStore(None), self.telemetry, self.clock, self._rules
        )
        environment = Environment(cast("AwsAccounts", self.aws), self.clock)
        (config,) = found.sources
        self.source = config.source(environment, {})
        assert isinstance(self.source, EventHistory | LogGroups)
        self.source._monotonic = lambda: self.now
        if self.planned:
            make_fickle(self.source, self.chance)
        else:
            self.source._plans = Plans(lambda *_: (READ_EVERYTHING,))

    def _load(self, rules: dict[int, str | None]) -> Configuration:
        self.rules = rules
        now, self.loads = round(self.now * 1000), self.loads + 1
        found = configuration(self.folder, self.name, rules)
        read_before = [self.name] if self.ledger.has_progress(self.name) else []
        loaded = self.ledger.load_rules(
            rule_uses(found, read_before, now),
            now=now,
            keep=kept_versions(found),
            generation=str(self.loads),
        )
        self._rules = RuleSet(loaded.versions, found.rules, feeds=found.feeds)
        return found

    def reload(self, rules: dict[int, str | None]) -> None:
        """Load rules while the source is read."""
        self._load(rules)
        with self.pipeline.paused():
            self.pipeline.rules = self._rules

    def poll(self, reload: dict[int, str | None] | None = None) -> None:
        """Poll; ``reload`` comes between the first reading and its commit.

        Later readings differ by the plan, and with them the positions at which rules change.
        """
        for evaluated in self.pipeline.evaluated(
            self.source,
            self.partition,
            self.ledger.checkpoint(self.partition),
            turn=math.inf,
            wanted=lambda: True,
        ):
            if reload is not None and self.rules is not reload:
                self.reload(reload)
            if self.pipeline.commit(evaluated) is None:
                self.poll()
                return
        if reload is not None and self.rules is not reload:
            self.reload(reload)

    def forget(self) -> None:
        now, memory = round(self.now * 1000), self.source.memory
        self.ledger.expire(self.name, [Member(self.name, [self.partition], now, memory)])

    def totals(self) -> dict[str, float]:
        with closing(self.ledger):
            return {one.key.metric: one.total for one in self.ledger.series() if one.total}


def make_fickle(source: EventHistory | LogGroups, chance: random.Random) -> None:
    """Let its planner take any plan."""
    pace_of = source._pace

    def pace(partition: Partition, checkpoint: str | None) -> Pace:
        found = pace_of(partition, checkpoint)
        if type(found.planner) is Planner:
            found.planner = Fickle(chance)
        return found

    source._pace = pace  # type: ignore[method-assign]


def happenings(name: str, arrivals: list[tuple[int, int, int, bool]]) -> list[Happening]:
    """Log events: when each happens, how late it can be read, its kind, and whether it failed."""
    found = []
    for number, (at, delay, kind, failed) in enumerate(arrivals):
        event_name, event_source, read_only = NAMES[kind % len(NAMES)]
        error = {"errorMessage": "Failed"} if failed else {}
        fields = {"eventName": event_name, "eventSource": event_source, "readOnly": read_only}
        if kind > 6:
            has_alias = ALIAS_FROM <= BEGIN + at < ALIAS_UNTIL
            user_name = {"userName": ALIAS} if has_alias else {}
            fields["userIdentity"] = {"type": "Root", **user_name}
        message = record(number, BEGIN + at, **fields, **error)
        if name == "apps" and kind % 3 == 1:
            message = json.dumps(
                {
                    "id": "1",
                    "detail-type": "AWS API Call via CloudTrail",
                    "source": "aws.x",
                    "account": ACCOUNT,
                    "time": "2023-11-14T22:13:20Z",
                    "region": REGION,
                    "detail": json.loads(message),
                }
            )
        elif name == "apps" and kind % 3 == 2:
            message = f"{at} {'ERROR' if failed else 'INFO'} {event_name} {error}"
        found.append(Happening(str(number), BEGIN + at, BEGIN + at + delay, message))
    changes = {"CreateAccountAlias": ALIAS_FROM, "DeleteAccountAlias": ALIAS_UNTIL}
    for event_name, time in changes.items() if any(kind > 6 for *_, kind, _ in arrivals) else ():
        asked = {"requestParameters": {"accountAlias": ALIAS}, "readOnly": False}
        message = record(time, time, eventName=event_name, **asked)
        found.append(Happening(event_name, time, time, message))
    return found


starts = st.sampled_from([None, None, None, "10m", "1h"])
rule_sets = st.dictionaries(st.integers(0, 6), starts, min_size=1, max_size=5)
delays = st.one_of(st.integers(0, 5), st.integers(0, 300), st.integers(0, LOOKBACK))
arrivals = st.lists(
    st.tuples(st.integers(0, LASTS), delays, st.integers(0, 9), st.booleans()),
    min_size=1,
    max_size=60,
)
actions = st.lists(
    st.tuples(
        st.sampled_from(["poll", "poll", "reload", "in a poll", "restart"]),
        rule_sets,
        st.one_of(st.just(INTERVAL), st.integers(1, 1500)),
    ),
    min_size=3,
    max_size=8,
)


@pytest.mark.parametrize("name", ["history", "apps"])
@settings(
    max_examples=examples(10),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arrivals, rule_sets, actions, st.integers(0, 2**32), st.booleans())
def test_counts_are_those_of_reading_everything(  # noqa: PLR0917 - drawn
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    arrivals: list[tuple[int, int, int, bool]],
    first: dict[int, str | None],
    actions: list[tuple[str, dict[int, str | None], int]],
    seed: int,
    refuses: bool,
) -> None:
    totals = []
    for planned in (True, False):
        exporter = Exporter(tmp_path_factory.mktemp(name), name, happenings(name, arrivals), seed)
        exporter.planned = planned
        if refuses:
            exporter.aws.refuses = lambda text: hash((seed, len(text))) % 3 == 0
        exporter.load(first)
        # A version that ends when it begins judges nothing, but may have counted already.
        exporter.now += 1
        for action, rules, gap in actions:
            if action == "restart":
                exporter.restart()
            elif action == "reload":
                exporter.reload(rules)
            exporter.poll(rules if action == "in a poll" else None)
            exporter.poll()  # the past of an own start, which a plan may have read already
            exporter.now += gap
            exporter.forget()
        # The last rules are polled for, too, however late they were loaded.
        end = max(exporter.now, BEGIN + LASTS) + 3 * LOOKBACK
        while exporter.now < end:
            exporter.poll()
            exporter.now += INTERVAL
        totals.append(exporter.totals())
    assert totals[0] == totals[1]


class Probing(Planner):
    """Reads a page of what is not accepted in each poll."""

    def begin(self, plans: Sequence[Plan], cost: Callable[[float], float]) -> Plan:
        plan = super().begin(plans, cost)
        self.probe = Request("ReadOnly", "false")
        return plan


class Most(Planner):
    """Makes the most requests."""

    def begin(self, plans: Sequence[Plan], cost: Callable[[float], float]) -> Plan:
        super().begin(plans, cost)
        self.plan = max(plans, key=lambda plan: len(plan.requests))
        return self.plan


class Steady(Exporter):
    """With the planner as it is."""

    def __init__(self, folder: Path, name: str, events: list[Happening]) -> None:
        super().__init__(folder, name, events, 1)
        self.aws.random_pages = False

    def load(self, rules: dict[int, str | None]) -> None:
        super().load(rules)
        environment = Environment(cast("AwsAccounts", self.aws), self.clock)
        (config,) = configuration(self.folder, self.name, rules).sources
        self.source = config.source(environment, {})

    def reader(self) -> Reader:
        found = Reader(self.partition, self.pipeline, on_end=lambda *_: None)
        found.source = self.source
        self.telemetry.read.add(found.meter)
        return found


def test_a_reading_that_left_out_what_new_rules_count_is_read_again_at_once(
    tmp_path: Path,
) -> None:
    deletes, roles = happenings("history", [(30, 0, 0, False), (31, 0, 4, False)])
    exporter = Steady(tmp_path, "history", [deletes, roles])
    exporter.load({0: None})
    exporter.poll()
    exporter.now += INTERVAL
    steps = exporter.reader().steps(exporter.source, turn=math.inf)
    evaluated = next(steps)
    assert evaluated is not None
    assert [event.id for event in evaluated.reading.events] == ["0"]
    # The rule's own start lies before what is being read.
    exporter.reload({0: None, 3: "10m"})
    assert exporter.pipeline.commit(evaluated) is None
    with pytest.raises(StopIteration) as end:
        steps.send(None)
    assert end.value.value == 0.0
    exporter.poll()
    assert exporter.totals() == {"rule_0_total": 1, "rule_3_total": 1}


def test_a_rule_that_asks_for_no_more_lets_the_reading_count(tmp_path: Path) -> None:
    exporter = Steady(tmp_path, "history", happenings("history", [(30, 0, 0, False)]))
    exporter.load({0: None, 1: None})
    exporter.poll()
    exporter.now += INTERVAL
    steps = exporter.reader().steps(exporter.source, turn=math.inf)
    evaluated = next(steps)
    assert evaluated is not None
    exporter.reload({0: None})
    assert exporter.pipeline.commit(evaluated) is not None


def test_a_page_that_is_read_to_know_its_cost_fails_no_poll(tmp_path: Path) -> None:
    exporter = Steady(tmp_path, "history", happenings("history", [(30, 0, 0, False)]))
    exporter.load({0: None, 1: None, 3: None})
    reader = exporter.reader()
    list(reader.poll(exporter.source, turn=math.inf))
    exporter.now += INTERVAL
    assert isinstance(exporter.source, EventHistory)
    exporter.source._paces[exporter.partition.key].planner = Probing()
    exporter.aws.refuses = lambda text: text == "false"
    for _ in range(3):  # until a slice is read again
        list(reader.poll(exporter.source, turn=math.inf))
        exporter.now += INTERVAL
    assert reader.error is None
    assert reader.meter.refused == 1
    assert exporter.totals() == {"rule_0_total": 1}


def test_the_cost_of_a_plan_is_not_measured_where_few_events_are_visible_yet(
    tmp_path: Path,
) -> None:
    arrivals = [(at, 0, 4, False) for at in range(900) for _ in range(10)]
    exporter = Steady(tmp_path, "history", happenings("history", arrivals))
    exporter.load({3: None})
    exporter.poll()
    assert isinstance(exporter.source, EventHistory)
    exporter.source._paces[exporter.partition.key].planner = Probing()
    probed, answer = list[bool](), exporter.aws.pages

    def pages(call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        (wanted,) = parameters["LookupAttributes"]
        if wanted["AttributeValue"] == "false":
            probed.append(parameters["StartTime"].timestamp() >= exporter.now - INTERVAL)
        return answer(call, parameters)

    exporter.aws.pages = pages  # type: ignore[method-assign]
    for _ in range(8):
        exporter.now += INTERVAL
        exporter.poll()
    assert probed
    assert not any(probed)


def test_a_pattern_that_aws_refuses_is_replaced_by_everything_told_once_and_counted(
    tmp_path: Path,
) -> None:
    exporter = Steady(tmp_path, "apps", happenings("apps", [(30, 0, 2, True), (95, 0, 2, True)]))
    exporter.aws.refuses = lambda text: "Failed" in text
    exporter.load({0: None})
    reader = exporter.reader()
    with capture_logs() as logs:
        for _ in range(4):
            assert list(reader.poll(exporter.source, turn=math.inf)) is not None
            exporter.now += INTERVAL
    assert [log["event"] for log in logs if "does not accept" in log["event"]] == [
        "AWS does not accept a filter pattern: everything is read instead"
    ]
    assert reader.meter.refused == 1
    assert reader.meter.plan is not None
    assert reader.meter.plan.kind == "everything"
    assert exporter.totals() == {"rule_0_total": 2}


def test_an_error_that_is_not_about_the_pattern_is_an_error(tmp_path: Path) -> None:
    exporter = Steady(tmp_path, "apps", [])
    exporter.load({0: None})

    def fails(call: object, parameters: object) -> Any:  # noqa: ARG001
        raise SourceError("InvalidParameterException: startTime", reason="invalid_request")

    exporter.aws.pages = fails  # type: ignore[method-assign]
    reader = exporter.reader()
    list(reader.poll(exporter.source, turn=math.inf))
    assert reader.error is not None
    assert reader.meter.refused == 0


def test_a_token_that_aws_does_not_accept_says_nothing_of_the_pattern(tmp_path: Path) -> None:
    arrivals = [(at, 0, 2, True) for at in range(60)]
    exporter = Steady(tmp_path, "apps", happenings("apps", arrivals))
    exporter.aws.page_size = 10
    exporter.load({0: None})
    exporter.poll()
    exporter.now += INTERVAL
    answer = exporter.aws.pages

    def expires(call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        yield next(answer(call, parameters))
        raise SourceError("InvalidParameterException: nextToken", reason="invalid_request")

    exporter.aws.pages = expires  # type: ignore[method-assign]
    reader = exporter.reader()
    list(reader.poll(exporter.source, turn=math.inf))
    assert reader.error is not None
    exporter.aws.pages = answer  # type: ignore[method-assign]
    exporter.now += INTERVAL
    list(reader.poll(exporter.source, turn=math.inf))
    assert reader.meter.refused == 0
    assert exporter.totals() == {"rule_0_total": 60}


def test_a_quiet_log_group_takes_one_request_a_poll_however_many_rules_there_are(
    tmp_path: Path,
) -> None:
    exporter = Steady(tmp_path, "apps", happenings("apps", [(1000, 0, 2, True)]))
    exporter.load(dict.fromkeys(range(len(PATTERNS["apps"]))))
    for poll in range(1, 60):
        exporter.poll()
        exporter.now += INTERVAL
        assert exporter.aws.asked.total() <= poll


def test_an_empty_page_after_the_last_events_makes_a_quiet_log_group_no_busy_one(
    tmp_path: Path,
) -> None:
    arrivals = [(at, 0, 2, at % 40 == 0) for at in range(0, 3000, 20)]
    exporter = Steady(tmp_path, "apps", happenings("apps", arrivals))
    exporter.load(dict.fromkeys(range(len(PATTERNS["apps"]))))
    answer = exporter.aws.pages

    def ends_empty(call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        yield from answer(call, parameters)
        yield ()

    exporter.aws.pages = ends_empty  # type: ignore[method-assign]
    for _ in range(12):
        exporter.poll()
        exporter.now += INTERVAL
    before = exporter.aws.asked.total()
    for _ in range(30):
        exporter.poll()
        exporter.now += INTERVAL
    assert exporter.aws.asked.total() - before == 30
    assert isinstance(exporter.source, LogGroups)
    pace = exporter.source._paces[exporter.partition.key]
    assert pace.thinning.needs.all_reads * INTERVAL == pytest.approx(2, abs=0.01)


def test_other_plans_are_judged_by_a_page_with_log_events() -> None:
    answered, event = Answered(), LogEvent("Failed", 1, "a")
    for events in ([event], []):
        answered.add(Answer(EventPage(events), EVERYTHING))
    assert answered.last == EventPage([event])


def test_a_busy_account_is_read_by_what_its_rules_want_after_some_polls(tmp_path: Path) -> None:
    chance = random.Random(1)
    # Ten a second, nine of them read-only; rules want changes and a rare read-only event.
    arrivals = [
        (at, 0, 4 if chance.random() < 0.01 else 0 if chance.random() < 0.1 else 3, False)
        for at in range(900)
        for _ in range(10)
    ]
    exporter = Steady(tmp_path, "history", happenings("history", arrivals))
    exporter.load({0: None, 3: None})
    reader = exporter.reader()
    for _ in range(15):
        list(reader.poll(exporter.source, turn=math.inf))
        exporter.now += INTERVAL
    assert reader.meter.plan is not None
    assert reader.meter.plan.kind == "attributes"
    assert "instead of" in reader.meter.plan.why
    assert reader.rates.events


def test_what_root_does_is_looked_up_by_the_names_that_it_may_have(tmp_path: Path) -> None:
    exporter = Steady(tmp_path, "history", happenings("history", [(30, 0, 8, False)]))
    exporter.load({0: None, 5: None})
    exporter.now = ALIAS_FROM + 10
    reader = exporter.reader()
    for _ in range(5):
        list(reader.poll(exporter.source, turn=math.inf))
        exporter.now += INTERVAL
    assert isinstance(exporter.source, EventHistory)
    exporter.source._paces[exporter.partition.key].planner = Most()
    exporter.aws.asked.clear()
    list(reader.poll(exporter.source, turn=math.inf))
    assert set(exporter.aws.asked) - {"CreateAccountAlias", "DeleteAccountAlias"} == {
        *("false", "root", ALIAS)
    }


def test_without_the_permission_to_ask_for_the_alias_everything_is_read_and_the_plan_says_why(
    tmp_path: Path,
) -> None:
    def denied() -> str:
        raise SourceError("iam:ListAccountAliases was denied.", reason="access_denied")

    exporter = Steady(tmp_path, "history", happenings("history", [(30, 0, 8, False)]))
    exporter.aws.alias = denied
    exporter.load({0: None, 5: None})
    reader = exporter.reader()
    for _ in range(4):
        list(reader.poll(exporter.source, turn=math.inf))
        exporter.now += INTERVAL
    assert set(exporter.aws.asked) == {""}
    assert reader.meter.plan is not None
    assert reader.meter.plan.why.endswith("iam:ListAccountAliases was denied.")
    assert exporter.totals() == {"rule_5_total": 1}


def test_the_alias_is_not_asked_for_if_another_rule_needs_everything(tmp_path: Path) -> None:
    asked = list[float]()
    exporter = Steady(tmp_path, "history", [])

    def alias() -> str:
        asked.append(exporter.now)
        return ""

    exporter.aws.alias = alias
    exporter.load({5: None, 7: None})
    exporter.poll()
    assert asked == []
    exporter.load({5: None})
    exporter.poll()
    assert asked == [exporter.now]


@pytest.mark.parametrize("name", ["history", "apps"])
def test_a_late_event_counts_for_a_rule_that_was_removed_after_it_happened(
    tmp_path: Path, name: str
) -> None:
    kind, other = (0, 3) if name == "history" else (2, 3)
    exporter = Steady(tmp_path, name, happenings(name, [(30, LOOKBACK - 200, kind, True)]))
    exporter.load({0: None})
    exporter.poll()
    exporter.now += 2 * INTERVAL
    exporter.reload({other: None})
    exporter.aws.asked.clear()
    while exporter.now < BEGIN + 2 * LOOKBACK + 20 * INTERVAL:
        exporter.poll()
        exporter.now += INTERVAL
        exporter.forget()
    if name == "history":
        # Once no event of its time can come any more, it is not asked for.
        before = exporter.aws.asked.copy()
        exporter.poll()
        assert set(exporter.aws.asked - before) == {"AssumeRole"}
        assert "DeleteUser" in before or "false" in before or "" in before
    assert exporter.totals() == {"rule_0_total": 1}


def test_a_slice_is_read_once_all_requests_of_the_plan_have_returned(tmp_path: Path) -> None:
    arrivals = [(at, 0, kind, True) for at in range(0, 600, 60) for kind in (0, 1, 4)]
    exporter = Steady(tmp_path, "history", happenings("history", arrivals))
    exporter.load({0: None, 1: None, 3: None})
    exporter.poll()
    assert isinstance(exporter.source, EventHistory)
    exporter.source._paces[exporter.partition.key].planner = Most()
    answer = exporter.aws.pages

    def fails(call: Call, parameters: Mapping[str, Any]) -> Iterator[Sequence[object]]:
        (wanted,) = parameters["LookupAttributes"]
        if wanted["AttributeValue"] == "AssumeRole" and exporter.now < BEGIN + 500:
            raise SourceError("InternalError", reason="error")
        return answer(call, parameters)

    exporter.aws.pages = fails  # type: ignore[method-assign]
    reader = exporter.reader()
    for _ in range(12):
        exporter.now += INTERVAL
        list(reader.poll(exporter.source, turn=math.inf))
        up_to = exporter.source.read_up_to(
            exporter.partition, exporter.ledger.checkpoint(exporter.partition)
        )
        assert (up_to <= BEGIN * 1000) == (exporter.now < BEGIN + 500)
    assert exporter.totals() == {"rule_0_total": 10, "rule_1_total": 10, "rule_3_total": 10}


def test_partitions_that_need_other_versions_of_rules_make_their_plans_once() -> None:
    made: list[int] = []

    def make(patterns: Sequence[FilterPattern], _names: Collection[str]) -> Sequence[Plan]:
        made.append(len(patterns))
        return (READ_EVERYTHING,)

    plans = Plans(make)
    one, other = Interest([]), Interest([Wanted(compile_pattern("Failed"))])
    for _ in range(3):
        plans.of(one)
        plans.of(other)
    assert made == [0, 1]
