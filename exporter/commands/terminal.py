"""Colours: on a terminal, unless NO_COLOR is set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TextIO

import typer

Colour = Literal["red", "yellow", "green", "cyan", "magenta", "bright_black"]


class Painter:
    """Adds colours to text for a stream, if it shows them."""

    def __init__(self, stream: TextIO, environment: Mapping[str, str] = os.environ) -> None:
        self._paints = _wanted(stream, environment)

    def __call__(self, text: str, colour: Colour, *, bold: bool = False) -> str:
        """The text in a colour."""
        return typer.style(text, fg=colour, bold=bold or None) if self._paints else text


def _wanted(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """By https://no-color.org, and FORCE_COLOR for pipes into programs that show colours."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"
