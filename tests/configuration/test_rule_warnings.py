"""`check` warns of what is allowed in a rule and seldom meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.configuration import Problem
from exporter.configuration.packs import available_packs

ProblemsOf = Callable[[str], Sequence[Problem]]

JSON = '{ $.eventName = A && $.userIdentity.type = "R" && $.level[*] = B }'


@pytest.mark.parametrize(
    ("pattern", "literal", "meant"),
    [
        (JSON, "eventName", "$.eventName"),
        (JSON, "userIdentity.type", "$.userIdentity.type"),
        (JSON, "userIdentity.userName", "$.userIdentity.userName"),
        (JSON, ".sourceIPAddress", "$.sourceIPAddress"),
        (JSON, ".a.b", "$.a.b"),
        ("ERROR", ".level", "$.level"),
        ("[ip, status = 5*, ...]", "status", "$status"),
        ("[ip, status = 5*, ...]", ".ip", "$ip"),
    ],
)
def test_a_literal_that_names_a_field_lacks_its_sign(
    problems_of_rules: ProblemsOf, pattern: str, literal: str, meant: str
) -> None:
    rule = f"  - {{name: a, pattern: '{pattern}', labels: {{user: {literal}}}}}\n"
    (warning,) = problems_of_rules(f"rules:\n{rule}")
    assert (warning.severity, warning.location.line) == ("warning", 4)
    assert warning.location.column == rule.index(literal, rule.index("user: ")) + 1
    assert warning.message == (
        f"the label `user` is always the text '{literal}': to take the value of the field, write"
        f" {meant}"
    )


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (JSON, "platform"),
        (JSON, "userIdentity"),
        (JSON, "type"),
        (JSON, "eu-west-1"),
        (JSON, "a.b"),
        (JSON, "team: ops (on call)"),
        (JSON, "."),
        (JSON, "./path"),
        (JSON, ""),
        ("eventName", "eventName"),
        ("[ip, status = 5*, ...]", "state"),
    ],
)
def test_other_literals_are_texts(
    problems_of_rules: ProblemsOf, pattern: str, literal: str
) -> None:
    rule = f"{{name: a, pattern: '{pattern}', labels: {{user: '{literal}'}}}}"
    assert problems_of_rules(f"rules:\n  - {rule}\n") == ()


def unit_warnings(problems_of_rules: ProblemsOf, keys: str) -> list[str]:
    kind = "" if "_total" in keys else "type: histogram, buckets: [1], "
    rule = f"{{name: a, pattern: '[took_ms, ...]', {kind}{keys}}}"
    if "$." in keys:
        rule = rule.replace("[took_ms, ...]", "{ $.a = 1 }")
    problems = problems_of_rules(f"rules:\n  - {rule}\n")
    assert all(problem.severity == "warning" for problem in problems)
    return [problem.message for problem in problems]


@pytest.mark.parametrize(
    ("metric", "value", "scale"),
    [
        ("x_seconds_total", "$.took_ms", "0.001"),
        ("x_seconds", "$.durationMs", "0.001"),
        ("x_seconds", "$.report.latencyMS", "0.001"),
        ("x_seconds", "$.steps[0].elapsedMillis", "0.001"),
        ("x_seconds", "$took_ms", "0.001"),
        ("x_seconds", "$.ms", "0.001"),
        ("x_seconds", "$.time_us", "0.000001"),
        ("x_seconds", "$.time_ns", "0.000000001"),
        ("x_bytes_total", "$.size_kb", "1000` (or 1024, if they are counted so)"),
        ("x_bytes", "$.maxMemoryUsedMB", "1000000` (or 1048576, if they are counted so)"),
        ("x_bytes", "$.size_KiB", "1024"),
    ],
)
def test_a_metric_in_base_units_needs_a_scale_for_a_field_in_others(
    problems_of_rules: ProblemsOf, metric: str, value: str, scale: str
) -> None:
    keys = f"metric: {metric}, value: '{value}'"
    (message,) = unit_warnings(problems_of_rules, keys)
    assert f"the name {value} says another unit: add `scale: {scale}" in message
    assert unit_warnings(problems_of_rules, f"{keys}, scale: 0.5") == []


@pytest.mark.parametrize(
    "keys",
    [
        "metric: x_seconds, value: $.seconds",
        "metric: x_seconds, value: $.items",
        "metric: x_milliseconds, value: $.took_ms",
        "metric: x_total, value: $.took_ms",
        "metric: x_bytes_total, value: $.bytes",
        "metric: x_seconds_total, value: 5",
    ],
)
def test_where_the_units_are_the_same_or_unknown_nothing_is_said(
    problems_of_rules: ProblemsOf, keys: str
) -> None:
    assert unit_warnings(problems_of_rules, keys) == []


def test_the_packs_have_none_of_it(problems_of: ProblemsOf) -> None:
    packs = ", ".join(available_packs())
    problems = problems_of(
        "sources: [{name: h, type: event_history}, {name: l, type: log_groups, log_groups: [g]}]\n"
        f"rule_packs: [{packs}]\n"
    )
    assert not [p for p in problems if "add `scale" in p.message or "always the text" in p.message]
