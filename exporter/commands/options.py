"""What the sub-commands share: options, and how errors are told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from textwrap import indent
from typing import Annotated, NoReturn, TypeAlias

import typer

from exporter.patterns import FilterPattern, PatternError, compile_pattern
from exporter.settings import Settings, SettingsError, load_settings, unknown_variables

USAGE_ERROR = 2

ConfigFile: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--config.file",
        metavar="PATH",
        help="Configuration file; repeatable, the files are merged."
        " [env: MFE_CONFIG_FILE; default: metric-filter-exporter.yaml]",
    ),
]
Pattern: TypeAlias = Annotated[
    str, typer.Option("--pattern", "-p", metavar="PATTERN", help="The filter pattern.")
]


def fail(message: str, code: int) -> NoReturn:
    """Tell what is wrong on standard error and end with an exit code."""
    print(f"error: {message}", file=sys.stderr)
    raise typer.Exit(code)


def settings_from(flags: Mapping[str, object]) -> Settings:
    """The settings, with a warning for each variable that is none; ends the command on an error."""
    try:
        settings = load_settings(flags)
    except SettingsError as error:
        fail(str(error), USAGE_ERROR)
    for sentence in unknown_variables():
        print(f"warning: {sentence}", file=sys.stderr)
    return settings


def compiled(text: str) -> FilterPattern:
    """The pattern, its warnings on standard error; ends the command where it is wrong."""
    try:
        pattern = compile_pattern(text, aws_limits=False)
    except PatternError as error:
        fail(f"{error.message}\n{indent(error.caret(), '    ')}", USAGE_ERROR)
    for warning in pattern.warnings:
        print(f"warning: {warning.message}", file=sys.stderr)
    return pattern
