"""Since when a rule counts, and for how long matches are remembered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.events import Partition
from exporter.ledger.sqlite import ABANDONED_AFTER, STALLED_AFTER, SqliteLedger
from exporter.rules.increments import Increment
from tests.support.counting import PARTITION, RULE, SOURCE, batch, increment, series_rule

DAY = 24 * 3600 * 1000
OTHER = Partition(SOURCE, "444455556666", "eu-west-1")


def test_a_known_rule_keeps_the_start_it_was_first_loaded_with(ledger: SqliteLedger) -> None:
    rules = [series_rule("a"), series_rule("b")]
    assert ledger.load_rules({"s": {"a": 5}}, rules=rules) == {"s": {"a": 5}}
    assert ledger.load_rules({"s": {"a": 9, "b": None}}, rules=rules) == {"s": {"a": 5, "b": None}}
    assert ledger.load_rules({"s": {"a": 9, "b": 9}}, rules=rules) == {"s": {"a": 5, "b": None}}


def test_starts_are_kept_for_each_source_and_over_a_restart(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    ledger.load_rules({"s": {"a": 5}, "t": {"a": 6}}, rules=[series_rule("a")])
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    later = reopened.load_rules({"s": {"a": 9}, "t": {"a": 9}}, rules=[series_rule("a")])
    assert later == {"s": {"a": 5}, "t": {"a": 6}}
    reopened.close()


def test_a_rule_that_comes_back_is_new_and_its_totals_go_on(ledger: SqliteLedger) -> None:
    ledger.load_rules({SOURCE: {RULE: 5}}, rules=[series_rule()])
    ledger.commit(batch(increment("a", event_id="1")))
    ledger.load_rules({SOURCE: {}}, rules=[])
    assert [total.matches for total in ledger.rule_totals()] == [1]
    assert ledger.load_rules({SOURCE: {RULE: 9}}, rules=[series_rule()]) == {SOURCE: {RULE: 9}}
    ledger.commit(batch(increment("a", event_id="1"), increment("a", event_id="2")))
    assert [total.matches for total in ledger.rule_totals()] == [2]
    assert [series.total for series in ledger.series()] == [2.0]


class Clock:
    now = 100 * DAY

    def __call__(self) -> float:
        return self.now / 1000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, clock: Clock) -> Iterator[SqliteLedger]:
    opened = SqliteLedger.open(tmp_path, clock=clock)
    opened.load_rules({SOURCE: {RULE: None}}, rules=[series_rule()])
    yield opened
    opened.close()


def at(time: int) -> Increment:
    return increment("a", event_id=str(time), time=time)


def test_a_match_is_forgotten_when_every_partition_has_passed_it(
    timed: SqliteLedger, clock: Clock
) -> None:
    now = clock.now
    timed.commit(batch(at(now - 500), at(now - 301), at(now - 300), remember_from=now - 100))
    timed.commit(batch(partition=OTHER, remember_from=now - 200))
    assert timed.forget(SOURCE, [PARTITION, OTHER], now=now, memory=100) == 2
    assert timed.forget(SOURCE, [PARTITION, OTHER], now=now, memory=100) == 0
    assert timed.commit(batch(at(now - 300))).counted == []
    assert timed.commit(batch(at(now - 301))).counted != []


def test_only_the_named_source_forgets(timed: SqliteLedger, clock: Clock) -> None:
    timed.commit(batch(at(1), remember_from=clock.now))
    assert timed.forget("apps", [Partition("apps", "1")], now=clock.now, memory=0) == 0
    assert timed.commit(batch(at(1))).counted == []


def test_files_remember_by_the_time_of_reading(timed: SqliteLedger, clock: Clock) -> None:
    timed.commit(batch(at(clock.now - 50), at(clock.now - 101), remember_from=None))
    assert timed.forget(SOURCE, [PARTITION], now=clock.now, memory=100) == 1


def test_a_stalled_partition_holds_nothing_back_longer_than_7_days(
    timed: SqliteLedger, clock: Clock
) -> None:
    timed.commit(batch(partition=OTHER, remember_from=clock.now - DAY))
    clock.now += STALLED_AFTER - 1
    timed.commit(batch(at(clock.now - DAY), remember_from=clock.now))
    assert timed.forget(SOURCE, [PARTITION, OTHER], now=clock.now, memory=0) == 0
    clock.now += 1
    assert timed.forget(SOURCE, [PARTITION, OTHER], now=clock.now, memory=0) == 1


def test_a_partition_remembers_its_own_matches_however_long_it_stands_still(
    timed: SqliteLedger, clock: Clock
) -> None:
    seen = clock.now - 50
    timed.commit(batch(at(seen), remember_from=seen - 50))
    clock.now += 8 * DAY
    timed.commit(batch(partition=OTHER, remember_from=clock.now))
    assert timed.forget(SOURCE, [PARTITION, OTHER], now=clock.now, memory=100) == 0
    assert timed.commit(batch(at(seen), remember_from=seen - 50)).counted == []


def test_after_90_days_a_partition_begins_anew(timed: SqliteLedger, clock: Clock) -> None:
    timed.commit(batch(at(clock.now), remember_from=clock.now))
    clock.now += ABANDONED_AFTER
    assert timed.forget(SOURCE, [PARTITION], now=clock.now, memory=0) == 0
    clock.now += 1
    assert timed.forget(SOURCE, [PARTITION], now=clock.now, memory=0) == 1
    assert timed.checkpoint(PARTITION) is None


@pytest.mark.parametrize("partitions", [[], [PARTITION, OTHER]])
def test_what_was_never_read_holds_7_days_back(
    timed: SqliteLedger, clock: Clock, partitions: list[Partition]
) -> None:
    week = clock.now - STALLED_AFTER
    timed.commit(batch(at(week - 101), at(week - 100), remember_from=clock.now))
    assert timed.forget(SOURCE, partitions, now=clock.now, memory=100) == 1


def test_a_large_memory_is_forgotten_in_parts(timed: SqliteLedger, clock: Clock) -> None:
    many = [increment("a", event_id=str(number), time=number) for number in range(20_001)]
    timed.commit(batch(*many, remember_from=clock.now))
    assert timed.forget(SOURCE, [PARTITION], now=clock.now, memory=0) == 20_001


def test_since_when_a_part_of_a_source_is_configured_is_kept_until_it_no_longer_is(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    assert ledger.load_scopes({"s": ["us-east-1"]}, now=5) == {"s": {"us-east-1": 5}}
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    later = reopened.load_scopes({"s": ["us-east-1", "eu-west-1"], "t": ["us-east-1"]}, now=9)
    assert later == {"s": {"us-east-1": 5, "eu-west-1": 9}, "t": {"us-east-1": 9}}
    reopened.load_scopes({"s": ["eu-west-1"]}, now=10)
    assert reopened.load_scopes({"s": ["us-east-1"]}, now=11) == {"s": {"us-east-1": 11}}
    reopened.close()
