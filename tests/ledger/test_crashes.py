"""Whatever happens, totals are the sum of the distinct matches, and agree with the checkpoint."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from exporter.ledger.base import LedgerError
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.storage import LEDGER_FILE
from exporter.model import JudgedEvent, Partition
from tests.support.counting import (
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    increment,
    load,
    load_one,
    use,
)
from tests.support.examples import examples

LIMIT = 3
RULES = {RULE: use(max_series=LIMIT), "other": use(max_series=LIMIT)}

matches = st.lists(
    st.builds(
        increment,
        st.sampled_from("abcdef"),
        event_id=st.integers(0, 30).map(str),
        # Halves add up exactly, in any order.
        value=st.one_of(st.none(), st.integers(0, 8).map(lambda halves: halves / 2)),
        rule=st.sampled_from(sorted(RULES)),
    ),
    max_size=12,
)


class Ledgers(RuleBasedStateMachine):
    """A ledger that crashes, against a few dictionaries that do not."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.counted: dict[tuple[str, str], float | None] = {}
        self.per_rule: dict[str, set[str]] = {name: set() for name in RULES}
        self.series: dict[str, float] = {}
        self.checkpoint: str | None = None
        self.commits = 0
        self.open()

    def open(self) -> None:
        self.ledger = SqliteLedger.open(self.directory)
        load(self.ledger, {SOURCE: RULES})

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.directory)

    @rule(increments=matches)
    def count_batch(self, increments: Sequence[JudgedEvent]) -> None:
        before = dict(self.series)
        self.commits += 1
        self.checkpoint = str(self.commits)
        committed = commit(self.ledger, batch(*increments, checkpoint=self.checkpoint))
        for one in increments:
            self.count(one)
        for series in committed.series:
            user = dict(series.key.labels)["user"]
            assert series.total == self.series[user] >= before.get(user, 0.0)

    def count(self, event: JudgedEvent) -> None:
        (one,) = event.increments
        assert event.event_id is not None
        if (one.rule, event.event_id) in self.counted:
            return
        self.counted[one.rule, event.event_id] = one.value
        if one.value is None:
            return
        user, users = dict(one.series.labels)["user"], self.per_rule[one.rule]
        if user not in users and len(users) == LIMIT:
            user = "__overflow__"
        else:
            users.add(user)
        self.series[user] = self.series.get(user, 0.0) + one.value

    @rule(increments=matches)
    def fail(self, increments: Sequence[JudgedEvent]) -> None:
        unknown = increment("a", event_id="unknown", rule="never_loaded")
        with pytest.raises(LedgerError):
            commit(self.ledger, batch(*increments, unknown, checkpoint="lost"))

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.open()

    @rule()
    def lose_power(self) -> None:
        """Go on with a copy of the files as they are, the log not yet written back."""
        copy = Path(tempfile.mkdtemp())
        for suffix in ("", "-wal"):
            shutil.copy(self.directory / f"{LEDGER_FILE}{suffix}", copy)
        self.ledger.close()
        shutil.rmtree(self.directory)
        self.directory = copy
        self.open()

    @invariant()
    def totals_are_the_sum_of_the_distinct_matches(self) -> None:
        stored = {dict(s.key.labels)["user"]: s.total for s in self.ledger.series()}
        assert stored == self.series
        assert sum(stored.values()) == sum(value or 0.0 for value in self.counted.values())
        assert self.ledger.checkpoint(PARTITION) == self.checkpoint
        for total in self.ledger.rule_totals():
            values = [value for (name, _), value in self.counted.items() if name == total.rule]
            assert (total.matches, total.value_errors) == (len(values), values.count(None))
            assert total.series == len(self.per_rule[total.rule])


TestLedgers = Ledgers.TestCase
TestLedgers.settings = settings(max_examples=examples(20), stateful_step_count=15, deadline=None)

# Commit n counts events 3n-3 … 3n-1 (one of them again from the commit before) and says so.
COMMITS_FOREVER = """
import sys, pathlib
from exporter.ledger.sqlite import SqliteLedger
from exporter.logs import configure_logging
from tests.support.counting import *
configure_logging("info", "logfmt")
ledger = SqliteLedger.open(pathlib.Path(sys.argv[1]))
load_one(ledger)
number = int(ledger.checkpoint(PARTITION) or "0")
while True:
    number += 1
    events = range(max(0, 3 * number - 4), 3 * number)
    commit(ledger, batch(*(increment(str(event % 7), event_id=str(event)) for event in events),
                        checkpoint=str(number)))
    print(number, flush=True)
"""


def test_after_sigkill_checkpoint_and_totals_agree_exactly(tmp_path: Path) -> None:
    chance = random.Random(7)
    last = 0
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", COMMITS_FOREVER, tmp_path],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 60)):
                told = int(process.stdout.readline())
            process.kill()
            told = max([told, *(int(line) for line in process.stdout if line.endswith("\n"))])
        ledger = SqliteLedger.open(tmp_path)
        number = int(ledger.checkpoint(PARTITION) or "0")
        users = {dict(s.key.labels)["user"]: s.total for s in ledger.series()}
        (total,) = ledger.rule_totals()
        ledger.close()
        assert number >= told > last
        expected = [event % 7 for event in range(3 * number)]
        assert users == {str(user): expected.count(user) for user in set(expected)}
        assert total.matches == 3 * number
        last = number


def test_matches_of_other_partitions_are_the_same_matches(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    load_one(ledger)
    for region in ("us-east-1", "eu-west-1"):
        commit(
            ledger, batch(increment("a", event_id="1"), partition=Partition(SOURCE, "1", region))
        )
    assert [series.total for series in ledger.series()] == [1.0]
    ledger.close()
