"""Errors and warnings about filter patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WarningCode = Literal["aws-limit", "uncertain", "trap"]
"""``aws-limit``: AWS would reject the pattern. ``uncertain``: AWS does not document the construct,
so AWS and the exporter may differ. ``trap``: the meaning is known, but seldom intended."""

_CARET_WIDTH = 100


class PatternError(ValueError):
    """A filter pattern is not valid; the message says why and suggests a correction."""

    def __init__(self, message: str, text: str, position: int) -> None:
        super().__init__(message, text, position)
        self.message = message
        self.text = text
        """The whole pattern."""
        self.position = position
        """The position in ``text``, counted from 0."""

    def __str__(self) -> str:
        """The message and its position, for logs."""
        return f"{self.message} (at character {self.position + 1})"

    def caret(self) -> str:
        """Two lines: the line of the pattern with the error, and a caret under the character."""
        return caret(self.text, self.position)


@dataclass(frozen=True, slots=True)
class PatternWarning:
    """A pattern is valid, but should be changed; the message suggests how."""

    message: str
    position: int
    """In the pattern, counted from 0."""
    code: WarningCode


def caret(text: str, position: int) -> str:
    """Show one character of ``text``: its line, cut to a readable width, and a caret below it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end]
    column = position - start
    cut = max(0, min(column - _CARET_WIDTH // 2, len(line) - _CARET_WIDTH))
    shown = line[cut : cut + _CARET_WIDTH]
    if cut:
        shown = "…" + shown[1:]
    if len(line) > cut + _CARET_WIDTH:
        shown = shown[:-1] + "…"
    printable = "".join(char if char.isprintable() else " " for char in shown)
    return f"{printable}\n{' ' * (column - cut)}^"
