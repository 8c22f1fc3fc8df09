"""What the sub-commands share: options, and how errors are told."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from textwrap import indent
from typing import Annotated, Literal, NoReturn, TypeAlias

import typer

from exporter.commands.terminal import Colour, Painter
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
Files: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE",
        help="Files, gzip or not, with one message a line; -, or none: standard input.",
    ),
]
Invert: TypeAlias = Annotated[
    bool, typer.Option("--invert-match", "-v", help="Take the messages that do not match.")
]
LineNumber: TypeAlias = Annotated[
    bool, typer.Option("--line-number", "-n", help="Print the number of each message's line.")
]
Count: TypeAlias = Annotated[
    bool, typer.Option("--count", "-c", help="Print only how many messages there are, by file.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object a message.")]


def report(message: str, severity: Literal["error", "warning"] = "error") -> None:
    """Print on standard error what is wrong, in colour on a terminal."""
    sys.stdout.flush()  # in the order in which it happened, where both are one terminal
    colour: Colour = "red" if severity == "error" else "yellow"
    print(f"{Painter(sys.stderr)(f'{severity}:', colour, bold=True)} {message}", file=sys.stderr)


def fail(message: str, code: int) -> NoReturn:
    """Tell what is wrong on standard error and end with an exit code."""
    report(message)
    raise typer.Exit(code)


def settings_from(flags: Mapping[str, object]) -> Settings:
    """The settings, with a warning for each variable that is none; ends the command on an error."""
    try:
        settings = load_settings(flags)
    except SettingsError as error:
        fail(str(error), USAGE_ERROR)
    for sentence in unknown_variables():
        report(sentence, "warning")
    return settings


def compiled(text: str) -> FilterPattern:
    """The pattern, its warnings on standard error; ends the command where it is wrong."""
    try:
        pattern = compile_pattern(text, aws_limits=False)
    except PatternError as error:
        fail(f"{error.message}\n{indent(error.caret(), '    ')}", USAGE_ERROR)
    for warning in pattern.warnings:
        report(warning.message, "warning")
    return pattern
