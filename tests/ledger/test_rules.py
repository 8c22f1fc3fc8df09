"""Since when a rule, and a part of a source, counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exporter.ledger.base import SeriesRule
from exporter.ledger.sqlite import SqliteLedger
from exporter.model import SeriesKey
from tests.support.counting import RULE, SOURCE, batch, increment, series_rule


def test_a_known_rule_keeps_the_start_it_was_first_loaded_with(ledger: SqliteLedger) -> None:
    rules = [series_rule("a"), series_rule("b")]
    assert ledger.load_rules({"s": {"a": 5}}, rules=rules).starts == {"s": {"a": 5}}
    assert ledger.load_rules({"s": {"a": 9, "b": None}}, rules=rules).starts == {
        "s": {"a": 5, "b": None}
    }
    assert ledger.load_rules({"s": {"a": 9, "b": 9}}, rules=rules).starts == {
        "s": {"a": 5, "b": None}
    }


def test_starts_are_kept_for_each_source_and_over_a_restart(
    ledger: SqliteLedger, tmp_path: Path
) -> None:
    ledger.load_rules({"s": {"a": 5}, "t": {"a": 6}}, rules=[series_rule("a")])
    ledger.close()
    reopened = SqliteLedger.open(tmp_path)
    later = reopened.load_rules({"s": {"a": 9}, "t": {"a": 9}}, rules=[series_rule("a")]).starts
    assert later == {"s": {"a": 5}, "t": {"a": 6}}
    reopened.close()


def test_a_rule_that_comes_back_is_new_and_its_totals_go_on(ledger: SqliteLedger) -> None:
    ledger.load_rules({SOURCE: {RULE: 5}}, rules=[series_rule()])
    ledger.commit(batch(increment("a", event_id="1")))
    ledger.load_rules({SOURCE: {}}, rules=[])
    assert [total.matches for total in ledger.rule_totals()] == [1]
    assert ledger.load_rules({SOURCE: {RULE: 9}}, rules=[series_rule()]).starts == {
        SOURCE: {RULE: 9}
    }
    ledger.commit(batch(increment("a", event_id="1"), increment("a", event_id="2")))
    assert [total.matches for total in ledger.rule_totals()] == [2]
    assert [series.total for series in ledger.series()] == [2.0]


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


def counter(**edit: Any) -> SeriesRule:
    return replace(SeriesRule(RULE, 1000, None, "logins_total", frozenset(["user"])), **edit)


@pytest.mark.parametrize(
    "edit",
    [
        {"buckets": (1.0, 2.0)},
        {"labels": frozenset(["user", "address"])},
        {"labels": frozenset()},
    ],
)
def test_an_edit_that_series_cannot_survive_begins_the_metric_anew_and_no_other(
    ledger: SqliteLedger, edit: dict[str, Any]
) -> None:
    other = SeriesRule("other", 1000, None, "others_total", frozenset(["user"]))
    ledger.load_rules({SOURCE: {RULE: None, "other": None}}, rules=[counter(), other])
    ledger.commit(
        batch(
            increment("a", event_id="1"),
            increment("a", event_id="2", rule="other", metric="others_total"),
        )
    )
    before = {total.key.metric: total for total in ledger.series()}
    same = ledger.load_rules({SOURCE: {RULE: None, "other": None}}, rules=[counter(), other])
    assert same.ended == []

    edited = counter(**edit)
    loaded = ledger.load_rules({SOURCE: {RULE: None, "other": None}}, rules=[edited, other])
    assert loaded.ended == [before["logins_total"].key]
    assert ledger.series() == [before["others_total"]]
    # What has counted is remembered: the past does not count again.
    assert ledger.commit(batch(increment("a", event_id="1"))).counted == []


def test_rules_of_the_default_metric_have_labels_of_their_own(ledger: SqliteLedger) -> None:
    def rule(name: str, *labels: str) -> SeriesRule:
        names = frozenset(["rule", *labels])
        return SeriesRule(name, 1000, None, "metric_filter_matches_total", names, shares=False)

    rules = [rule("a", "user"), rule("b", "address")]
    ledger.load_rules({SOURCE: {"a": None, "b": None}}, rules=rules)
    keys = {
        one.name: SeriesKey(
            "metric_filter_matches_total",
            tuple(sorted([(n, one.name) for n in one.labels or ()] + [("source", SOURCE)])),
        )
        for one in rules
    }
    ledger.declare(keys.items())
    edited = [rule("a", "user"), rule("b", "address", "port")]
    loaded = ledger.load_rules({SOURCE: {"a": None, "b": None}}, rules=edited)
    assert loaded.ended == [keys["b"]]
    assert [total.key for total in ledger.series()] == [keys["a"]]
