"""``explain``: why a message matches a filter pattern, or does not."""

from __future__ import annotations

from typing import Annotated

import typer

from exporter.commands.messages import closable_output, messages, opened
from exporter.commands.options import Pattern, compiled


def explain(
    pattern: Pattern,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="One message a line, or one JSON object as a whole; -: standard input.",
        ),
    ],
) -> None:
    """Show for each message the pattern's conditions, true or false, with the values they saw."""
    compiled_pattern = compiled(pattern)
    with opened(file) as stream, closable_output():
        for number, message in enumerate(messages(stream), start=1):
            print(f"{'' if number == 1 else chr(10)}message {number}: {_shortened(message)}")
            print(compiled_pattern.explain(message).render())


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    return line if len(line) <= 100 else f"{line[:99]}…"
