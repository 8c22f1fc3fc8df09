"""Rule tests, evaluated by the rule set that the exporter counts with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.configuration import RuleConfig
from exporter.model import EXCLUDED_METRIC, Increment, LogEvent, Partition
from exporter.rules import RuleSet
from exporter.ruletests.models import SOURCE, Expectation, RuleTest, RuleTestFile

PARTITION = Partition(SOURCE, account_id="123456789012", region="us-east-1")
"""The partition of messages that do not name one."""


@dataclass(frozen=True, slots=True)
class Got:
    """A match that happened."""

    rule: str
    labels: dict[str, str]
    value: float | None
    """None if the match has no usable value."""
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that a test expected otherwise."""

    rule: RuleConfig
    expected: Expectation | None
    """None if the rule should not have matched."""
    got: tuple[Got, ...]
    """The actual matches; empty if nothing matched."""
    message: str | None
    """The message concerned; None if there are several."""
    is_near_miss: bool = False
    """The test says explicitly that the rule must not match."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test and how it went."""

    __test__ = False  # not a class of tests, though pytest would think so

    test: RuleTest
    got: tuple[Got, ...]
    failures: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether everything was as expected."""
        return not self.failures


def run_tests(file: RuleTestFile) -> list[TestResult]:
    """Evaluate a file's tests, in their order."""
    # Messages of tests come from no account, as those of TestMetricFilter.
    anywhere = {"field_selection_criteria": None}
    rule_set = RuleSet.of(rule.model_copy(update=anywhere) for rule in file.rules)
    by_name = {rule.name: rule for rule in file.rules}
    return [_run(test, rule_set, by_name) for test in file.tests]


def _run(test: RuleTest, rule_set: RuleSet, rules: dict[str, RuleConfig]) -> TestResult:
    got = []
    for message in test.messages:
        increments = rule_set.evaluate([LogEvent(message, time=0)], PARTITION, "auto").increments
        got += [
            _got(increment, message)
            for increment in increments
            if increment.series.metric != EXCLUDED_METRIC
        ]
    failures = (*_missed(test, got, rules), *_unexpected(test, got, rules))
    return TestResult(test, tuple(got), failures)


def _got(increment: Increment, message: str) -> Got:
    return Got(increment.rule, dict(increment.series.labels), increment.value, message)


def _missed(test: RuleTest, got: list[Got], rules: dict[str, RuleConfig]) -> Iterator[Failure]:
    for expected in test.matches:
        of_rule = tuple(one for one in got if one.rule == expected.rule)
        fitting = sum(_fits(expected, one) for one in of_rule)
        if fitting == expected.count or (expected.count is None and fitting):
            continue
        only = test.messages[0] if len(test.messages) == 1 else None
        yield Failure(rules[expected.rule], expected, of_rule, only)


def _unexpected(test: RuleTest, got: list[Got], rules: dict[str, RuleConfig]) -> Iterator[Failure]:
    expected_rules = {expected.rule for expected in test.matches}
    reported: set[str] = set()
    for one in got:
        expected = [expected for expected in test.matches if expected.rule == one.rule]
        if any(_fits(expectation, one) for expectation in expected):
            continue
        # With one message, the missing match already reports the difference.
        if one.rule in reported or (one.rule in expected_rules and len(test.messages) == 1):
            continue
        reported.add(one.rule)
        near_miss = one.rule in test.no_match
        yield Failure(rules[one.rule], None, (one,), one.message, is_near_miss=near_miss)


def _fits(expected: Expectation, got: Got) -> bool:
    if any(got.labels.get(name) != value for name, value in expected.labels.items()):
        return False
    if expected.value is None:
        return True
    if expected.value == "error" or got.value is None:
        return expected.value == "error" and got.value is None
    return math.isclose(expected.value, got.value, rel_tol=1e-9)
