"""``explain``: why a message matches a filter pattern, or does not."""

from __future__ import annotations

import sys
from dataclasses import asdict

import typer

from exporter.commands.messages import (
    STANDARD_INPUT,
    InputError,
    Message,
    closable_output,
    messages,
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
    names = files or [STANDARD_INPUT]
    paint = Painter(sys.stdout)
    failed = False
    begun = False
    with closable_output():
        for name in names:
            shown = shown_name(name) if len(names) > 1 else ""
            prefix = f"{paint(shown, 'magenta')}:" if shown else ""
            matches = 0
            try:
                for number, message in enumerate(messages(name), 1):
                    explanation = filter_pattern.explain(message.text)
                    matches += explanation.matched != invert
                    if count or (invert and explanation.matched):
                        continue
                    if as_json:
                        print(_json(explanation, message, shown))
                        continue
                    print("\n" if begun else "", end="")
                    begun = True
                    place = f" (line {message.line})" if line_number else ""
                    print(f"{prefix}message {number}{place}: {_shortened(message.text)}")
                    print(explanation.render(lambda text, part: paint(text, _COLOURS[part])))
            except InputError as error:
                failed = True
                report(str(error))
            if count:
                print(f"{prefix}{matches}")
    if failed:
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
    # What steers a terminal does not belong into a heading.
    return "".join(char if char.isprintable() else " " for char in shown)
