"""``check``: validate configuration files and the rules in them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from exporter.commands.options import ConfigFile, settings_from
from exporter.configuration import check as check_files
from exporter.configuration.problems import Problem


def check(
    config_file: ConfigFile = None,
    web_config_file: Annotated[
        str | None,
        typer.Option(
            "--web.config.file",
            metavar="FILE",
            help="Check this too. [env: MFE_WEB_CONFIG_FILE; default: none]",
        ),
    ] = None,
) -> None:
    """Check the configuration and its rules.

    Prints every error with file, line and a caret; exits 1 where there is one.
    """
    settings = settings_from({"config_file": config_file, "web_config_file": web_config_file})
    checked = check_files(settings.config_file)
    problems = [*checked.problems, *_web_problems(settings.web_config_file)]
    for problem in problems:
        print(problem.render(), file=sys.stderr)
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    counts = [_count(errors, "error")] if errors else []
    counts += [_count(warnings, "warning")] if warnings else []
    if errors or checked.configuration is None:
        print(", ".join(counts), file=sys.stderr)
        raise typer.Exit(1)
    sources = _count(len(checked.configuration.sources), "source")
    rules = _count(len(checked.configuration.rules), "rule")
    print(f"{sources}, {rules}: ok{f' ({counts[0]})' if counts else ''}")


def _web_problems(path: Path | None) -> Sequence[Problem]:
    if path is None:
        return ()
    # The web server's libraries must not slow a check of the rules down.
    from exporter.web.config import load_web_config  # noqa: PLC0415

    return load_web_config(path).problems


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
