"""Packs are tuned in ``rule_packs``, without a copy of their rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import Configuration, check, load, packs
from exporter.configuration.thresholds import Threshold

PACK = """\
title: T
description: D
format: lines
thresholds:
  many_refused: 25
  slow_seconds: 0.5
rules:
  - name: logins
    pattern: '[who, from, ...]'
    metric: logins_total
    severity: high
    max_series: 50
    labels:
      user: {from: $who, unbounded: true}
      team: security
  - {name: slow, pattern: slow, metric: slow_total}
  - {name: lost, pattern: lost, metric: lost_total}
  - {name: lost_too, pattern: gone, metric: lost_total}
"""
WriteFile = Callable[..., Path]


@pytest.fixture
def using(write: WriteFile, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A configuration file that uses the pack with these keys (from line 4 on)."""
    monkeypatch.setattr(packs, "FOLDERS", (write(PACK, "packs/mine.yaml").parent,))

    def write_use(text: str) -> Path:
        sources = "sources: [{name: apps, type: log_groups, log_groups: [a], format: lines}]\n"
        return write(f"{sources}rule_packs:\n- name: mine\n{text}")

    return write_use


@pytest.fixture
def loaded(using: Callable[[str], Path]) -> Callable[[str], Configuration]:
    return lambda text: load([using(text)])


def test_a_rule_is_changed_and_the_rest_of_it_stays(
    loaded: Callable[[str], Configuration],
) -> None:
    plain, tuned = (
        loaded(text).rules
        for text in (
            "",
            "  rules:\n"
            '    logins: {exclude: {user: ["ci-*", root]}, severity: low, max_series: 9,'
            " labels: {team: platform, cost: center}}\n",
        )
    )
    before, after = plain[0], tuned[0]
    assert (after.severity, after.max_series) == ("low", 9)
    assert after.exclude == {"user": ("ci-*", "root")}
    assert after.labels["user"] == before.labels["user"]
    assert [after.labels[name].literal for name in ("team", "cost")] == ["platform", "center"]
    assert (after.pattern, after.metric, after.pack) == (before.pattern, before.metric, "mine")
    assert plain[1:] == tuned[1:]


def test_thresholds_are_those_of_the_pack_or_of_its_use(
    loaded: Callable[[str], Configuration],
) -> None:
    assert loaded("").thresholds == (
        Threshold("many_refused", 25.0),
        Threshold("slow_seconds", 0.5),
    )
    accounts = '{accounts: {"111122223333": 500}}'
    changed = loaded(f"  thresholds: {{many_refused: {accounts}, slow_seconds: 2}}\n").thresholds
    assert changed == (
        Threshold("many_refused", 25.0, {"111122223333": 500.0}),
        Threshold("slow_seconds", 2.0),
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("  rules: {login: {severity: low}}", 4, 11, "no rule `login`; did you mean `logins`?"),
        ("  rules: {logins: low}", 4, 19, "must be a mapping"),
        ("  rules: {logins: {pattern: x}}", 4, 20, "unknown key `pattern`"),
        ("  rules: {logins: {sevrity: x}}", 4, 20, "did you mean `severity`?"),
        ("  rules: {logins: {max_series: 0}}", 4, 32, "`max_series` must be at least 1"),
        ("  rules: {logins: {exclude: {usr: [a]}}}", 4, 30, "no label `usr`; did you mean `user`?"),
        ("  rules: {logins: {exclude: {user: a}}}", 4, 36, "`exclude.user` must be a list"),
        ("  rules: {logins: {labels: {user: $x}}}", 4, 35, "the pattern has no field $x"),
        ("  rules: {logins: {labels: {a-b: c}}}", 4, 29, "write a_b"),
        ("  rules: {lost: {labels: {team: a}}}", 4, 26, "need equal label names"),
        ("  rules: {lost_too: {labels: {team: a}}}", 4, 30, "need equal label names"),
        ("  without: [slow]\n  rules: {slow: {severity: low}}", 5, 11, "leaves out the rule"),
        ("  thresholds: {many_refusd: 1}", 4, 16, "did you mean `many_refused`?"),
        ("  thresholds: {many_refused: many}", 4, 30, "must be a number"),
        ("  thresholds: {many_refused: -1}", 4, 30, "not negative"),
        ("  thresholds: {many_refused: {accounts: {x: 1}}}", 4, 42, "account"),
    ],
)
def test_what_is_wrong_with_the_tuning_is_said_at_its_place(
    using: Callable[[str], Path], text: str, line: int, column: int, message: str
) -> None:
    path = using(text + "\n")
    (problem,) = check([path]).errors
    assert message in problem.message
    assert (problem.location.file, problem.location.line, problem.location.column) == (
        str(path),
        line,
        column,
    )
