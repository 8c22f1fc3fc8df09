"""Since when a rule, and a part of a source, counts."""

from __future__ import annotations

from pathlib import Path

from exporter.ledger.sqlite import SqliteLedger
from tests.support.counting import RULE, SOURCE, batch, increment, series_rule


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
