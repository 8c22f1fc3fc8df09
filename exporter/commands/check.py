"""``check``: validate configuration files and the rules in them."""

from __future__ import annotations

import sys

import typer

from exporter.commands.options import ConfigFile, settings_from
from exporter.configuration import check as check_files


def check(config_file: ConfigFile = None) -> None:
    """Check the configuration and its rules.

    Prints every error with file, line and a caret; exits 1 where there is one.
    """
    checked = check_files(settings_from({"config_file": config_file}).config_file)
    for problem in checked.problems:
        print(problem.render(), file=sys.stderr)
    errors = len(checked.errors)
    warnings = len(checked.problems) - errors
    counts = [_count(errors, "error")] if errors else []
    counts += [_count(warnings, "warning")] if warnings else []
    if checked.configuration is None:
        print(", ".join(counts), file=sys.stderr)
        raise typer.Exit(1)
    sources = _count(len(checked.configuration.sources), "source")
    rules = _count(len(checked.configuration.rules), "rule")
    print(f"{sources}, {rules}: ok{f' ({counts[0]})' if counts else ''}")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
