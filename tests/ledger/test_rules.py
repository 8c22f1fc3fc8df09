"""Which versions of rules judge, since when a part of a source counts, and who may end them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.exactness import CLOCK_ERROR, RuleVersion
from exporter.ledger.base import LoadedRules, RuleUse
from exporter.ledger.rules import definition_of
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import SeriesKey
from tests.support.counting import (
    METRIC,
    PARTITION,
    RULE,
    SOURCE,
    batch,
    commit,
    definition,
    increment,
    load,
    load_one,
    use,
)

KEEP = 60_000
Spans = list[tuple[str, int | None, int | None]]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    """A ledger that has never loaded a rule."""
    with closing(SqliteLedger.open(tmp_path)) as opened:
        yield opened


def spans(loaded: LoadedRules, source: str = SOURCE) -> Spans:
    return [(one.rule, one.since, one.until) for one in loaded.versions[source]]


def test_a_rule_counts_from_the_start_it_was_first_loaded_with(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    first = load(ledger, {"s": {"a": use(start=5)}, "t": {"a": use(start=6)}}, keep=KEEP)
    assert (spans(first, "s"), spans(first, "t")) == ([("a", 5, None)], [("a", 6, None)])
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    uses = {"s": {"a": use(start=9), "b": use(start=9, own_start=True)}, "t": {"a": use(start=9)}}
    later = load(reopened, uses, keep=KEEP)
    assert sorted(spans(later, "s")) == [("a", 5, None), ("b", 9, None)]
    assert spans(later, "t") == [("a", 6, None)]
    assert [one.own_start for one in later.versions["s"] if one.rule == "b"] == [True]
    reopened.close()


def edits(ledger: SqliteLedger, *steps: tuple[int, Mapping[str, RuleUse]]) -> LoadedRules:
    loaded = LoadedRules({})
    for now, uses in steps:
        loaded = load(ledger, {SOURCE: uses}, now=now, keep=KEEP, generation=f"{now} {uses}")
    return loaded


def test_an_edit_ends_a_version_and_begins_the_next(ledger: SqliteLedger) -> None:
    one, two = (use(start=5, pattern=pattern) for pattern in ("one", "two"))
    loaded = edits(ledger, (5, {RULE: one}), (100, {RULE: two}), (200, {RULE: two}))
    assert loaded.versions[SOURCE] == [
        RuleVersion(RULE, 5, 100, one.definition),
        RuleVersion(RULE, 100, None, two.definition),
    ]
    later = 100 + KEEP + CLOCK_ERROR
    assert len(spans(edits(ledger, (later, {RULE: two})))) == 2
    assert spans(edits(ledger, (later + 1, {RULE: two}))) == [(RULE, 5, None)]


def test_a_version_is_kept_while_a_partition_can_still_read_its_time(ledger: SqliteLedger) -> None:
    edits(ledger, (5, {RULE: use(start=5)}))
    commit(ledger, batch(remember_from=50))
    late = 10**9
    loaded = edits(
        ledger, (100, {RULE: use(start=5, pattern="x")}), (late, {RULE: use(start=5, pattern="y")})
    )
    assert spans(loaded)[0] == (RULE, 5, 100)
    commit(ledger, batch(remember_from=late))
    assert spans(edits(ledger, (late + 1, {RULE: use(start=5, pattern="y")})))[0] != (RULE, 5, 100)


def test_a_rule_that_was_out_for_a_while_has_two_versions(ledger: SqliteLedger) -> None:
    rule = {RULE: use(start=5)}
    loaded = edits(ledger, (5, rule), (100, {}), (200, rule))
    assert spans(loaded) == [(RULE, 5, 100), (RULE, 200, None)]
    commit(ledger, batch(increment("a", event_id="late")))


def test_a_source_that_was_out_for_a_while_has_kept_its_versions(ledger: SqliteLedger) -> None:
    load(ledger, {SOURCE: {RULE: use(start=5)}}, now=5, keep=KEEP)
    load(ledger, {}, now=100)
    loaded = load(ledger, {SOURCE: {RULE: use(start=5)}}, now=200, keep=KEEP)
    assert spans(loaded) == [(RULE, 5, 100), (RULE, 200, None)]


def test_what_comes_once_is_judged_by_the_latest_version(ledger: SqliteLedger) -> None:
    for now, pattern in ((5, "one"), (100, "two")):
        loaded = load(ledger, {SOURCE: {RULE: use(pattern=pattern)}}, now=now)
        assert loaded.versions[SOURCE] == [
            RuleVersion(RULE, None, None, definition(pattern=pattern))
        ]
    assert spans(load(ledger, {SOURCE: {}}, now=200)) == []


def test_an_earlier_version_still_feeds_its_metric(ledger: SqliteLedger) -> None:
    edits(ledger, (5, {RULE: use(start=5)}), (100, {RULE: use("renamed_total", start=5)}))
    old, new = increment("a", event_id="1"), increment("a", event_id="2", metric="renamed_total")
    assert len(commit(ledger, batch(old, new)).new) == 2
    assert {total.key.metric for total in ledger.series()} == {METRIC, "renamed_total"}


def test_since_when_a_part_of_a_source_is_configured_is_kept_until_it_no_longer_is(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    def scopes(ledger: SqliteLedger, now: int, **of: Sequence[str]) -> dict[str, dict[str, int]]:
        return ledger.load_scopes(of, now=now, generation=str(of))

    assert scopes(ledger, 5, s=["us-east-1"]) == {"s": {"us-east-1": 5}}
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    later = scopes(reopened, 9, s=["us-east-1", "eu-west-1"], t=["us-east-1"])
    assert later == {"s": {"us-east-1": 5, "eu-west-1": 9}, "t": {"us-east-1": 9}}
    scopes(reopened, 10, s=["eu-west-1"])
    assert scopes(reopened, 11, s=["us-east-1"]) == {"s": {"us-east-1": 11}}
    reopened.close()


@pytest.mark.parametrize("edit", [{"buckets": (1.0, 2.0)}, {"buckets": (1.0,), "labels": []}])
@pytest.mark.parametrize("away", [False, True])
def test_an_edit_that_series_cannot_survive_begins_the_metric_anew_and_no_other(
    ledger: SqliteLedger, edit: dict[str, Any], away: bool
) -> None:
    other = use("others_total", start=0)
    edits(ledger, (0, {RULE: use(start=0), "other": other}))
    event = increment("a", event_id="1")
    commit(ledger, batch(event, increment("b", event_id="2", rule="other", metric="others_total")))
    before = {total.key.metric: total for total in ledger.series()}
    same = edits(ledger, (10, {RULE: use(start=0, pattern="x"), "other": other}))
    assert (same.ended, len(spans(same))) == ([], 3)
    if away:  # so long that its versions are gone
        commit(ledger, batch(remember_from=10**9))
        edits(ledger, (10**9, {"other": other}), (2 * 10**9, {"other": other}))

    loaded = edits(ledger, (3 * 10**9, {RULE: use(start=0, **edit), "other": other}))
    assert loaded.ended == [before[METRIC].key]
    ours = [one for one in loaded.versions[SOURCE] if one.rule == RULE]
    assert {definition_of(one.definition).shape for one in ours} == {
        definition_of(definition(**edit)).shape
    }, "earlier versions feed the new series"
    patterns = [json.loads(one.definition)["pattern"] for one in ours]
    assert patterns == ["x", ""], "each judges by the pattern that it had"
    assert list(ledger.series()) == [before["others_total"]]
    # What has counted is remembered: the past does not count again.
    assert commit(ledger, batch(event)).new == []


def test_rules_of_the_default_metric_have_labels_of_their_own(ledger: SqliteLedger) -> None:
    metric = "metric_filter_matches_total"

    def rule(*labels: str) -> RuleUse:
        return use(metric, labels=labels, uses_default_metric=True)

    def key(name: str, *labels: str) -> SeriesKey:
        pairs = [("rule", name), ("source", SOURCE), *((label, name) for label in labels)]
        return SeriesKey(metric, tuple(sorted(pairs)))

    load(ledger, {SOURCE: {"a": rule("user"), "b": rule("address")}})
    keys = {"a": key("a", "user"), "b": key("b", "address")}
    ledger.declare(keys.items())
    loaded = load(ledger, {SOURCE: {"a": rule("user"), "b": rule("address", "port")}})
    assert (loaded.ended, loaded.gone) == ([], [keys["b"]])
    labels = tuple(sorted((*keys["b"].labels, ("port", ""))))
    assert {one.key for one in ledger.series()} == {keys["a"], SeriesKey(metric, labels)}


def test_many_series_are_declared_at_once(ledger: SqliteLedger) -> None:
    load(ledger, {SOURCE: {"a": use("a_total"), "b": use("b_total")}})
    wanted = [
        (rule, SeriesKey(f"{rule}_total", (("region", str(number)),)))
        for rule in "ab"
        for number in range(500)
    ]
    declared = ledger.declare(wanted)
    assert [(one.key, one.total, one.revealed) for one in declared] == [
        (key, 0.0, False) for _, key in wanted
    ]
    assert len(list(ledger.series())) == 1000
    assert ledger.declare(wanted) == declared


def test_a_rule_added_later_gets_its_own_judgement_of_remembered_events(
    ledger: SqliteLedger,
) -> None:
    load_one(ledger)
    commit(ledger, batch(increment("a", event_id="1")))
    load(ledger, {SOURCE: {RULE: use(), "other": use()}})
    for _ in range(2):
        commit(
            ledger, batch(increment("a", event_id="1"), increment("a", event_id="1", rule="other"))
        )
    assert [series.total for series in ledger.series()] == [2.0]
    assert ledger.checkpoint(PARTITION) == "c"
