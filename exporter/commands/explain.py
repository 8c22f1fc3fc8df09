"""``explain``: why a message matches a filter pattern, or does not."""

from __future__ import annotations

import itertools
import sys
from dataclasses import asdict

import typer

from exporter.commands.messages import Message, messages
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
from exporter.commands.terminal import Colour, Painter
from exporter.patterns import Explanation, json_text
from exporter.patterns.explain import Part

_COLOURS: dict[Part, Colour] = {
    "holds": "green",
    "fails": "red",
    "seen": "cyan",
    "note": "bright_black",
}
_MAX_SHOWN = 100


def explain(
    *,
    pattern: Pattern,
    files: Files = None,
    invert: Invert = False,
    line_number: LineNumber = False,
    count: Count = False,
    as_json: AsJson = False,
) -> None:
    """Show for each message the pattern's conditions, true or false, with the values they saw.

    A message is a line, or a file that is one JSON object. -v leaves out the messages that match;
    -c prints only how many messages match; --json prints an object for each message.
    """
    filter_pattern = compiled(pattern)
    paint = Painter(sys.stdout)
    separator = itertools.chain([""], itertools.repeat("\n"))

    def visit(file: File, number: int, message: Message) -> bool:
        explanation = filter_pattern.explain(message.text)
        taken = explanation.matched != invert
        if count or (invert and not taken):
            return taken
        if as_json:
            print(_json(explanation, message, file.name))
            return taken
        place = f" (line {message.line})" if line_number else ""
        heading = f"{file.prefix}message {number}{place}: {_shortened(message.text)}"
        print(f"{next(separator)}{heading}")
        print(explanation.render(lambda text, part: paint(text, _COLOURS[part])))
        return taken

    if search(files, messages, visit, count=count).failed:
        raise typer.Exit(USAGE_ERROR)


def _json(explanation: Explanation, message: Message, name: str) -> str:
    return json_text(
        {
            **({"file": name} if name else {}),
            "line": message.line,
            "message": message.text,
            "matched": explanation.matched,
            "explanation": asdict(explanation),
        }
    )


def _shortened(message: str) -> str:
    line = " ".join(message.split())
    shown = line if len(line) <= _MAX_SHOWN else f"{line[: _MAX_SHOWN - 1]}…"
    # A heading has no control characters.
    return "".join(char if char.isprintable() else " " for char in shown)
