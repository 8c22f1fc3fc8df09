"""No two metrics of a page have a name in common: a strict reader would refuse it whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.configuration import Problem
from exporter.configuration.names import family_names
from exporter.metrics.telemetry import Telemetry

ProblemsOf = Callable[[str], Sequence[Problem]]


def rule(name: str, metric: str) -> str:
    kind = "" if metric.endswith("_total") else "type: histogram, value: 1, buckets: [1], "
    return f"  - {{name: {name}, pattern: x, {kind}metric: {metric}}}\n"


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ("foo_total", "foo_created_total", "foo_created"),
        ("foo_created_total", "foo_total", "foo_created"),
        ("foo_total", "foo", "foo"),
        ("foo_total", "foo_total_total", "foo_total"),
        ("foo", "foo_bucket_total", "foo_bucket"),
        ("foo", "foo_sum_total", "foo_sum"),
        ("foo_count_total", "foo", "foo_count"),
        ("foo", "foo_created_total", "foo_created"),
    ],
)
def test_metrics_that_clash_in_openmetrics_are_refused_at_the_second(
    problems_of_rules: ProblemsOf, first: str, second: str, shared: str
) -> None:
    second_rule = rule("b", second)
    (error,) = problems_of_rules(f"rules:\n{rule('a', first)}{second_rule}")
    assert (error.severity, error.location.line) == ("error", 5)
    assert error.location.column == second_rule.index(second) + 1
    assert f"{second} clashes with {first} of rule `a` ({error.location.file}:4)" in error.message
    assert f"both have the name {shared}," in error.message


@pytest.mark.parametrize(
    "metric",
    [
        "metric_filter_exporter_polls_total",
        "metric_filter_exporter",
        "metric_filter_rule_info_total",
        "metric_filter_rule_total",
        "metric_filter_threshold_total",
        "metric_filter_matches",
        "metric_filter_matches_created_total",
        "process_cpu_seconds_total",
        "process",
        "python_gc_total",
    ],
)
def test_the_names_of_the_exporters_own_metrics_are_taken(
    problems_of_rules: ProblemsOf, metric: str
) -> None:
    (error,) = problems_of_rules("rules:\n" + rule("a", metric))
    assert (error.location.line, "is a name of the exporter's own metrics" in error.message) == (
        4,
        True,
    )


def test_every_metric_of_the_exporters_own_is_guarded(problems_of_rules: ProblemsOf) -> None:
    for family in Telemetry().registry.collect():
        for metric in (f"{family.name}_total", family.name, f"{family.name}_created_total"):
            assert problems_of_rules("rules:\n" + rule("a", metric)), metric


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("foo_total", "foo_info_total"),
        ("foo_total", "foo_bucket_total"),
        ("foo", "foo_total_total"),
        ("foo_total", "foo_seconds"),
        ("metric_filter_matches_total", "metric_filter_rules_total"),
    ],
)
def test_names_that_only_look_alike_are_allowed(
    problems_of_rules: ProblemsOf, first: str, second: str
) -> None:
    assert problems_of_rules(f"rules:\n{rule('a', first)}{rule('b', second)}") == ()


def test_a_family_takes_its_samples_names() -> None:
    assert family_names("a_total", "counter") == {"a", "a_total", "a_created"}
    assert family_names("a", "histogram") == {"a", "a_bucket", "a_count", "a_sum", "a_created"}
