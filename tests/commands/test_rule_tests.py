"""``test`` runs rule tests and says what fails, where, and why."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from exporter.patterns import FilterPattern, Match
from metric_filter_demo.aws import EmbeddedAws

Invoke = Callable[..., Result]

RULES = "rules: [{name: root, pattern: '{ $.type = Root }', labels: {user: $.user}}]\n"
GOOD = """\
rule_files: [rules.yaml]
tests:
  - {name: the root user, event: {type: Root, user: me}, matches: [root]}
  - {name: another, event: {type: IAMUser}, matches: [], no_match: [root]}
"""
BAD = """\
rule_files: [rules.yaml]
tests:
  - {name: right, event: {type: Root}, matches: [root]}
  - {name: wrong, event: {type: IAMUser}, matches: [root]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with rules, two tests that pass, and one of two that fails below."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "good.test.yaml").write_text(GOOD)
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "rules.yaml").write_text(RULES)
    (tmp_path / "below" / "bad.test.yaml").write_text(BAD)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_tests_that_pass_are_counted(invoke: Invoke) -> None:
    result = invoke("test", "good.test.yaml")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "good.test.yaml: ok (2 tests, 1 rule)",
        "1 file, 2 tests, 1 rule: ok",
    ]


@pytest.mark.usefixtures("folder")
def test_a_failed_test_is_shown_with_its_place_and_the_reason(invoke: Invoke) -> None:
    result = invoke("test", "below/bad.test.yaml", "good.test.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "below/bad.test.yaml: FAILED (1 of 2 tests, 1 rule)",
        "",
        "FAILED wrong (below/bad.test.yaml:4:5)",
        "  root",
        "    expected: match",
        "    got:      no match",
        "    the pattern:",
        '      ✗ $.type = Root  ← "IAMUser"',
        "",
        "good.test.yaml: ok (2 tests, 1 rule)",
        "2 files, 4 tests, 2 rules: 1 file failed",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["."], ["below/bad.test.yaml", "good.test.yaml"]),
        (["below"], ["below/bad.test.yaml"]),
        (["*.test.yaml"], ["good.test.yaml"]),
        (["**/*.test.yaml"], ["below/bad.test.yaml", "good.test.yaml"]),
        (["good.test.yaml", "*.test.yaml"], ["good.test.yaml"]),
    ],
)
def test_files_are_found_by_folder_and_glob(
    invoke: Invoke, arguments: list[str], files: list[str]
) -> None:
    lines = invoke("test", *arguments).stdout.splitlines()
    found = [line.split(": ")[0] for line in lines if ".test.yaml: " in line]
    assert found == files


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("none.test.yaml", "none.test.yaml: there is no such file"),
        ("*.toast.yaml", "*.toast.yaml: there is no such file"),
        ("empty", "empty: no file *.test.yaml in this folder"),
    ],
)
def test_nothing_to_test_is_a_usage_error(
    invoke: Invoke, folder: Path, argument: str, message: str
) -> None:
    (folder / "empty").mkdir()
    result = invoke("test", argument)
    assert result.exit_code == 2
    assert message in result.stderr


def test_errors_of_a_file_are_told_and_the_others_run(invoke: Invoke, folder: Path) -> None:
    (folder / "a.test.yaml").write_text(GOOD.replace("[root]", "[rot]"))
    result = invoke("test", "a.test.yaml", "good.test.yaml")
    assert result.exit_code == 1
    assert result.stdout.startswith(
        "a.test.yaml:3:68: error: no rule `rot` is under test; did you mean `root`?\n"
    )
    assert "a.test.yaml: FAILED (2 errors)" in result.stdout
    assert "good.test.yaml: ok (2 tests, 1 rule)" in result.stdout


def test_warnings_are_told_and_do_not_fail(invoke: Invoke, folder: Path) -> None:
    (folder / "a.test.yaml").write_text(GOOD + "events: {unused: {}}\n")
    result = invoke("test", "a.test.yaml")
    assert result.exit_code == 0
    assert "warning: no test uses the event `unused`" in result.stdout


@pytest.mark.usefixtures("folder")
def test_verbose_shows_each_test_and_what_matched(invoke: Invoke) -> None:
    lines = invoke("test", "-v", "good.test.yaml").stdout.splitlines()
    assert lines[1:4] == [
        "ok the root user (good.test.yaml:3:5)",
        '  root {rule="root", user="me"} with value 1',
        "ok another (good.test.yaml:4:5)",
    ]


@pytest.mark.usefixtures("folder")
def test_coverage_counts_the_tests_of_each_rule(invoke: Invoke) -> None:
    lines = invoke("test", "--coverage", "good.test.yaml").stdout.splitlines()
    assert [line.split() for line in lines[2:4]] == [
        ["rule", "pack", "matches", "near", "misses"],
        ["root", "-", "1", "1"],
    ]


@pytest.mark.usefixtures("folder")
def test_against_aws_says_where_aws_differs(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedAws(quotas={"TestMetricFilter": math.inf}) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(FilterPattern, "match", lambda _pattern, _message: Match({}))
        result = invoke("test", "--against-aws", "good.test.yaml")
    assert result.exit_code == 1
    assert (
        "DIFFERENT root: the exporter matches, AWS does not (good.test.yaml:4:5)\n" in result.stdout
    )
    assert "good.test.yaml: DIFFERENT from AWS (2 comparisons)\n" in result.stdout


@pytest.mark.usefixtures("folder")
def test_against_aws_says_that_aws_agrees(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedAws(quotas={"TestMetricFilter": math.inf}) as aws:
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        result = invoke("test", "--against-aws", ".")
    assert result.exit_code == 1
    assert "good.test.yaml: as AWS (2 comparisons)\n" in result.stdout
    assert result.stdout.endswith("2 files, 4 tests, 2 rules: 1 file failed\n")


@pytest.mark.usefixtures("folder")
def test_against_aws_says_what_it_lacks(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    result = invoke("test", "--against-aws", "good.test.yaml")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: --against-aws: logs:TestMetricFilter in region us-east")
    assert "give the exporter credentials" in result.stderr
    assert "Traceback" not in result.output
