"""Reads the words that all three kinds of filter pattern are made of."""

from __future__ import annotations

import re

from exporter.patterns.errors import PatternError, PatternWarning, WarningCode
from exporter.patterns.numeric import NUMBER
from exporter.patterns.regex import translate
from exporter.patterns.syntax import Number, Operator, Regex, Span, Text

BLANKS = " \t\r\n\f\v"

_BLANKS = re.compile(r"[ \t\r\n\f\v]*")
# AWS documents alphanumerics and _ ; "." and "*" stand in its own examples; the rest is accepted.
_BARE = re.compile(r"[A-Za-z0-9_\-.*+?]+")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_OPERATORS: tuple[Operator, ...] = ("!=", "<=", ">=", "=", "<", ">")


class Scanner:
    """A position in a pattern, and the warnings found on the way."""

    __slots__ = ("end", "position", "text", "warnings")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.position = start
        self.end = end
        self.warnings: list[PatternWarning] = []

    def error(self, message: str, position: int | None = None) -> PatternError:
        """Make the error for a position, by default the current one."""
        return PatternError(message, self.text, self.position if position is None else position)

    def warn(self, message: str, position: int, code: WarningCode = "uncertain") -> None:
        """Note what is valid and should be changed all the same."""
        self.warnings.append(PatternWarning(message, position, code))

    def skip_blanks(self) -> None:
        """Go to the next character that is not white space."""
        found = _BLANKS.match(self.text, self.position, self.end)
        self.position = found.end() if found else self.position

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self.position >= self.end

    def peek(self, length: int = 1) -> str:
        """The next characters, fewer at the end."""
        return self.text[self.position : min(self.position + length, self.end)]

    def take(self, token: str) -> bool:
        """Step over ``token`` if it comes next."""
        if self.peek(len(token)) != token:
            return False
        self.position += len(token)
        return True

    def name(self) -> str:
        """Read letters, digits, ``_`` and ``-``; empty where there are none."""
        return self._take(_NAME)

    def bare(self) -> str:
        """Read an unquoted value; empty where there is none."""
        return self._take(_BARE)

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.position, self.end)
        if found is None:
            return ""
        self.position = found.end()
        return found[0]

    def operator(self) -> Operator | None:
        """Read a comparison operator."""
        for operator in _OPERATORS:
            if self.take(operator):
                if operator == "=" and self.peek() == "=":
                    raise self.error("There is no == in filter patterns; write one =.")
                return operator
        return None

    def quoted(self) -> Text:
        """Read a quoted phrase, in which a backslash escapes a quote or a backslash."""
        start = self.position
        self.position += 1
        characters: list[str] = []
        while not self.at_end:
            char = self.text[self.position]
            self.position += 1
            if char == '"':
                return Text("".join(characters), quoted=True, span=Span(start, self.position))
            if char == "\\":
                char = self.peek()
                if char not in ('"', "\\"):
                    raise self.error(
                        'A backslash in quotes can only be followed by " or \\ ; '
                        "write \\\\ for a backslash.",
                        self.position - 1,
                    )
                self.position += 1
            characters.append(char)
        raise self.error('The quote " that starts here is not closed.', start)

    def regex(self) -> Regex:
        """Read a regular expression between percent signs and translate it for RE2."""
        start = self.position
        close = self.text.find("%", start + 1, self.end)
        if close < 0:
            raise self.error(
                "The regular expression that starts here is not closed with %. "
                "To search for a percent sign, put it in quotes.",
                start,
            )
        self.position = close + 1
        source = self.text[start + 1 : close]
        expression = translate(source, self.text, start + 1, self.warnings)
        return Regex(source, expression, Span(start, self.position))

    def value(self) -> Text | Number | Regex:
        """Read what stands after a comparison operator.

        AWS: a quoted text, a regular expression, a number, or an unquoted text.
        """
        start = self.position
        char = self.peek()
        if char == '"':
            return self.quoted()
        if char == "%":
            return self.regex()
        lexeme = self.bare()
        if not lexeme:
            raise self.error(_missing_value(char))
        span = Span(start, self.position)
        if NUMBER.fullmatch(lexeme):
            return Number(lexeme, span)
        return Text(lexeme, quoted=False, span=span)


def _missing_value(char: str) -> str:
    if not char:
        return "The operator needs a value after it."
    if char == "'":
        return "Values are quoted with double quotes, not with single ones."
    if char in ")&|,":
        return "The operator needs a value after it."
    return f'The value starts with {char!r}, which needs quotes: write it as "{char}…".'
