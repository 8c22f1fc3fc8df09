"""What a commit counts, and where."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.ledger.base import LedgerError, RuleChange, RuleTotal
from exporter.ledger.counting import Placement, RuleSpec, series_id
from exporter.ledger.rows import labels_text
from exporter.ledger.shown import state_of
from exporter.ledger.sqlite import SqliteLedger
from exporter.ledger.tables import Series
from exporter.ledger.tally import Tally
from exporter.model import Increment, JudgedEvent, Partition, SeriesKey
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
    use,
)


def totals(ledger: SqliteLedger) -> dict[str, float]:
    return {dict(s.key.labels).get("user", ""): s.total for s in ledger.series()}


def rule_total(ledger: SqliteLedger, rule: str = RULE) -> RuleTotal:
    return next(total for total in ledger.rule_totals() if total.rule == rule)


def test_a_commit_moves_the_checkpoint_and_adds_to_the_series(ledger: SqliteLedger) -> None:
    assert ledger.checkpoint(PARTITION) is None
    commit(ledger, batch(increment("a", event_id="1"), increment("b", event_id="2", value=2.5)))
    commit(ledger, batch(increment("a", event_id="3"), checkpoint="later"))
    assert ledger.checkpoint(PARTITION) == "later"
    assert totals(ledger) == {"a": 2.0, "b": 2.5}


def test_each_partition_has_its_own_checkpoint(ledger: SqliteLedger) -> None:
    odd = Partition(SOURCE, resource="/var/log/\udcff\udcfe.log")
    commit(ledger, batch(checkpoint="one"))
    commit(ledger, batch(checkpoint='{"path": "\udcff"}', partition=odd))
    commit(ledger, batch(checkpoint="three", partition=Partition("other", "111122223333")))
    assert ledger.checkpoint(PARTITION) == "one"
    assert ledger.checkpoint(odd) == '{"path": "\udcff"}'


def test_a_match_counts_once_for_a_source_and_rule(ledger: SqliteLedger) -> None:
    load(ledger, {SOURCE: {RULE: use(), "other": use()}, "apps": {RULE: use()}})
    first = increment("a", event_id="1")
    committed = commit(ledger, batch(first, first, increment("b", event_id="1")))
    assert committed.new == [first]
    again = commit(ledger, batch(first, checkpoint="again"))
    assert (again.new, again.series, again.rules) == ([], [], ())
    assert ledger.checkpoint(PARTITION) == "again"

    commit(ledger, batch(increment("a", event_id="1", rule="other")))
    commit(ledger, batch(first, partition=Partition("apps", "1")))
    assert totals(ledger) == {"a": 3.0}


def test_an_event_without_an_id_counts_each_time(ledger: SqliteLedger) -> None:
    line = increment("a", event_id=None)
    commit(ledger, batch(line, line))
    commit(ledger, batch(line))
    assert totals(ledger) == {"a": 3.0}


def test_a_match_is_remembered_over_a_restart(ledger: SqliteLedger, tmp_path: Path) -> None:
    commit(ledger, batch(increment("a", event_id="1")))
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    load_one(reopened)
    commit(reopened, batch(increment("a", event_id="1"), increment("a", event_id="2")))
    assert totals(reopened) == {"a": 2.0}
    reopened.close()


def test_rules_that_share_a_series_add_up_in_it(ledger: SqliteLedger) -> None:
    load(ledger, {SOURCE: {RULE: use(), "other": use()}})
    commit(
        ledger,
        batch(increment("a", event_id="1"), increment("a", event_id="1", rule="other", value=4.0)),
    )
    assert totals(ledger) == {"a": 5.0}
    assert rule_total(ledger, "other").series == rule_total(ledger).series == 1


def test_committed_tells_only_what_changed_as_it_stands(ledger: SqliteLedger) -> None:
    commit(ledger, batch(increment("a", event_id="1", time=5_000), increment("b", event_id="2")))
    committed = commit(ledger, batch(increment("a", event_id="3", value=2.0, event_time=7_000)))
    (changed,) = committed.series
    assert changed == next(s for s in ledger.series() if s.key == key("a"))
    assert (changed.total, changed.event_id, changed.event_value, changed.event_time) == (
        3.0,
        "3",
        2.0,
        7_000,
    )
    assert committed.rules == [RuleChange(SOURCE, RULE, 1, 0, 0, 7_000, 2)]
    assert ledger.rule_totals() == [RuleTotal(SOURCE, RULE, 3, 0, 0, 2, 7_000, 2)]


def test_the_last_match_is_the_one_that_happened_last(ledger: SqliteLedger) -> None:
    commit(ledger, batch(increment("a", event_id="new", event_time=9_000)))
    commit(ledger, batch(increment("a", event_id="late", event_time=4_000)))
    assert [s.event_id for s in ledger.series()] == ["new"]
    assert rule_total(ledger).last_event_time == 9_000


def test_past_max_series_new_label_sets_go_to_the_overflow_series(ledger: SqliteLedger) -> None:
    load_one(ledger, max_series=2)
    users = ["a", "b", "c", "a", "d", "c"]
    committed = commit(
        ledger, batch(*(increment(user, event_id=str(i)) for i, user in enumerate(users)))
    )
    assert totals(ledger) == {"a": 2.0, "b": 1.0, "__overflow__": 3.0}
    assert committed.rules == [RuleChange(SOURCE, RULE, 6, 0, 3, 1_000, 2, 2)]
    assert ledger.rule_totals() == [RuleTotal(SOURCE, RULE, 6, 0, 3, 2, 1_000, 2)]

    other = Partition(SOURCE, "444455556666", "eu-west-1")
    commit(ledger, batch(increment("e", event_id="e"), partition=other))
    assert totals(ledger)["__overflow__"] == 4.0
    assert [
        one.overflowed for one in commit(ledger, batch(increment("a", event_id="x"))).rules
    ] == [0]


def test_a_raised_limit_holds_for_the_next_label_sets(ledger: SqliteLedger) -> None:
    load_one(ledger, max_series=1)
    commit(ledger, batch(increment("a", event_id="1"), increment("b", event_id="2")))
    load_one(ledger, max_series=2)
    commit(ledger, batch(increment("b", event_id="3"), increment("c", event_id="4")))
    assert totals(ledger) == {"a": 1.0, "__overflow__": 2.0, "b": 1.0}


def test_a_rule_without_dynamic_labels_never_overflows(ledger: SqliteLedger) -> None:
    load_one(ledger, max_series=1)
    elsewhere = moved(increment(event_id="2"), lambda _: key("x"))
    committed = commit(ledger, batch(increment(event_id="1"), elsewhere))
    assert totals(ledger) == {"": 1.0, "x": 1.0}
    assert [one.overflowed for one in committed.rules] == [0]


def test_another_rules_series_counts_towards_the_limit_too(ledger: SqliteLedger) -> None:
    load(ledger, {SOURCE: {RULE: use(), "small": use(max_series=1)}})
    commit(ledger, batch(increment("a", event_id="1"), increment("b", event_id="2")))
    commit(
        ledger,
        batch(
            increment("a", event_id="1", rule="small"), increment("b", event_id="2", rule="small")
        ),
    )
    assert totals(ledger) == {"a": 2.0, "b": 1.0, "__overflow__": 1.0}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, -1.0, 10**400])
def test_a_value_that_cannot_be_added_is_a_value_error(
    ledger: SqliteLedger, value: float | None
) -> None:
    committed = commit(ledger, batch(increment("a", event_id="1", value=value)))
    assert (list(ledger.series()), list(committed.series)) == ([], [])
    assert committed.rules == [RuleChange(SOURCE, RULE, 1, 1, 0, 1_000)]
    assert commit(ledger, batch(increment("a", event_id="1"))).new == []


def test_a_sum_never_becomes_infinite(ledger: SqliteLedger) -> None:
    huge = increment("a", event_id="1", value=1.7e308)
    commit(ledger, batch(huge))
    committed = commit(ledger, batch(replace(huge, event_id="2")))
    assert totals(ledger) == {"a": 1.7e308}
    assert committed.rules[0].value_errors == 1


def test_a_histogram_counts_each_value_in_its_bucket(ledger: SqliteLedger) -> None:
    load_one(ledger, "h", metric="h_seconds", buckets=(0.5, 1.0))
    values = [0.1, 0.5, 0.7, 1.0, 2.0, 0.0]
    commit(
        ledger,
        batch(
            *(
                increment("a", event_id=str(i), rule="h", metric="h_seconds", value=value)
                for i, value in enumerate(values)
            )
        ),
    )
    (histogram,) = ledger.series()
    assert histogram.buckets == (3, 2, 1)
    assert histogram.total == pytest.approx(sum(values))


def test_any_text_survives_in_labels_and_ids(ledger: SqliteLedger, tmp_path: Path) -> None:
    users = ['"\\\n\x00', "\ud800", "\udfff", "zürich 😀", "", "[]"]
    commit(
        ledger, batch(*(increment(user, event_id=f"{user}-{i}") for i, user in enumerate(users)))
    )
    commit(ledger, batch(increment("\ud800", event_id="\ud800-1")))
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    assert totals(reopened) == dict.fromkeys(users, 1.0)
    reopened.close()


def test_a_hostile_event_time_stops_nothing(ledger: SqliteLedger) -> None:
    commit(ledger, batch(increment("a", event_id="1", time=10**30, event_time=-(10**30))))
    assert totals(ledger) == {"a": 1.0}
    assert rule_total(ledger).last_event_time is None


def test_a_failed_commit_leaves_no_trace(ledger: SqliteLedger) -> None:
    load_one(ledger, max_series=2)
    commit(ledger, batch(increment("a", event_id="1")))
    before = (list(ledger.series()), ledger.rule_totals(), ledger.checkpoint(PARTITION))
    unknown = increment("x", event_id="9", rule="never_loaded")
    with pytest.raises(LedgerError, match="not loaded a rule never_loaded"):
        commit(ledger, batch(increment("b", event_id="2"), unknown, checkpoint="lost"))
    assert (list(ledger.series()), ledger.rule_totals(), ledger.checkpoint(PARTITION)) == before
    # The match and the place under max_series are free again.
    commit(ledger, batch(increment("b", event_id="2"), increment("c", event_id="3")))
    assert totals(ledger) == {"a": 1.0, "b": 1.0, "__overflow__": 1.0}


def test_declared_series_stand_at_zero_until_revealed(ledger: SqliteLedger) -> None:
    (declared,) = ledger.declare([(RULE, key())])
    assert (declared.key, declared.total, declared.revealed) == (key(), 0.0, False)
    commit(ledger, batch(increment(event_id="1")))
    ledger.reveal([key(), key("nobody")])
    (declared,) = ledger.declare([(RULE, key())])
    assert (declared.total, declared.revealed) == (1.0, True)
    assert rule_total(ledger).series == 1


def test_commits_from_many_threads_all_count(ledger: SqliteLedger) -> None:
    def read(thread: int) -> None:
        partition = Partition(SOURCE, str(thread))
        for number in range(20):
            commit(
                ledger,
                batch(
                    increment("a", event_id=f"{thread}-{number}"),
                    increment("b", event_id=f"shared-{number}"),
                    partition=partition,
                    checkpoint=str(number),
                ),
            )

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(ledger) == {"a": 80.0, "b": 20.0}


def test_a_commit_never_mixes_observations_of_two_sets_of_buckets() -> None:
    row = Series(series_id(key()), METRIC, labels_text(key().labels), "[0.5, 1.0]", 0, 0)
    for buckets in ((0.5, 2.0), None):
        placement = Placement({(RULE, METRIC): RuleSpec(9, buckets)}, 0)
        placement.series[key()] = state_of(row, ())
        with pytest.raises(LedgerError, match="rename the rule's metric"):
            placement.add(SOURCE, "", Tally.of([increment(event_id="1")]))


def test_a_rule_that_feeds_another_metric_has_all_of_max_series_again(
    ledger: SqliteLedger,
) -> None:
    load_one(ledger, max_series=1, metric=METRIC)
    commit(ledger, batch(increment("a", event_id="1")))
    load_one(ledger, max_series=1, metric="new_total")
    commit(ledger, batch(increment("b", event_id="2", metric="new_total")))
    assert totals(ledger) == {"a": 1.0, "b": 1.0}


def moved(event: JudgedEvent, to: Callable[[SeriesKey], SeriesKey]) -> JudgedEvent:
    """The event with its increment going to other series."""
    (one,) = event.increments
    there = replace(one, series=to(one.series), overflow=to(one.overflow))
    return replace(event, increments=(there,))


def place(account: str, user: str | None) -> JudgedEvent:
    """An increment of a record that names this account."""

    def there(series: SeriesKey) -> SeriesKey:
        labels = dict(series.labels) | {"account_id": account}
        return SeriesKey(series.metric, tuple(sorted(labels.items())))

    return moved(increment(user, event_id=f"{account}-{user}"), there)


@pytest.mark.parametrize("user", [None, "a"])
def test_records_that_name_ever_other_accounts_make_a_bounded_number_of_series(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    monkeypatch.setattr("exporter.ledger.counting.MAX_ACCOUNT_REGIONS", 3)
    monkeypatch.setattr("exporter.ledger.counting._ACCOUNTS", 1)
    load_one(ledger, max_series=2)
    for number in range(20):
        commit(ledger, batch(place(str(number), user)))
    series = list(ledger.series())
    assert len(series) <= 3 + 3 + 1
    assert sum(total.total for total in series) == 20
    nowhere = [t for t in series if dict(t.key.labels)["account_id"] == "__overflow__"]
    assert [dict(total.key.labels)["region"] for total in nowhere] == ["__overflow__"]


LANES = [Partition(SOURCE, "1", region) for region in ("a", "b")]
POOL = [increment(user, event_id=None, value=value).increments[0] for user in "abc"
        for value in (1.0, 1.0, 0.5, 2.0**53, None)]  # fmt: skip


@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    readings=st.lists(
        st.tuples(
            st.sampled_from(LANES),
            st.lists(st.tuples(st.integers(0, 9), st.sampled_from(POOL)), max_size=5),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_several_batches_in_one_commit_count_what_they_count_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory,
    readings: list[tuple[Partition, list[tuple[int, Increment]]]],
) -> None:
    judged, position = frozenset([RULE]), dict.fromkeys(LANES, "")
    batches = []
    for number, (partition, matches) in enumerate(readings):
        events = [
            JudgedEvent(str(id_) if id_ else None, "", 5, 7 * id_, judged, (one,))
            for id_, one in matches
        ]
        made = batch(*events, partition=partition, checkpoint=str(number), remember_from=number)
        batches.append(dataclasses.replace(made, expected=position[partition] or None))
        position[partition] = str(number)
    found = []
    for together in (True, False):
        ledger = SqliteLedger.open(
            tmp_path_factory.mktemp("ledger"), clock=lambda: 1.0, steady=lambda: 0.0
        )
        load_one(ledger, max_series=2)
        new = [
            event
            for group in ([batches] if together else [[one] for one in batches])
            for event in ledger.commit(*group).new
        ]
        keys = [("", str(id_), 7 * id_) for id_ in range(10)]
        found.append(
            (
                new,
                sorted(ledger.series(), key=lambda one: one.key.labels),
                ledger.rule_totals(),
                ledger.judged(SOURCE, keys),
                [ledger.checkpoint(partition) for partition in LANES],
            )
        )
        ledger.close()
    assert found[0] == found[1]
