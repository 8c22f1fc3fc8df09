"""Options of ``match`` and ``explain``, and one pass over files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from textwrap import indent
from typing import Annotated, NamedTuple, TypeAlias, TypeVar

import typer

from exporter.commands.messages import STANDARD_INPUT, InputError, closable_output, shown_name
from exporter.commands.options import USAGE_ERROR, fail, report
from exporter.commands.terminal import Painter
from exporter.patterns import FilterPattern, PatternError, compile_pattern

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

Message = TypeVar("Message")


class File(NamedTuple):
    """A file that is searched."""

    name: str
    """As people read it; empty if there is only one file."""
    prefix: str
    """The prefix of its lines of output."""
    is_standard_input: bool


class Outcome(NamedTuple):
    """How a search went."""

    found: bool
    failed: bool
    """Whether a file could not be read."""


def compiled(text: str) -> FilterPattern:
    """The pattern, its warnings on standard error; ends the command if it is wrong."""
    try:
        pattern = compile_pattern(text, aws_limits=False)
    except PatternError as error:
        fail(f"{error.message}\n{indent(error.caret(), '    ')}", USAGE_ERROR)
    for warning in pattern.warnings:
        report(warning.message, "warning")
    return pattern


def search(
    files: list[str] | None,
    read: Callable[[str], Iterable[Message]],
    visit: Callable[[File, int, Message], bool],
    *,
    count: bool,
) -> Outcome:
    """Visit each message of each file with its number; ``count`` prints how many visits were true.

    A file that cannot be read is reported, and the next one follows.
    """
    names = files or [STANDARD_INPUT]
    paint = Painter(sys.stdout)
    any_found = failed = False
    with closable_output():
        for name in names:
            shown = shown_name(name) if len(names) > 1 else ""
            prefix = f"{paint(shown, 'magenta')}:" if shown else ""
            file = File(shown, prefix, name == STANDARD_INPUT)
            found = 0
            try:
                for number, message in enumerate(read(name), 1):
                    taken = visit(file, number, message)
                    found += taken
                    any_found |= taken
            except InputError as error:
                failed = True
                report(str(error))
            if count:
                print(f"{prefix}{found}", flush=True)
    return Outcome(any_found, failed)
