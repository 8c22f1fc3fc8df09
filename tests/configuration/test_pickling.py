"""A configuration can be handed to another process."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import Configuration, load
from exporter.configuration.packs import available_packs

WriteFile = Callable[..., Path]

SOURCES = """\
sources:
  - {name: history, type: event_history, lookback: 1h}
  - {name: apps, type: log_groups, log_groups: ["/aws/*"]}
  - {name: replay, type: files, paths: [x.log], format: lines}
"""
RULES = """\
rules:
  - {name: a, pattern: '{ $.x = 1 }', metric: a_seconds_total, value: $.ms, scale: 0.001,
     labels: {user: [$.a, "$.['b'][0]"], team: ops}, start: 2d, sources: [apps]}
  - {name: b, pattern: '[ip, who = %a+%, ms > 5]', type: histogram, metric: b_seconds, value: $ms,
     buckets: [1, 2], labels: {ip: $ip}}
"""
MESSAGES = ['{"x": 1, "a": "b"}', "10.0.0.1 aaa 7", "ERROR", '{"x": 2}']


@pytest.fixture
def configuration(write: WriteFile) -> Configuration:
    """All rule packs, and rules with everything that a rule can say."""
    return load([write(f"{SOURCES}rule_packs: [{', '.join(available_packs())}]\n{RULES}")])


def test_a_copy_of_a_configuration_is_equal_and_matches_the_same(
    configuration: Configuration,
) -> None:
    copy = pickle.loads(pickle.dumps(configuration))  # noqa: S301
    assert copy == configuration
    assert [rule.location for rule in copy.rules] == [r.location for r in configuration.rules]
    assert len(copy.rules) > 100
    for rule, again in zip(configuration.rules, copy.rules, strict=True):
        matches = [rule.compiled.match(message) for message in MESSAGES]
        assert [again.compiled.match(message) for message in MESSAGES] == matches
    assert any(rule.compiled.match(MESSAGES[0]) for rule in copy.rules)


def test_rules_are_equal_wherever_they_are_written(write: WriteFile) -> None:
    (first,) = load([write(f"{SOURCES}rules: [{{name: a, pattern: x}}]\n")]).rules
    (moved,) = load([write(f"\n{SOURCES}rules: [{{pattern: x, name: a}}]\n")]).rules
    (edited,) = load([write(f"{SOURCES}rules: [{{name: a, pattern: y}}]\n")]).rules
    assert first.location != moved.location
    assert first == moved
    assert first != edited
