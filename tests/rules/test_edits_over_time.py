"""Random edits while events arrive late: source, rule set and ledger count each event once.

The real parts on a simulated clock; only AWS is simulated.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.configuration import RuleConfig, load
from exporter.ledger.base import Batch, RuleUse
from exporter.ledger.sqlite import SqliteLedger
from exporter.rules import RuleSet, definition
from exporter.sources.timeline import TimelineSource
from tests.sources.test_timeline import (
    FIRST,
    INTERVAL,
    LOOKBACK,
    PARTITION,
    Clock,
    SimulatedApi,
    delays,
    made,
    source,
)
from tests.support.counting import expire
from tests.support.examples import examples

SOURCE, RULE, METRIC = PARTITION.source, "edited", "edited_total"
MESSAGES = ("m0", "m1", "m2")
EDITS = [
    (pattern, team, value)
    for pattern in ("m0", "m1", "?m0 ?m2")
    for team in ("a", "b")
    for value in (1, 3)
]
OUT = None
"""In place of an edit: the rule is not configured."""
steps = st.lists(
    st.tuples(
        st.sampled_from([*EDITS, *EDITS[:2], OUT, OUT]),
        st.integers(1, 1200),
        st.sampled_from(["reload", "reload", "restart"]),
    ),
    min_size=1,
    max_size=8,
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> list[RuleConfig]:
    """A rule as each of the edits has it."""
    path: Path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    declared = {"name": SOURCE, "type": "log_groups", "log_groups": ["*"], "format": "lines"}
    found: list[RuleConfig] = []
    for pattern, team, value in EDITS:
        rule = {
            "name": RULE,
            "pattern": pattern,
            "metric": METRIC,
            "labels": {"team": team},
            "value": value,
        }
        path.write_text(yaml.safe_dump({"sources": [declared], "rules": [rule]}))
        found += load([path]).rules
    return found


@dataclass
class Exporter:
    """Reads the simulated AWS by one configuration after the other."""

    folder: Path
    clock: Clock
    source: Callable[[], TimelineSource]
    configured: list[tuple[int, int | None]] = field(default_factory=list)
    """When each configuration was loaded, milliseconds, and which edit of the rule it has."""

    def __post_init__(self) -> None:
        self._ledger = self._open()

    def _open(self) -> SqliteLedger:
        return SqliteLedger.open(self.folder, clock=self.clock, steady=self.clock, temporary=True)

    def restart(self) -> None:
        self._ledger.close()
        self._ledger = self._open()

    def load(self, edit: int | None, rules: list[RuleConfig]) -> None:
        now = round(self.clock.now * 1000)
        self.configured.append((now, edit))
        configured = [] if edit is None else [rules[edit]]
        loaded = self._ledger.load_rules(
            {
                SOURCE: {
                    one.name: RuleUse(now, False, definition(one), one.max_series)
                    for one in configured
                }
            },
            now=now,
            keep={SOURCE: LOOKBACK * 1000},
            generation=str(len(self.configured)),
        )
        self._rules = RuleSet(loaded.versions, configured)
        self._reader = self.source()

    def poll(self) -> None:
        expected = self._ledger.checkpoint(PARTITION)
        own_starts = self._rules.own_starts(SOURCE)
        for reading in self._reader.poll(PARTITION, expected, own_starts=own_starts):
            events = [
                replace(event, message=MESSAGES[int(event.id or 0) % len(MESSAGES)])
                for event in reading.events
            ]
            evaluation = self._rules.evaluate(
                events,
                PARTITION,
                "lines",
                watermark=reading.watermark,
                backfill=reading.backfill,
            )
            batch = Batch(
                PARTITION,
                feed=SOURCE,
                checkpoint=reading.checkpoint,
                expected=expected,
                events=evaluation.events,
                format="lines",
                remember_from=reading.remember_from,
            )
            self._ledger.commit(batch)
            expected = reading.checkpoint
        self.clock.now += INTERVAL

    def forget(self) -> None:
        now = round(self.clock.now * 1000)
        expire(self._ledger, SOURCE, [PARTITION], looked_at=now, memory=self._reader.memory)

    def totals(self) -> Counter[str]:
        with closing(self._ledger):
            return +Counter(
                {dict(one.key.labels)["team"]: round(one.total) for one in self._ledger.series()}
            )


@settings(
    max_examples=examples(5),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    steps,
    st.lists(st.tuples(st.integers(0, 3600), delays), min_size=1, max_size=40),
    st.integers(0, 2**32),
)
def test_each_event_counts_once_as_the_rule_was_when_it_happened(
    tmp_path_factory: pytest.TempPathFactory,
    rules: list[RuleConfig],
    edits: list[tuple[tuple[str, str, int] | None, int, str]],
    arrivals: list[tuple[int, int]],
    seed: int,
) -> None:
    clock = Clock()
    api = SimulatedApi(clock, made(arrivals), random.Random(seed))
    exporter = Exporter(tmp_path_factory.mktemp("ledger"), clock, lambda: source(api))
    for edit, lasts, how in edits:
        if how == "restart":
            exporter.restart()
        exporter.load(None if edit is None else EDITS.index(edit), rules)
        until = clock.now + lasts
        while clock.now < until:
            exporter.poll()
        exporter.forget()
    while clock.now < FIRST + 3600 + 3 * LOOKBACK:
        exporter.poll()
        exporter.forget()

    expected: Counter[str] = Counter()
    for time, _, id in api.events:
        in_force = [edit for loaded, edit in exporter.configured if loaded <= time]
        if in_force and in_force[-1] is not None:
            pattern, team, value = EDITS[in_force[-1]]
            expected[team] += value * (MESSAGES[int(id) % len(MESSAGES)] in pattern)
    assert exporter.totals() == +expected
