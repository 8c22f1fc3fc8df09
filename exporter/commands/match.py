"""``match``: grep for filter patterns."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from exporter.commands.messages import closable_output, decoded, opened
from exporter.commands.options import Pattern, compiled


def match(
    pattern: Pattern,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="One message a line; -: standard input.")
    ] = "-",
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a match: the message and its fields.")
    ] = False,
    count: Annotated[bool, typer.Option("--count", help="Print only how many match.")] = False,
) -> None:
    """Print the lines of FILE (or of standard input) that match a filter pattern.

    Exits 0 if something matched, 1 if nothing did, 2 on an error, as grep does.
    """
    compiled_pattern = compiled(pattern)
    matches = 0
    with opened(file) as stream, closable_output():
        for line in stream:
            message = decoded(line)
            found = compiled_pattern.match(message)
            if found is None:
                continue
            matches += 1
            if count:
                continue
            if as_json:
                answer = {"message": message, "fields": dict(found.fields)}
                line = json.dumps(answer, ensure_ascii=False).encode() + b"\n"  # noqa: PLW2901
            sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")
            if file == "-":
                # Whoever feeds a pipe line by line waits for the lines that match.
                sys.stdout.buffer.flush()
        if count:
            print(matches)
    raise typer.Exit(0 if matches else 1)
