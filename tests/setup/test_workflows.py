"""The workflows on GitHub, the hooks of a commit, and the package's links."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.tools import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").iterdir())
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CALL = re.compile(
    r'(make|\.ci/run|python3 scripts/\w+\.py)( [\w=]+| "\$\w+"| IMAGE="\$\([^()]+\)")*'
)
"""A step that only calls what tests run."""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False
    )


def jobs(workflow: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(workflow.read_text())["jobs"]
    return found


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(workflow).values() for step in job.get("steps", [])]


def test_actionlint_has_nothing_to_say() -> None:
    done = run(BIN / "actionlint", *WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_zizmor_has_nothing_to_say() -> None:
    """It holds permissions, pins, credentials and injections."""
    done = run(BIN / "zizmor", "--offline", "--quiet", ".github")
    assert done.returncode == 0, done.stdout


def test_both_see_a_fault(tmp_path: Path) -> None:
    workflow = tmp_path / ".github" / "workflows" / "bad.yaml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: push\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - uses: actions/checkout@v5\n      - run: echo ${{ matrix.nothing.here }}\n"
    )
    assert "matrix" in run(BIN / "actionlint", workflow).stdout
    assert "unpinned-uses" in run(BIN / "zizmor", "--offline", "--quiet", workflow).stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_steps_only_call_what_tests_run(workflow: Path) -> None:
    commands = [step["run"] for step in steps(workflow) if "run" in step]
    assert commands
    assert [command for command in commands if not CALL.fullmatch(command)] == []
    for script in re.findall(r"scripts/\w+\.py|\.ci/run", "\n".join(commands)):
        assert (ROOT / script).is_file()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", "\n".join(commands), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_an_action_has_its_version_beside_its_commit(workflow: Path) -> None:
    used = re.findall(r"uses: (?!\./)(.*)", workflow.read_text())
    assert used
    pin = re.compile(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    assert [action for action in used if not pin.fullmatch(action)] == []


def test_one_action_is_pinned_once() -> None:
    text = "".join(path.read_text() for path in WORKFLOWS)
    pins = set(re.findall(r"uses: ([\w./-]+@[0-9a-f]{40} # \S+)", text))
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_gives_its_jobs_nothing_by_default(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {}
    for job in jobs(workflow).values():
        assert job["permissions"]["contents"] in {"read", "write"}


def test_every_python_is_tested_with_the_lock_and_with_the_newest() -> None:
    matrix = jobs(ROOT / ".github" / "workflows" / "ci.yaml")["test"]["strategy"]["matrix"]
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    assert matrix["python"][0] == oldest
    assert matrix["newest"] == ["", "1"]
    assert [entry["python"] for entry in matrix["include"]] == matrix["python"]


def test_a_release_is_tested_first() -> None:
    released = jobs(ROOT / ".github" / "workflows" / "release.yaml")
    assert released["release"]["needs"] == "test"
    assert released["test"]["uses"] == "./.github/workflows/ci.yaml"


def test_a_commit_is_held_to_what_make_lint_runs() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: hook["entry"] for hook in local["hooks"]}
    checks = re.search(r"^LINT := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert checks is not None
    assert hooks == {name: f"make lint-{name}" for name in checks[1].split()}
    printed = run("make", "--dry-run", "--assume-old=setup", "lint").stdout
    for tool in (
        "ruff check",
        "ruff format",
        "mypy",
        "lint-imports",
        "actionlint",
        "zizmor",
        "python scripts/prose.py",
    ):
        assert f"/{tool}" in printed
    assert run(BIN / "pre-commit", "validate-config").returncode == 0


def test_forms_of_issues_ask_for_what_they_name() -> None:
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
    assert [path.stem for path in forms] == ["bug", "feature", "wrong_count"]
    for path in forms:
        form = yaml.safe_load(path.read_text())
        assert {"name", "description", "body"} <= form.keys()
        asked = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in asked}) == len(asked)
        assert any(part.get("validations", {}).get("required") for part in asked)
        assert all(part["attributes"]["label"] for part in asked)


def test_the_package_links_to_the_project() -> None:
    urls = PROJECT["project"]["urls"]
    assert urls.keys() == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    site = yaml.load((ROOT / "mkdocs.yml").read_text(), _AnyTag)  # noqa: S506 - a SafeLoader
    assert urls["Documentation"] == site["site_url"]
    assert urls["Source"] == site["repo_url"]


class _AnyTag(yaml.SafeLoader):
    """Reads what has tags of Python as nothing."""


_AnyTag.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
