"""Every rule pack is whole: its rules load cleanly, say what to do, and are tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

from exporter.configuration import Checked, RuleConfig, check
from exporter.configuration.packs import FOLDERS, available_packs
from exporter.ruletests import Loaded, coverage, load_rule_tests, run_tests
from exporter.ruletests.rendering import render_failed

ROOT = Path(__file__).parents[2]
PACKS = sorted(path.stem for path in (ROOT / "config" / "rules").glob("*.yaml"))
TESTS = sorted((ROOT / "config" / "rules" / "tests").glob("*.test.yaml"))
SEVERITIES = {"critical", "high", "medium", "low", "info"}

EXPECTED_PACKS = {
    "api-gateway",
    "aws-findings",
    "cis-aws-foundations",
    "cloudtrail-account",
    "cloudtrail-ai",
    "cloudtrail-compute",
    "cloudtrail-data",
    "cloudtrail-defenses",
    "cloudtrail-exposure",
    "cloudtrail-identity",
    "cloudtrail-security",
    "ecs",
    "eks-audit",
    "emf",
    "http-access",
    "lambda",
    "linux-syslog",
    "network-firewall",
    "nlb-access",
    "rds-mysql",
    "rds-postgresql",
    "route53-resolver",
    "step-functions",
    "vpc-flow-logs",
    "waf",
}
CIS_METRICS = [
    "unauthorized_api_calls",
    "console_signin_without_mfa",
    "root_usage",
    "iam_policy_changes",
    "cloudtrail_configuration_changes",
    "console_authentication_failures",
    "cmk_disabled_or_deleted",
    "s3_bucket_policy_changes",
    "config_configuration_changes",
    "security_group_changes",
    "nacl_changes",
    "network_gateway_changes",
    "route_table_changes",
    "vpc_changes",
    "organizations_changes",
]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A configuration that uses every pack."""
    path = tmp_path_factory.mktemp("packs") / "config.yaml"
    path.write_text(
        "sources:\n"
        "  - {name: history, type: event_history}\n"
        "  - {name: logs, type: log_groups, log_groups: ['*'], format: auto}\n"
        f"rule_packs: [{', '.join(PACKS)}]\n"
    )
    return check([path])


@pytest.fixture
def rules(checked: Checked) -> Sequence[RuleConfig]:
    """The rules of all packs."""
    assert checked.configuration is not None, checked.problems
    return checked.configuration.rules


@cache
def loaded(path: Path) -> Loaded:
    return load_rule_tests(path)


def test_each_metric_that_rules_share_says_what_it_counts(rules: Sequence[RuleConfig]) -> None:
    shared = Counter(rule.metric for rule in rules if not rule.uses_default_metric)
    helped = {rule.metric for rule in rules if rule.metric_help}
    assert {metric for metric, number in shared.items() if number > 1} <= helped


def test_the_packs_are_there() -> None:
    assert set(PACKS) == EXPECTED_PACKS
    assert FOLDERS[1] == ROOT / "config" / "rules"
    assert sorted(available_packs()) == PACKS


def test_all_packs_load_together_without_errors_or_warnings(checked: Checked) -> None:
    problems = [problem for problem in checked.problems if "no rule listens" not in problem.message]
    assert problems == [], "\n".join(problem.render() for problem in problems)


def test_rules_say_what_they_mean_and_what_to_do(rules: Sequence[RuleConfig]) -> None:
    names = [rule.name for rule in rules]
    assert len(set(names)) == len(names)
    for rule in rules:
        assert rule.title != rule.name, rule.name
        assert rule.description, rule.name
        assert rule.remediation, rule.name
        assert rule.severity in SEVERITIES, rule.name
        assert not rule.uses_default_metric, rule.name


def test_packs_listen_where_their_events_are(rules: Sequence[RuleConfig]) -> None:
    for rule in rules:
        trail = rule.pack.startswith(("cis-", "cloudtrail-", "aws-findings"))
        expected = ("history", "logs") if trail else ("logs",)
        assert rule.sources == expected, rule.name


def test_the_benchmark_is_whole_and_in_its_order(rules: Sequence[RuleConfig]) -> None:
    cis = [rule for rule in rules if rule.pack == "cis-aws-foundations"]
    metrics = list(dict.fromkeys(rule.metric for rule in cis))
    assert metrics == [f"aws_cis_{what}_total" for what in CIS_METRICS]
    assert all(rule.controls for rule in cis)


def test_each_pack_has_a_file_of_tests() -> None:
    assert [path.name for path in TESTS] == [f"{pack}.test.yaml" for pack in PACKS]


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_rule_tests_of_a_pack_pass(path: Path) -> None:
    one = loaded(path)
    assert one.problems == (), "\n".join(problem.render() for problem in one.problems)
    assert one.file is not None
    failed = [result for result in run_tests(one.file) if not result.passed]
    assert not failed, "\n".join(render_failed(result) for result in failed)


def test_each_rule_has_two_matches_and_two_near_misses(rules: Sequence[RuleConfig]) -> None:
    rows = coverage(file for path in TESTS if (file := loaded(path).file) is not None)
    assert {row.rule.name for row in rows} == {rule.name for rule in rules}
    few = [
        f"{row.rule.name}: {row.matches} matches, {row.near_misses} near misses"
        for row in rows
        if min(row.matches, row.near_misses) < 2
    ]
    assert few == []


def test_the_example_of_the_documentation_is_right(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "rule-tests.md").read_text(encoding="utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yaml").write_text("rules: [{name: a, pattern: zebra}]\n")
    path = tmp_path / "tests" / "example.test.yaml"
    path.parent.mkdir()
    path.write_text(example, encoding="utf-8")
    one = load_rule_tests(path)
    assert one.problems == ()
    assert one.file is not None
    assert len(one.file.tests) == 2
    assert all(result.passed for result in run_tests(one.file))
