"""Every number of a configuration has bounds: what `check` accepts, the exporter can work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.configuration import Problem

ProblemsOf = Callable[[str], Sequence[Problem]]

RULE = "sources: [{{name: h, type: event_history}}]\nrules:\n  - {{name: r, pattern: x, {}}}\n"
COUNTER = "metric: m_total, value: $.v, "
HISTOGRAM = "type: histogram, metric: m, value: $.v, "
LOGS = (
    "sources:\n"
    "  - {{name: l, type: log_groups, log_groups: [g], {}}}\n"
    "rules: [{{name: r, pattern: x}}]\n"
)
FILES = "sources:\n  - {{name: f, type: files, paths: [g], {}}}\nrules: [{{name: r, pattern: x}}]\n"
# A key, where it stands, its least and greatest value, and what is just beyond them.
BOUNDS = [
    ("max_series", RULE, "{}", "1", "1000000", "0", "1000001"),
    ("value", RULE, "{}", "0", "9007199254740992", "-1", "9007199254740993"),
    ("value", RULE, "{}", "1e-9", "9.007199254740992e15", "9e-10", "1e16"),
    ("scale", RULE, COUNTER + "{}", "1e-15", "1e15", "9e-16", "1.1e15"),
    ("max_value", RULE, COUNTER + "{}", "1e-9", "1e300", "0", "1.1e300"),
    (
        "buckets",
        RULE,
        HISTOGRAM + "{}",
        "[-9007199254740992, 1]",
        "[9007199254740992]",
        "[-1e16, 1]",
        "[1, 9007199254740993]",
    ),
    (
        "buckets",
        RULE,
        HISTOGRAM + "{}",
        "[1]",
        str(list(range(200))),
        "[1, 1.00000000000000001]",
        str(list(range(201))),
    ),
    ("start", RULE, "{}", "now", "20y", "-1s", "7301d"),
    ("interval", LOGS, "lookback: 90d, {}", "1s", "1d", "999ms", "24h1ms"),
    ("discovery_interval", LOGS, "{}", "1s", "1d", "0", "2d"),
    ("lookback", LOGS, "{}", "30s", "90d", "29s", "91d"),
    ("start", LOGS, "{}", "0", "7300d", "-1", "100y"),
    ("interval", FILES, "{}", "1s", "1d", "1ms", "1w"),
]
ABSURD = [
    "9" * 400,
    "-" + "9" * 400,
    "9" * 5000,
    "1e999",
    "1e" + "9" * 400,
    "1e-400",
    "nan",
    "0x10",
]


@pytest.mark.parametrize("bounds", BOUNDS)
def test_a_number_has_a_least_and_a_greatest_value(
    problems_of: ProblemsOf, bounds: tuple[str, ...]
) -> None:
    key, file, beside, least, most, below, above = bounds
    for good in (least, most):
        problems = problems_of(file.format(beside.format(f"{key}: {good}")))
        assert not [problem for problem in problems if problem.severity == "error"], good
    for bad in (below, above, *ABSURD, *(f"[{number}]" for number in ABSURD)):
        text = file.format(beside.format(f"{key}: {bad}"))
        (error,) = problems_of(text)
        line = next(i for i, line in enumerate(text.splitlines(), 1) if f" {key}:" in line)
        assert (error.location.line, error.severity, f"`{key}`" in error.message) == (
            line,
            "error",
            True,
        )
        assert len(error.message) < 200 + min(len(bad), 500), bad


def test_digits_are_ascii_and_nothing_is_between_them(problems_of: ProblemsOf) -> None:
    for number in ("1_000", "\u0661", "1,5", "1 0"):
        assert problems_of(RULE.format(f"value: '{number}'")), number
        assert problems_of(RULE.format(f"max_series: '{number}'")), number


@pytest.mark.parametrize(
    ("keys", "at"),
    [
        ("interval: 2m, lookback: 1m", "lookback:"),
        ("lookback: 1m, interval: 2m", "lookback:"),
        ("interval: 2h", "interval:"),
        ("lookback: 10s", "lookback:"),
    ],
)
def test_a_lookback_below_the_interval_is_marked_at_the_key_to_change(
    problems_of: ProblemsOf, keys: str, at: str
) -> None:
    text = LOGS.format(keys)
    (error,) = problems_of(text)
    line = text.splitlines()[1]
    assert "`lookback` must be at least one `interval` (" in error.message
    assert (error.location.line, error.location.column) == (2, line.index(at) + 1)
