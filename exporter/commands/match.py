"""``match``: grep for filter patterns."""

from __future__ import annotations

import sys

import typer

from exporter.commands.messages import decoded, lines
from exporter.commands.options import USAGE_ERROR
from exporter.commands.search import (
    AsJson,
    Count,
    File,
    Files,
    Invert,
    LineNumber,
    Pattern,
    compiled,
    search,
)
from exporter.commands.terminal import Painter
from exporter.patterns import json_text


def match(
    *,
    pattern: Pattern,
    files: Files = None,
    invert: Invert = False,
    line_number: LineNumber = False,
    count: Count = False,
    as_json: AsJson = False,
) -> None:
    """Print the lines of files or standard input that match a filter pattern.

    With several files each line begins with its file's name. --json prints one object a line: the
    message and, as `fields`, the fields of a space-delimited pattern or the values that the tests
    of a JSON pattern looked at. Exits 0 if something was found, 1 if nothing was, 2 on an error, as
    grep does.
    """
    filter_pattern = compiled(pattern)
    paint = Painter(sys.stdout)

    def visit(file: File, number: int, line: bytes) -> bool:
        message = decoded(line)
        match = filter_pattern.match(message)
        if (match is None) != invert:
            return False
        if count:
            return True
        if as_json:
            facts: dict[str, object] = {"file": file.name} if file.name else {}
            if line_number:
                facts["line"] = number
            fields = (match.fields if match else {}) | filter_pattern.values(message)
            line = json_text({**facts, "message": message, "fields": fields}).encode()
        else:
            place = f"{paint(str(number), 'green')}:" if line_number else ""
            line = f"{file.prefix}{place}".encode() + line
        _write(line, flush=file.is_standard_input)
        return True

    found, failed = search(files, lines, visit, count=count)
    raise typer.Exit(USAGE_ERROR if failed else 0 if found else 1)


def _write(line: bytes, *, flush: bool) -> None:
    sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")
    if flush:
        # Programs that write to a pipe line by line wait for the lines that match.
        sys.stdout.buffer.flush()
