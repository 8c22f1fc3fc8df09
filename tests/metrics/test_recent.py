"""The last matches of a rule, for the status page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec

from exporter.ledger.sqlite import SqliteLedger
from exporter.metrics.recent import LAST, Match, RecentMatches, with_stored
from exporter.model import EXCLUDED_METRIC, Partition
from exporter.runtime.status import match_statuses
from tests.support.counting import (
    METRIC,
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    increment,
    key,
    load,
    load_one,
    total,
    use,
)


def ids(matches: list[Match]) -> list[str | None]:
    return [match.event_id for match in matches]


def test_the_last_five_are_kept_with_time_and_place() -> None:
    recent = RecentMatches()
    for number in range(7):
        recent.add([increment("a", event_id=str(number), event_time=number)])
    assert ids(recent.of(RULE)) == ["6", "5", "4", "3", "2"]
    assert recent.of(RULE)[0] == Match(6, "6", "111122223333", "us-east-1", SOURCE)
    assert recent.of("other") == []


def test_of_one_commit_the_latest_are_kept_in_whatever_order_they_come() -> None:
    recent = RecentMatches()
    times = [3, 9, 1, 8, 7, 2, 6, 5]
    recent.add([increment("a", event_id=str(time), event_time=time) for time in times])
    assert ids(recent.of(RULE)) == ["9", "8", "7", "6", "5"]


def test_an_event_from_the_future_does_not_keep_later_ones_out() -> None:
    recent = RecentMatches()
    recent.add([increment("a", event_id=f"false {n}", event_time=10**15) for n in range(9)])
    for number in range(LAST):
        recent.add([increment("a", event_id=str(number), event_time=number)])
    assert ids(recent.of(RULE)) == ["4", "3", "2", "1", "0"]


def test_an_event_that_the_rule_excludes_is_no_match() -> None:
    recent = RecentMatches()
    recent.add([increment("a", event_id="1", metric=EXCLUDED_METRIC)])
    assert recent.of(RULE) == []


def test_the_log_group_is_part_of_the_place_and_an_id_is_bounded() -> None:
    event = increment(event_id="x" * 10_000, event_time=5)
    (one,) = event.increments
    labels = (*one.series.labels, ("log_group", "/aws/lambda/pay"))
    series = msgspec.structs.replace(one.series, labels=labels)
    event = msgspec.structs.replace(
        event, increments=(msgspec.structs.replace(one, series=series),)
    )
    recent = RecentMatches()
    recent.add([event])
    (match,) = recent.of(RULE)
    assert match.log_group == "/aws/lambda/pay"
    assert match.event_id == "x" * 128


def test_rules_that_are_gone_take_no_memory() -> None:
    recent = RecentMatches()
    recent.add([increment("a", event_id="1"), increment("a", event_id="2", rule="gone")])
    recent.keep({RULE})
    assert recent.of("gone") == []
    assert ids(recent.of(RULE)) == ["1"]


def test_what_the_ledger_knows_completes_them_and_none_comes_twice() -> None:
    recent = [Match(5, "new")]
    stored = [total("a", event_id="new", event_time=5)]
    stored += [total(str(n), event_id=f"old {n}", event_time=n) for n in range(9)]
    assert ids(with_stored(recent, stored)) == ["new", "old 0", "old 1", "old 2", "old 3"]


def test_the_last_match_of_each_series_is_known_after_a_restart(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    load_one(ledger)
    elsewhere = replace(PARTITION, region="eu-west-1")
    for number in range(7):
        user = f"user {number}"
        commit(ledger, batch(increment(user, event_id=f"{user} a", event_time=number)))
        partition: Partition = elsewhere if number % 2 else PARTITION
        late = increment(user, event_id=f"{user} b", event_time=10 + number)
        commit(ledger, batch(late, partition=partition))
    ledger.close()

    ledger = SqliteLedger.open(tmp_path)
    after = match_statuses(RULE, RecentMatches(), ledger)
    assert [one.event_id for one in after] == [f"user {number} b" for number in (6, 5, 4, 3, 2)]
    assert after[0].account_id == "111122223333"
    ledger.close()
    assert match_statuses(RULE, RecentMatches(), ledger) == []


def test_a_series_that_two_rules_feed_tells_of_neither_after_a_restart(tmp_path: Path) -> None:
    ledger = SqliteLedger.open(tmp_path)
    load(ledger, {SOURCE: {RULE: use(), "other": use()}})
    shared = increment("a", event_id="shared", event_time=9)
    commit(ledger, batch(shared))
    commit(ledger, batch(increment("a", event_id="other's", event_time=10, rule="other")))
    commit(ledger, batch(increment("b", event_id="own", event_time=8)))
    (found,) = ledger.latest_matches(RULE, LAST)
    assert (found.key, found.event_id) == (key("b", metric=METRIC), "own")
    assert ledger.latest_matches("other", LAST) == []
    ledger.close()
