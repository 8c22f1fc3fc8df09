"""Sources that come to a feed, leave it, or are renamed: events count once, and totals are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.exactness import SHARED_MEMORY
from exporter.ledger.base import Batch, LedgerError, LoadedRules, Member
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import JudgedEvent, Partition
from tests.support.counting import METRIC, RULE, increment, use

NOW = 1_700_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
HISTORY = Partition("history", "111122223333", "us-east-1")
BUS = Partition("bus", "111122223333", "us-east-1", "queue")


@dataclass
class Time:
    """Wall clock and reading time, which passes together with it here."""

    now: float = NOW / 1000

    def __call__(self) -> float:
        return self.now

    def pass_by(self, milliseconds: int) -> None:
        self.now += milliseconds / 1000

    @property
    def milliseconds(self) -> int:
        return round(self.now * 1000)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def reopen(tmp_path: Path, time: Time) -> Callable[[], SqliteLedger]:
    return lambda: SqliteLedger.open(tmp_path, clock=time, steady=time, temporary=True)


@pytest.fixture
def ledger(reopen: Callable[[], SqliteLedger]) -> Iterator[SqliteLedger]:
    with closing(reopen()) as opened:
        yield opened


def load(ledger: SqliteLedger, time: Time, **feeds: str) -> LoadedRules:
    """Load a rule that listens to these sources."""
    return ledger.load_rules(
        {source: {RULE: use(start=0)} for source in feeds},
        now=time.milliseconds,
        keep=dict.fromkeys(feeds, HOUR),
        generation=repr(feeds),
        feeds=feeds,
    )


def count(
    ledger: SqliteLedger,
    partition: Partition,
    *events: JudgedEvent,
    feed: str,
    shared: bool = False,
    remember_from: int | None = None,
) -> int:
    """Commit events; return how many of them counted."""
    committed = ledger.commit(
        Batch(
            partition,
            feed,
            "c",
            ledger.checkpoint(partition),
            events,
            remember_from=remember_from,
            is_shared=shared,
        )
    )
    return len(committed.new)


def event(id: str, at: int = NOW) -> JudgedEvent:
    return increment(id, event_id=id, time=at)


def expire(ledger: SqliteLedger, time: Time, feed: str, *partitions: Partition) -> int:
    """Clean up until positions have lasted for long enough."""
    members = [Member(one.source, [one], time.milliseconds, HOUR) for one in partitions]
    deleted = ledger.expire(feed, members)
    time.pass_by(HOUR)
    return deleted + ledger.expire(feed, members)


def test_an_event_that_another_source_of_the_feed_brought_counts_no_more(
    ledger: SqliteLedger, time: Time
) -> None:
    load(ledger, time, history="org", bus="org")
    assert count(ledger, BUS, event("a"), feed="org", shared=True) == 1
    both = event("a"), event("b")
    assert count(ledger, HISTORY, *both, feed="org", shared=True, remember_from=NOW) == 1
    assert count(ledger, BUS, *both, feed="org", shared=True) == 0


def test_a_feed_remembers_for_14_days_and_while_a_denied_partition_is_behind(
    ledger: SqliteLedger, time: Time
) -> None:
    load(ledger, time, history="org", bus="org")
    count(ledger, HISTORY, feed="org", shared=True, remember_from=NOW)
    count(ledger, BUS, event("a"), feed="org", shared=True)
    time.pass_by(SHARED_MEMORY + DAY)
    assert expire(ledger, time, "org", HISTORY, BUS) == 0, "history may still bring it"
    count(ledger, HISTORY, feed="org", shared=True, remember_from=time.milliseconds)
    count(ledger, BUS, event("b", time.milliseconds), feed="org", shared=True)
    assert expire(ledger, time, "org", HISTORY, BUS) == 0
    time.pass_by(HOUR)
    assert expire(ledger, time, "org", HISTORY, BUS) == 1
    late = event("b", time.milliseconds)
    assert count(ledger, BUS, late, feed="org", shared=True) == 1, "an event of another time"


def test_a_new_source_counts_events_that_the_memory_of_the_feed_covers(
    ledger: SqliteLedger, time: Time
) -> None:
    assert load(ledger, time, history="history").joined == {}
    count(ledger, HISTORY, event("a"), feed="history", remember_from=NOW)
    time.pass_by(DAY)
    now = time.milliseconds
    count(ledger, HISTORY, feed="history", remember_from=now)
    assert expire(ledger, time, "history", HISTORY) == 1
    joined = load(ledger, time, history="history", bus="history").joined
    assert now - 3 * HOUR < joined["bus"] < now
    assert set(joined) == {"bus"}
    time.pass_by(DAY)
    assert load(ledger, time, history="history", bus="history").joined == joined


def test_a_source_that_moves_counts_nothing_from_before_in_the_new_feed(
    ledger: SqliteLedger, time: Time
) -> None:
    load(ledger, time, history="history")
    count(ledger, HISTORY, event("a"), feed="history", remember_from=NOW)
    time.pass_by(HOUR)
    assert load(ledger, time, history="org").joined == {"history": time.milliseconds}
    time.pass_by(HOUR)
    assert load(ledger, time, history="history").joined == {"history": time.milliseconds}


def test_a_queue_that_comes_back_counts_what_the_feed_still_remembers(
    ledger: SqliteLedger, time: Time
) -> None:
    assert load(ledger, time, history="org", bus="org").joined == {}
    count(ledger, BUS, event("a"), feed="org", shared=True)
    load(ledger, time, history="org")
    time.pass_by(DAY)
    count(ledger, HISTORY, feed="org", remember_from=time.milliseconds)
    assert expire(ledger, time, "org", HISTORY) == 1
    joined = load(ledger, time, history="org", bus="org").joined
    assert NOW < joined["bus"] < time.milliseconds


def test_a_source_that_comes_back_to_a_queue_counts_what_is_still_remembered(
    ledger: SqliteLedger, time: Time
) -> None:
    load(ledger, time, history="org", bus="org")
    count(ledger, HISTORY, feed="org", shared=True, remember_from=NOW)
    load(ledger, time, bus="org")
    count(ledger, BUS, event("a"), feed="org")
    time.pass_by(SHARED_MEMORY + DAY)
    assert expire(ledger, time, "org", BUS) == 1
    joined = load(ledger, time, history="org", bus="org").joined
    assert joined == {"history": time.milliseconds - SHARED_MEMORY}


def test_a_source_that_comes_back_is_not_asked_for_what_others_brought_and_forgot(
    ledger: SqliteLedger, time: Time
) -> None:
    trail = Partition("trail", "111122223333", "us-east-1")
    load(ledger, time, history="org", trail="org")
    count(ledger, trail, feed="org", shared=True, remember_from=NOW)
    count(ledger, HISTORY, event("a"), feed="org", shared=True, remember_from=NOW)
    load(ledger, time, history="org")
    time.pass_by(DAY)
    count(ledger, HISTORY, feed="org", remember_from=time.milliseconds)
    assert expire(ledger, time, "org", HISTORY) == 1
    assert load(ledger, time, history="org", trail="org").joined == {}
    late = event("a"), event("b", time.milliseconds)
    now = time.milliseconds
    assert count(ledger, trail, *late, feed="org", shared=True, remember_from=now) == 1


def test_a_renamed_feed_keeps_totals_and_memory(
    ledger: SqliteLedger, reopen: Callable[[], SqliteLedger], time: Time
) -> None:
    load(ledger, time, history="history")
    count(ledger, HISTORY, event("a"), feed="history", remember_from=NOW)
    assert ledger.rename("feed", "history", "org") == 1
    assert ledger.rename("feed", "org", "all") == 1
    ledger.close()
    with closing(reopen()) as renamed:
        assert load(renamed, time, history="all", bus="all").joined.keys() <= {"bus"}
        (series,) = renamed.series()
        assert (series.key.metric, series.total) == (METRIC, 1)
        assert dict(series.key.labels)["source"] == "all"
        assert renamed.checkpoint(HISTORY) == "c"
        assert count(renamed, BUS, event("a"), feed="all", shared=True) == 0
        assert count(renamed, BUS, event("b"), feed="all", shared=True) == 1


def test_a_renamed_source_keeps_its_position_its_rules_and_its_feed(
    ledger: SqliteLedger, reopen: Callable[[], SqliteLedger], time: Time
) -> None:
    versions = load(ledger, time, history="history").versions["history"]
    count(ledger, HISTORY, event("a"), feed="history", remember_from=NOW)
    totals = ledger.rule_totals()
    assert ledger.rename("source", "history", "trail") == 1
    ledger.close()
    with closing(reopen()) as renamed:
        time.pass_by(HOUR)
        loaded = load(renamed, time, trail="trail")
        assert (loaded.versions, loaded.joined) == ({"trail": versions}, {})
        assert renamed.checkpoint(Partition("trail", "111122223333", "us-east-1")) == "c"
        assert [(one.source, one.matches) for one in renamed.rule_totals()] == [
            ("trail", one.matches) for one in totals
        ]
        moved = Partition("trail", "111122223333", "us-east-1")
        assert count(renamed, moved, event("a"), feed="trail", remember_from=NOW) == 0


def test_since_when_a_partition_is_counted_is_kept_until_its_source_was_removed(
    ledger: SqliteLedger, reopen: Callable[[], SqliteLedger], time: Time
) -> None:
    load(ledger, time, history="history")
    assert ledger.counted_since("history", {HISTORY: NOW + 5}) == {HISTORY: NOW + 5}
    assert ledger.counted_since("history", {HISTORY: NOW + 9}) == {HISTORY: NOW + 5}
    ledger.rename("source", "history", "past")
    ledger.close()
    with closing(reopen()) as renamed:
        load(renamed, time, past="past")
        moved = Partition("past", HISTORY.account_id, HISTORY.region)
        assert renamed.counted_since("past", {moved: NOW + 9}) == {moved: NOW + 5}
        load(renamed, time, bus="bus")
        time.pass_by(HOUR)
        load(renamed, time, past="past", bus="bus")
        assert renamed.counted_since("past", {moved: NOW + 5}) == {moved: time.milliseconds}


def test_names_that_are_in_use_or_unknown_are_refused_and_nothing_changes(
    ledger: SqliteLedger, time: Time
) -> None:
    load(ledger, time, history="history", bus="org")
    count(ledger, HISTORY, event("a"), feed="history", remember_from=NOW)
    count(ledger, BUS, event("a"), feed="org")
    for noun, old, new, why in (
        ("source", "other", "x", "no source other"),
        ("source", "history", "bus", "a source bus already"),
        ("feed", "other", "x", "no feed other"),
        ("feed", "history", "org", "of a feed org already"),
    ):
        with pytest.raises(LedgerError, match=why):
            ledger.rename(noun, old, new)  # type: ignore[arg-type]
    assert load(ledger, time, history="history", bus="org").joined == {}
