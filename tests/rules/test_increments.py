"""Increments of a rule are made once, and are what the rule itself makes."""

from __future__ import annotations

import pickle

import pytest

from exporter.configuration import RuleConfig
from exporter.model import Partition
from exporter.rules import increments
from exporter.rules.increments import Increments
from exporter.rules.places import Place, Places
from exporter.rules.rule import Rule, definition
from exporter.sources.log_groups import LOG_GROUP
from exporter.yamlfile.problems import Location

GROUP = Partition("logs", "111111111111", "eu-west-1", resource="/app", kind=LOG_GROUP)
PLACE = Place.of("111111111111", "eu-west-1", GROUP)


def rule(value: str = "1") -> Rule:
    given = {"pattern": "[user, size, ...]", "labels": {"user": "$user"}, "value": value}
    location = Location("rules.yaml")
    config = RuleConfig.model_validate({"name": "r", "location": location, **given})
    return Rule.of("r", definition(config), {})


def test_the_same_label_values_in_the_same_place_are_the_same_objects() -> None:
    constant, measured = Increments(rule()), Increments(rule(value="$size"))
    again = Places(GROUP).of("111111111111", "eu-west-1")
    assert constant.make(PLACE, ("ana",), 1.0) is constant.make(again, ("ana",), 1.0)
    small, large = measured.make(PLACE, ("ana",), 1.0), measured.make(again, ("ana",), 2.0)
    assert (small.value, large.value) == (1.0, 2.0)
    assert small.series is large.series
    assert small.overflow is large.overflow


def test_other_values_and_other_places_are_other_series() -> None:
    made = Increments(rule())
    there = Place.of("222222222222", "eu-west-1", GROUP)
    series = [
        made.make(*of, 1.0).series for of in ((PLACE, ("a",)), (PLACE, ("b",)), (there, ("a",)))
    ]
    assert [dict(one.labels) for one in series] == [
        {
            "rule": "r",
            "user": user,
            "account_id": account,
            "region": "eu-west-1",
            "source": "logs",
            "log_group": "/app",
        }
        for user, account in (
            ("a", "111111111111"),
            ("b", "111111111111"),
            ("a", "222222222222"),
        )
    ]


def test_a_dropped_increment_is_made_again_and_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(increments, "MOST_KEPT", 2)
    made = Increments(rule())
    first = made.make(PLACE, ("0",), 1.0)
    for number in range(1, 4):
        made.make(PLACE, (str(number),), 1.0)
    again = made.make(PLACE, ("0",), 1.0)
    assert again is not first
    assert again == first == rule().increment_at(PLACE, ["0"], 1.0)


def test_it_can_be_sent_to_another_process() -> None:
    made = Increments(rule(value="$size"))
    kept = made.make(PLACE, ("ana",), None)
    copy = pickle.loads(pickle.dumps(made))  # noqa: S301
    assert copy.make(PLACE, ("ana",), None) == kept
