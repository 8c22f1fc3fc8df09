"""``match``: grep for filter patterns."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import typer

from exporter.commands.messages import (
    STANDARD_INPUT,
    InputError,
    closable_output,
    decoded,
    lines,
    shown_name,
)
from exporter.commands.options import (
    USAGE_ERROR,
    AsJson,
    Count,
    Files,
    Invert,
    LineNumber,
    Pattern,
    compiled,
    report,
)
from exporter.commands.terminal import Painter
from exporter.patterns import FilterPattern, Match, json_text


class _Found(NamedTuple):
    """A line that is to be printed."""

    number: int
    line: bytes
    match: Match | None


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
    message and, as `fields`, what a space-delimited pattern extracted or the values that the tests
    of a JSON pattern looked at. Exits 0 if something was found, 1 if nothing was, 2 on an error, as
    grep does.
    """
    filter_pattern = compiled(pattern)
    names = files or [STANDARD_INPUT]
    paint = Painter(sys.stdout)
    any_match = failed = False
    with closable_output():
        for name in names:
            shown = shown_name(name) if len(names) > 1 else ""
            prefix = f"{paint(shown, 'magenta')}:" if shown else ""
            matches = 0
            try:
                for found in _search(name, filter_pattern, invert=invert):
                    matches += 1
                    any_match = True
                    if count:
                        continue
                    if as_json:
                        line = _json(filter_pattern, found, shown, line_number=line_number)
                    else:
                        place = f"{paint(str(found.number), 'green')}:" if line_number else ""
                        line = f"{prefix}{place}".encode() + found.line
                    _write(line, flush=name == STANDARD_INPUT)
            except InputError as error:
                failed = True
                report(str(error))
            if count:
                print(f"{prefix}{matches}", flush=True)
    raise typer.Exit(USAGE_ERROR if failed else 0 if any_match else 1)


def _search(name: str, pattern: FilterPattern, *, invert: bool) -> Iterator[_Found]:
    for number, line in enumerate(lines(name), 1):
        match = pattern.match(decoded(line))
        if (match is None) == invert:
            yield _Found(number, line, match)


def _json(pattern: FilterPattern, found: _Found, name: str, *, line_number: bool) -> bytes:
    message = decoded(found.line)
    answer: dict[str, object] = {"file": name} if name else {}
    if line_number:
        answer["line"] = found.number
    answer["message"] = message
    answer["fields"] = (found.match.fields if found.match else {}) | pattern.values(message)
    return json_text(answer).encode()


def _write(line: bytes, *, flush: bool) -> None:
    sys.stdout.buffer.write(line if line.endswith(b"\n") else line + b"\n")
    if flush:
        # Whoever feeds a pipe line by line waits for the lines that match.
        sys.stdout.buffer.flush()
