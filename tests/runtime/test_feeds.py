"""Sources of one feed: each event counts once for a rule, whichever source brings it, and when.

Rule set, pipeline, schedule and ledger are the real ones, on a simulated clock. The sources bring
the same CloudTrail records: two by event time, late or never, and a queue that repeats them.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import exporter.clock
from exporter.configuration import Configuration, load
from exporter.ledger.base import Member
from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.series import SeriesStore
from exporter.metrics.telemetry import Telemetry
from exporter.model import LogEvent, Partition, PartitionKind
from exporter.planning.interest import Interest
from exporter.planning.plan import EVERYTHING, Request
from exporter.rules import RuleSet
from exporter.runtime.assembly import kept_versions, rule_uses
from exporter.runtime.pipeline import Pipeline
from exporter.sources.base import Reading
from exporter.sources.pace import EventPage
from tests.sources.test_timeline import FIRST, Clock, SimulatedApi, SimulatedConfig, SimulatedSource

ACCOUNT, REGION = "123456789012", "eu-west-1"
INTERVAL = 300
LOOKBACKS = {"history": 1800, "trail": 3600}
HOUR, DAY = 3600, 86_400
BEGIN = round(FIRST)
LASTS = 2 * HOUR
NAMES = ("Login", "Logout")
RULES: dict[str, tuple[str, tuple[str, ...]]] = {
    "everywhere": ("Login", ("history", "trail", "bus")),
    "only_bus": ("Login", ("bus",)),
    "only_history": ("Login", ("history",)),
    "by_time": ("*", ("history", "trail")),
    "edited": ("Login", ("history", "bus")),
    "late": ("*", ("trail", "bus")),
}


@dataclass(frozen=True)
class Event:
    """A record, and how late each source brings it: seconds, or None for never."""

    id: str
    time: int
    name: str
    delays: Mapping[str, int | None]
    repeated: bool

    @property
    def message(self) -> str:
        return json.dumps(
            {
                "eventVersion": "1.09",
                "eventID": self.id,
                "eventTime": datetime.fromtimestamp(self.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventName": self.name,
                "eventSource": "signin.amazonaws.com",
                "awsRegion": REGION,
                "recipientAccountId": ACCOUNT,
            }
        )


def configuration(
    folder: Path, sources: tuple[str, ...], *, edits: int, late: bool
) -> Configuration:
    """The sources as members of the feed ``org``, and the rules that listen to them."""
    types: dict[str, dict[str, Any]] = {
        "history": {"type": "event_history", "lookback": "30m"},
        "trail": {"type": "log_groups", "log_groups": ["trail"], "format": "cloudtrail"},
        "bus": {
            "type": "event_bus",
            "queue_url": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/q",
        },
    }
    rules = []
    for rule, (asked, listening) in RULES.items():
        named = [one for one in listening if one in sources]
        if not named or (rule == "late" and not late):
            continue
        name = NAMES[edits % 2] if rule == "edited" else asked
        rules.append(
            {
                "name": rule,
                "pattern": f"{{ $.eventName = {name} }}",
                "metric": f"{rule}_total",
                "labels": {"id": "$.eventID"},
                "sources": named,
            }
        )
    path = folder / "metric-filter-exporter.yaml"
    declared = [{"name": one, "feed": "org", **types[one]} for one in sources]
    path.write_text(yaml.safe_dump({"sources": declared, "rules": rules}))
    return load([path])


class Timed(SimulatedSource):
    """A source that reads by event time."""

    def __init__(self, name: str, world: World) -> None:
        events = [
            (one.time * 1000, (one.time + delay) * 1000, one.id)
            for one in world.events.values()
            if (delay := one.delays[name]) is not None
        ]
        api = SimulatedApi(world.clock, events, random.Random(len(events)))
        lookback = float(LOOKBACKS[name])
        config = SimulatedConfig(
            name=name, interval=float(INTERVAL), lookback=lookback, format="cloudtrail"
        )
        super().__init__(
            config=config, api=api, since=world.since[name], complete=False, ahead=False
        )
        self.world = world

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        for page in super().pages(partition, start, end):
            events = [
                LogEvent(self.world.events[one.id or ""].message, one.time, one.id)
                for one in page.events
            ]
            yield EventPage(events)


class Queue:
    """A queue: its messages come once, or again if their deletion fails."""

    name, format, interval, memory = "bus", "cloudtrail", float(INTERVAL), 14 * DAY * 1000
    read: list[str]

    def __init__(self, world: World) -> None:
        self.world = world

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        interest: Interest | None = None,
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        now = self.world.clock.now
        found = [id for id, at in self.world.queued if at <= now]
        events = [
            LogEvent(self.world.events[id].message, round(now * 1000), id) for id in reversed(found)
        ]
        yield Reading(events, "{}")
        for id in found:
            self.world.delivered.append((id, self.world.is_late_loaded))
        self.world.queued = [(id, at) for id, at in self.world.queued if at > now]


@dataclass
class World:
    """AWS, and an exporter that reads it by one configuration after the other."""

    folder: Path
    events: dict[str, Event]
    configured: list[str]
    clock: Clock = field(default_factory=Clock)
    since: dict[str, int] = field(default_factory=dict)
    """When each source was first configured, milliseconds."""
    edits: list[int] = field(default_factory=list)
    """When the edited rule was loaded in each of its forms, seconds."""
    late_since: int | None = None
    is_late_loaded: bool = False
    delivered: list[tuple[str, bool]] = field(default_factory=list)
    """Messages of the queue that were committed, and whether the late rule was loaded then."""
    joined: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.queued = [
            (one.id, one.time + delay + again * HOUR)
            for one in self.events.values()
            if (delay := one.delays["bus"]) is not None
            for again in range(1 + one.repeated)
        ]
        self.open()
        self.load()

    def open(self) -> None:
        self.ledger = SqliteLedger.open(
            self.folder / "data", clock=self.clock, steady=self.clock, temporary=True
        )

    def load(self, *, edited: bool = False, late: bool = False) -> None:
        sources = tuple(self.configured)
        now = round(self.clock.now) * 1000
        self.clock.now = now / 1000
        if edited or not self.edits:
            self.edits.append(now // 1000)
        if late and self.late_since is None:
            self.late_since = now // 1000
        self.is_late_loaded = self.late_since is not None
        for source in sources:
            self.since.setdefault(source, now)
        found = configuration(
            self.folder, sources, edits=len(self.edits) - 1, late=self.is_late_loaded
        )
        read_before = [one for one in sources if self.ledger.has_progress(one)]
        loaded = self.ledger.load_rules(
            rule_uses(found, read_before, now),
            now=now,
            keep=kept_versions(found),
            generation=str(now),
            feeds={one.name: one.feed_name for one in found.sources},
        )
        self.joined |= loaded.joined
        rules = RuleSet(loaded.versions, found.rules, feeds=found.feeds, joined=loaded.joined)
        self.pipeline = Pipeline(
            self.ledger, SeriesStore(None), Telemetry(), exporter.clock.Clock(), rules
        )
        self.sources: dict[str, Any] = {
            name: Queue(self) if name == "bus" else Timed(name, self) for name in sources
        }

    def step(self, action: str, name: str, order: list[str]) -> None:
        """Let something happen."""
        if action == "restart":
            self.ledger.close()
            self.open()
            self.load()
        elif action == "join":
            self.configured = order[: len(self.configured) + 1]
            self.load()
        elif action == "edit" and self.configured == ["bus"]:
            pass  # a queue that shares no feed has no versions of rules
        elif action in ("edit", "late"):
            self.load(edited=action == "edit", late=action == "late")
        elif action == "deny":
            # The others go on for weeks.
            for _ in range(8):
                self.clock.now += 3 * DAY
                self.poll_all({*self.configured} - {name})
                self.forget()
        else:
            self.poll_all(self.configured if name == "all" else {name}, crash=action == "crash")
            self.clock.now += INTERVAL

    def finish(self) -> None:
        """Poll until everything has come."""
        for pause in [INTERVAL] * 24 + [6 * HOUR] * 8 + [INTERVAL] * 3:
            self.poll_all(self.configured)
            self.clock.now += pause
            self.forget()

    def poll_all(self, names: Collection[str], *, crash: bool = False) -> None:
        for name in self.configured:
            if name in names:
                self.poll(name, crash=crash)

    def poll(self, name: str, *, crash: bool = False) -> None:
        """Poll a source; ``crash`` after the first commit, before anything is acknowledged."""
        partition = self.partition(name)
        checkpoint = self.ledger.checkpoint(partition)
        readings = self.pipeline.evaluated(
            self.sources[name], partition, checkpoint, turn=math.inf, wanted=lambda: True
        )
        for evaluated in readings:
            self.pipeline.commit(evaluated)
            if crash:
                if name == "bus":
                    committed = {one.event_id for one in evaluated.evaluation.events}
                    self.delivered += [(id or "", self.is_late_loaded) for id in committed]
                return

    def partition(self, name: str) -> Partition:
        kind = PartitionKind("queue", by_event_time=False) if name == "bus" else PartitionKind()
        return Partition(name, ACCOUNT, REGION, "q" if name == "bus" else "", kind)

    def forget(self) -> None:
        now = round(self.clock.now * 1000)
        members = [
            Member(name, [self.partition(name)], now, source.memory)
            for name, source in self.sources.items()
        ]
        self.ledger.expire("org", members)

    def expected(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for one in self.events.values():
            for rule in RULES:
                if any(self._counts(one, rule, source) for source in RULES[rule][1]):
                    counts[f"{rule}_total", one.id] = 1
        return counts

    def _counts(self, event: Event, rule: str, source: str) -> bool:
        """Whether an event counts for a rule if no other source of the feed is there."""
        if source not in self.since or event.delays[source] is None:
            return False
        name = RULES[rule][0]
        if rule == "edited":
            before = [number for number, at in enumerate(self.edits) if at <= event.time]
            name = NAMES[max(before, default=0) % 2]
        if name not in ("*", event.name):
            return False
        if event.time * 1000 < self.joined.get(source, 0):
            return False
        if source == "bus":
            return rule != "late" or (event.id, True) in self.delivered
        start = self.since[source] // 1000
        if rule == "late":
            start = max(start, self.late_since or BEGIN + 100 * DAY)
        return event.time >= start

    def counted(self) -> Counter[tuple[str, str]]:
        return +Counter(
            {
                (one.key.metric, dict(one.key.labels)["id"]): round(one.total)
                for one in self.ledger.series()
            }
        )


def delays(longest: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, longest // 20) | st.integers(0, longest)


made_events = st.lists(
    st.tuples(
        st.integers(-HOUR, LASTS),
        st.sampled_from(NAMES),
        st.fixed_dictionaries(
            {
                "history": delays(LOOKBACKS["history"]),
                "trail": delays(LOOKBACKS["trail"]),
                "bus": delays(HOUR) | st.integers(0, DAY),
            }
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["poll", "crash"]), st.sampled_from(["history", "trail", "bus"])),
        st.tuples(st.just("poll"), st.just("all")),
        st.tuples(st.sampled_from(["restart", "edit", "late", "join"]), st.just("")),
        st.tuples(st.just("deny"), st.sampled_from(["history", "trail"])),
    ),
    max_size=25,
)


def one(**brought: int) -> list[tuple[int, str, dict[str, int | None], bool]]:
    """A single event at the begin, and how late each source brings it."""
    return [(0, "Login", {name: brought.get(name) for name in ("history", "trail", "bus")}, False)]


ALL = ("poll", "all")


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(made_events, st.permutations(["history", "trail", "bus"]), st.integers(1, 3), steps)
@example(
    one(bus=0), ["history", "trail", "bus"], 1, [ALL, ("edit", ""), ("join", ""), ("join", "")]
)
@example(one(bus=900), ["history", "bus", "trail"], 2, [ALL, ("edit", ""), ALL])
@example(
    one(trail=0, bus=0),
    ["trail", "bus", "history"],
    1,
    [ALL, ("deny", "history"), ALL, ("deny", "trail"), ("join", "")],
)
def test_each_event_counts_once_for_each_rule_whichever_source_brings_it(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[tuple[int, str, dict[str, int | None], bool]],
    order: list[str],
    first: int,
    steps: list[tuple[str, str]],
) -> None:
    events = {
        str(number): Event(str(number), BEGIN + time, name, delayed, repeated)
        for number, (time, name, delayed, repeated) in enumerate(found)
    }
    world = World(tmp_path_factory.mktemp("feed"), events, order[:first])
    for action, name in steps:
        world.step(action, name, order)
        world.forget()
    world.finish()
    with closing(world.ledger):
        assert world.counted() == world.expected()
