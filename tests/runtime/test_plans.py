"""Whatever is asked of AWS, and however that changes: counts are as if everything was read.

Sources, planner, rule set, pipeline and ledger are the real ones, on a simulated clock.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.aws.accounts import AwsAccounts
from exporter.clock import Clock
from exporter.configuration import Configuration, load
from exporter.ledger.base import Member
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import Partition
from exporter.planning.plan import READ_EVERYTHING, Plan
from exporter.planning.planner import Planner
from exporter.rules import RuleSet
from exporter.runtime.assembly import kept_versions, rule_uses
from exporter.runtime.pipeline import Pipeline
from exporter.sources.base import Environment
from exporter.sources.event_history import EventHistory
from exporter.sources.log_groups import LOG_GROUP, LogGroups
from exporter.sources.pace import Pace
from tests.support.selecting import ACCOUNT, REGION, Happening, SelectingAws, record

BEGIN, LASTS, INTERVAL, LOOKBACK = 1_700_000_000, 3600, 60, 900
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
        "{ $.errorMessage = Failed }",
        "{ $.readOnly IS FALSE }",
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
        if self.planned:
            make_fickle(self.source, self.chance)
        else:
            self.source.plans = lambda _: (READ_EVERYTHING,)  # type: ignore[method-assign]

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
        """Poll; ``reload`` comes between the reading and its commit."""
        left = None if reload is None else self.chance.randrange(4)
        for evaluated in self.pipeline.evaluated(
            self.source,
            self.partition,
            self.ledger.checkpoint(self.partition),
            turn=math.inf,
            wanted=lambda: True,
        ):
            if left == 0 and reload is not None:
                self.reload(reload)
            left = None if left is None else left - 1
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
    max_size=12,
)


@pytest.mark.parametrize("name", ["history", "apps"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
        for action, rules, gap in actions:
            if action == "restart":
                exporter.restart()
            elif action == "reload":
                exporter.reload(rules)
            exporter.poll(rules if action == "in a poll" else None)
            exporter.now += gap
            exporter.forget()
        while exporter.now < BEGIN + LASTS + 3 * LOOKBACK:
            exporter.poll()
            exporter.now += INTERVAL
        totals.append(exporter.totals())
    assert totals[0] == totals[1]
