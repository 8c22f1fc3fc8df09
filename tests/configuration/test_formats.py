"""The format of log groups: how it is declared, and when declaring it is recommended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from exporter.configuration import Problem

ProblemsOf = Callable[[str], Sequence[Problem]]

CLOUDTRAIL_RULES = [
    "pattern: '{ $.eventName = ConsoleLogin }'",
    "pattern: '{ $.level = ERROR || ($.a = 1 && $.userIdentity.type = Root) }'",
    "pattern: '{ $.recipientAccountId NOT EXISTS }'",
    "pattern: ERROR, labels: {who: [$.user, $.userIdentity.arn]}",
    "pattern: ERROR, metric: a_total, value: $.requestParameters.size",
]
PLAIN_RULES = [
    "pattern: ERROR",
    "pattern: '[ip, eventName = x, ...]'",
    "pattern: 'eventName awsRegion'",
    "pattern: '{ $.level = ERROR && $.detail.eventName = x }', labels: {code: $.errorCode}",
]


def config(source: str, *rules: str) -> str:
    text = f"sources:\n  - name: history\n    type: event_history\n  - {{name: apps, {source}}}\n"
    named = "".join(f"  - {{name: r{n}, {rule}}}\n" for n, rule in enumerate(rules))
    return f"{text}rules:\n{named}"


@pytest.mark.parametrize("rule", CLOUDTRAIL_RULES)
def test_rules_with_cloudtrail_fields_make_it_worth_declaring(
    problems_of: ProblemsOf, rule: str
) -> None:
    text = config("type: log_groups, log_groups: ['*']", *PLAIN_RULES, rule, CLOUDTRAIL_RULES[0])
    (problem,) = problems_of(text)
    assert (problem.severity, problem.location.line, problem.location.column) == ("warning", 4, 12)
    for part in ("source `apps`", "rule `r4`", "`format: cloudtrail`", "`format: lines`"):
        assert part in problem.message


def test_nobody_is_asked_about_plain_text(problems_of: ProblemsOf) -> None:
    assert not problems_of(config("type: log_groups, log_groups: ['*']", *PLAIN_RULES))


@pytest.mark.parametrize("declared", ["auto", "cloudtrail", "lines"])
def test_nobody_is_asked_who_has_declared(problems_of: ProblemsOf, declared: str) -> None:
    source = f"type: log_groups, log_groups: ['*'], format: {declared}"
    assert not problems_of(config(source, *PLAIN_RULES, f"{CLOUDTRAIL_RULES[0]}, sources: [apps]"))


def test_nor_about_rules_that_listen_elsewhere(problems_of: ProblemsOf) -> None:
    source = "type: log_groups, log_groups: ['*']"
    rules = [f"{rule}, sources: [history]" for rule in CLOUDTRAIL_RULES]
    assert not problems_of(config(source, *rules, "pattern: x"))


def test_nor_about_files(problems_of: ProblemsOf) -> None:
    assert not problems_of(config("type: files, paths: [x.log]", *CLOUDTRAIL_RULES))
