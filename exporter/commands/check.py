"""``check``: validate configuration files and the rules in them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from exporter.clock import Clock
from exporter.commands.options import ConfigFile, setting_option, settings_from
from exporter.commands.terminal import Colour, Painter
from exporter.configuration import Checked
from exporter.configuration import check as check_files
from exporter.sources.base import Environment
from exporter.yamlfile.problems import Problem, plural


def check(
    config_file: ConfigFile = None,
    web_config_file: Annotated[
        str | None, setting_option("web_config_file", "Check this too.")
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Ask AWS too, read-only, whether the accounts, regions and log groups that the"
            " sources name are there: needs credentials (sts:GetCallerIdentity,"
            " logs:DescribeLogGroups).",
        ),
    ] = False,
) -> None:
    """Check the configuration and its rules.

    Prints every error and warning with file, line and a caret; exits 1 if there is an error.
    """
    settings = settings_from({"config_file": config_file, "web_config_file": web_config_file})
    checked = check_files(settings.config_file)
    problems = [*checked.problems, *_web_problems(settings.web_config_file)]
    if online:
        problems += _online_problems(checked)
    paint = Painter(sys.stderr)
    for problem in problems:
        print(_painted(problem, paint), file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counts = [plural(errors, "error")] if errors else []
    counts += [plural(warnings, "warning")] if warnings else []
    if errors or checked.configuration is None:
        print(", ".join(counts), file=sys.stderr)
        raise typer.Exit(1)
    sources = plural(len(checked.configuration.sources), "source")
    rules = plural(len(checked.configuration.rules), "rule")
    print(f"{sources}, {rules}: ok{f' ({counts[0]})' if counts else ''}")


def _web_problems(path: Path | None) -> Sequence[Problem]:
    if path is None:
        return ()
    # The web server's libraries must not slow a check of the rules down.
    from exporter.web.config import load_web_config  # noqa: PLC0415

    return load_web_config(path).problems


def _online_problems(checked: Checked) -> Sequence[Problem]:
    # boto3 takes a while to import.
    from exporter.aws.accounts import AwsAccounts  # noqa: PLC0415

    environment = Environment(AwsAccounts(), Clock())
    sources = checked.configuration.sources if checked.configuration else ()
    return [
        problem
        for source in sources
        for problem in source.problems_online(environment, checked.sources[source.name])
    ]


def _painted(problem: Problem, paint: Painter) -> str:
    colour: Colour = "red" if problem.severity == "error" else "yellow"
    head = f"{problem.location}: {problem.severity}:"
    painted = f"{paint(str(problem.location), 'cyan')}: "
    painted += paint(f"{problem.severity}:", colour, bold=True)
    return painted + problem.render().removeprefix(head)
