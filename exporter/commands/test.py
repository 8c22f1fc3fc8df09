"""``test``: rule tests."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Annotated

import typer

from exporter.commands.messages import closable_output
from exporter.commands.options import USAGE_ERROR, fail
from exporter.model import SourceError
from exporter.ruletests import Loaded, RuleTestFile, coverage, load_rule_tests, run_tests
from exporter.ruletests.rendering import (
    render_coverage,
    render_difference,
    render_failed,
    render_passed,
)
from exporter.yamlfile.problems import plural


def run_rule_tests(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="Files of rule tests, globs, or folders (*.test.yaml in them)."
        ),
    ],
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print each test and its matches.")
    ] = False,
    show_coverage: Annotated[
        bool, typer.Option("--coverage", help="Print for each rule how many tests it has.")
    ] = False,
    against_aws: Annotated[
        bool,
        typer.Option(
            "--against-aws",
            help="Compare with AWS as well (logs:TestMetricFilter): needs credentials.",
        ),
    ] = False,
) -> None:
    """Run rule tests: events in, expected matches, labels and values out.

    A failed test shows the expected and the actual matches, and the pattern with its values.
    Exits 1 if something fails.
    """
    paths = _found(files)
    with closable_output():
        loaded = [load_rule_tests(path) for path in paths]
        passed = [_run(path, one, verbose=verbose) for path, one in zip(paths, loaded, strict=True)]
        usable = [one.file for one in loaded if one.file is not None]
        different = _compare(usable) if against_aws else 0
        rows = coverage(usable)
        if show_coverage:
            print(f"\n{render_coverage(rows)}\n")
        tests = sum(len(file.tests) for file in usable)
        print(
            f"{plural(len(paths), 'file')}, {plural(tests, 'test')}, {plural(len(rows), 'rule')}:"
            f" {_outcome(passed.count(False), different)}"
        )
    raise typer.Exit(1 if different or not all(passed) else 0)


def _outcome(failed: int, different: int) -> str:
    parts = [f"{plural(failed, 'file')} failed"] if failed else []
    parts += [f"{plural(different, 'file')} not as AWS"] if different else []
    return ", ".join(parts) or "ok"


def _found(names: list[str]) -> list[Path]:
    """The files that arguments name: each once, in the arguments' order."""
    found: dict[Path, None] = {}
    for name in names:
        path = Path(name)
        if path.is_dir():
            some = sorted([*path.rglob("*.test.yaml"), *path.rglob("*.test.yml")])
        elif path.exists():
            some = [path]
        else:
            some = [Path(one) for one in sorted(glob.glob(name, recursive=True))]  # noqa: PTH207
        if not some:
            what = (
                "no file *.test.yaml in this folder" if path.is_dir() else "there is no such file"
            )
            fail(f"{name}: {what}", USAGE_ERROR)
        found |= dict.fromkeys(some)
    return list(found)


def _run(path: Path, loaded: Loaded, *, verbose: bool) -> bool:
    """Run a file's tests and print how they went; return whether all is well."""
    for problem in loaded.problems:
        print(problem.render())
    if loaded.file is None:
        errors = sum(problem.severity == "error" for problem in loaded.problems)
        print(f"{path}: FAILED ({plural(errors, 'error')})")
        return False
    results = run_tests(loaded.file)
    failed = [result for result in results if not result.passed]
    count = f"{plural(len(results), 'test')}, {plural(len(loaded.file.rules), 'rule')}"
    if failed:
        print(f"{path}: FAILED ({len(failed):,} of {count})")
    else:
        print(f"{path}: ok ({count})")
    for result in results:
        if not result.passed:
            print(f"\n{render_failed(result)}")
        elif verbose:
            print(render_passed(result))
    if failed:
        print()
    return not failed


def _compare(files: list[RuleTestFile]) -> int:
    """Compare each file with AWS and print how it went; return how many differ."""
    # boto3 takes a while to import.
    from exporter.aws.accounts import AwsAccounts  # noqa: PLC0415
    from exporter.ruletests.against_aws import compare, open_logs  # noqa: PLC0415

    different = 0
    try:
        logs, region = open_logs(AwsAccounts())
        for file in files:
            comparison = compare(file, logs, region)
            for note in comparison.notes:
                print(f"{file.path}: note: {note}")
            for difference in comparison.differences:
                print(render_difference(difference))
            different += bool(comparison.differences)
            word = "DIFFERENT from AWS" if comparison.differences else "as AWS"
            print(f"{file.path}: {word} ({comparison.compared:,} comparisons)")
    except SourceError as error:
        # This command does not retry, unlike the daemon.
        fail(f"--against-aws: {str(error).replace('; it is tried again', '')}", 1)
    return different
