"""A declared log_line_prefix: every rule of the pack reads lines with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.configuration import check
from exporter.model import LogEvent, Partition
from exporter.rules import Evaluation, RuleSet
from exporter.sources.log_groups import LOG_GROUP

WriteFile = Callable[..., Path]

GROUP = Partition("db", "123456789012", "us-east-1", "/rds", LOG_GROUP)
SOURCE = "sources: [{name: db, type: log_groups, log_groups: [a]}]\n"
TAILS = {
    "rds_postgresql_errors": 'ERROR:  relation "x" does not exist at character 15',
    "rds_postgresql_deadlocks": "ERROR:  deadlock detected",
    "rds_postgresql_failed_logins": 'FATAL:  password authentication failed for user "ana"',
    "rds_postgresql_slow_queries": "LOG:  duration: 1500.250 ms  statement: SELECT 1",
    "rds_postgresql_panics": "PANIC:  could not write to file",
}
PREFIXES = {
    "%t [%p]: user=%u,db=%d ": "2030-01-02 03:04:05 UTC [17]: user=ana,db=shop ",
    "%m|%u|%d|%c|": "2030-01-02 03:04:05.678 UTC|ana|shop|65f0.1a2b|",
    "%m [%p] %q%u@%d/%a: ": "2030-01-02 03:04:05.678 CET [17] ana@shop/psql - local: ",
    "<%-8p %e> ": "<17       00000> ",
    "%n %h(%l): ": "1893553445.678 10.0.0.7(3): ",
    "": "",
}


def problems(write: WriteFile, use: str) -> list[str]:
    path = write(f"{SOURCE}rule_packs:\n  - {use}\n")
    return [problem.render().splitlines()[0] for problem in check([path]).problems]


def rule_set(write: WriteFile, prefix: str) -> RuleSet:
    path = write(
        f"{SOURCE}rule_packs:\n  - name: rds-postgresql\n    log_line_prefix: '{prefix}'\n"
    )
    checked = check([path])
    assert checked.configuration is not None, checked.problems
    assert checked.problems == ()
    return RuleSet.of(checked.configuration.rules, {"db": checked.configuration.formats_of("db")})


def evaluate(rules: RuleSet, line: str) -> Evaluation:
    return rules.evaluate([LogEvent(line, 1, "1")], GROUP, "lines")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_each_rule_reads_lines_with_the_declared_prefix(write: WriteFile, prefix: str) -> None:
    rules = rule_set(write, prefix)
    for name, tail in TAILS.items():
        evaluation = evaluate(rules, PREFIXES[prefix] + tail)
        assert name in {one.rule for one in evaluation.increments}, tail
    known = evaluate(rules, f"{PREFIXES[prefix]}LOG:  checkpoint starting: time")
    assert known == Evaluation([], {}, {})


def test_lines_of_background_processes_end_at_q(write: WriteFile) -> None:
    rules = rule_set(write, "%m [%p] %q%u@%d/%a: ")
    evaluation = evaluate(rules, "2030-01-02 03:04:05.678 CET [17] ERROR:  deadlock detected")
    assert "rds_postgresql_deadlocks" in {one.rule for one in evaluation.increments}


def test_lines_with_another_prefix_are_named_and_not_counted(write: WriteFile) -> None:
    rules = rule_set(write, "%m|%u|%d|%c|")
    evaluation = evaluate(rules, "shop/ana ERROR:  deadlock detected")
    assert not evaluation.events
    assert evaluation.unrecognized["rds-postgresql"].lines == 1


def test_the_text_of_a_statement_is_no_level(write: WriteFile) -> None:
    rules = rule_set(write, "%t [%p]: user=%u,db=%d ")
    line = PREFIXES["%t [%p]: user=%u,db=%d "] + "STATEMENT:  SELECT 'x ERROR:  deadlock detected"
    assert evaluate(rules, line).events == []


def test_csvlog_is_still_read(write: WriteFile) -> None:
    line = (
        '2030-01-02 03:04:05.678 UTC,"ana","shop",17,"10.0.0.7:5",65f0.11,1,"SELECT",'
        '2030-01-02 03:00:00 UTC,4/5,0,ERROR,40P01,"deadlock detected",,,,,,,,,"psql"'
    )
    found = evaluate(rule_set(write, "%p "), line).increments
    assert "rds_postgresql_deadlocks" in {one.rule for one in found}


@pytest.mark.parametrize(
    ("prefix", "place", "why"),
    [
        ("%t %z ", "3:49", "PostgreSQL has no %z; there are %% %L %P %Q %a"),
        ("%t %u%d ", "3:49", "%u can be any text: write one after it that ends it"),
        ("%t %d", "3:49", "%d can be any text"),
        ("%t é ", "3:49", "only printable ASCII characters can be read"),
        ("%t %", "3:49", "PostgreSQL has no %;"),
    ],
)
def test_a_prefix_that_cannot_be_read_is_an_error_at_its_character(
    write: WriteFile, prefix: str, place: str, why: str
) -> None:
    (problem,) = problems(write, f"{{name: rds-postgresql, log_line_prefix: '{prefix}'}}")
    assert f":{place}: error: `log_line_prefix` cannot be used: {why}" in problem


def test_a_pack_of_other_lines_has_no_prefix(write: WriteFile) -> None:
    (problem,) = problems(write, "{name: lambda, log_line_prefix: '%t '}")
    assert problem.endswith(
        "3:20: error: the rule pack `lambda` reads no lines of PostgreSQL: remove it"
    )
