"""Reads the tokens of all kinds of filter patterns, including selectors."""

from __future__ import annotations

import re

from exporter.patterns.errors import PatternError, PatternWarning, WarningCode
from exporter.patterns.regex import translate
from exporter.patterns.syntax import (
    ANY_CHILD,
    NUMBER,
    Number,
    Operator,
    Regex,
    Selector,
    Span,
    Step,
    Text,
    Value,
)

BLANKS = " \t\r\n\f\v"

_BLANKS = re.compile(r"[ \t\r\n\f\v]*")
# AWS documents alphanumerics and _ ; its examples have "." and "*"; it accepts the others.
_BARE = re.compile(r"[A-Za-z0-9_\-.*+?]*")
_NAME = re.compile(r"[A-Za-z0-9_-]*")
_OPERATORS: tuple[Operator, ...] = ("!=", "<=", ">=", "=", "<", ">")
_INDEX = re.compile(r"\[([0-9]{1,18})\]")
_DOCUMENTED_KEY = re.compile(r"[A-Za-z0-9_.-]+")
_AFTER_SELECTOR = BLANKS + "=!<>()&|"


class Scanner:
    """A position in a pattern, and the warnings found so far."""

    __slots__ = ("end", "position", "text", "warnings")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.position = start
        self.end = end
        self.warnings: list[PatternWarning] = []

    def error(self, message: str, position: int | None = None) -> PatternError:
        """Make an error at a position, by default the current one."""
        return PatternError(message, self.text, self.position if position is None else position)

    def warn(self, message: str, position: int, code: WarningCode = "uncertain") -> None:
        """Add a warning about something that is valid."""
        self.warnings.append(PatternWarning(message, position, code))

    def span(self, start: int) -> Span:
        """From ``start`` to the current position."""
        return Span(start, self.position)

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

    def match(self, pattern: re.Pattern[str]) -> str:
        """Read a match of ``pattern`` here; empty if it does not match."""
        found = pattern.match(self.text, self.position, self.end)
        if found is None:
            return ""
        self.position = found.end()
        return found[0]

    def skip_blanks(self) -> None:
        """Go to the next character that is not white space."""
        self.match(_BLANKS)

    def name(self) -> str:
        """Read letters, digits, ``_`` and ``-``, if any."""
        return self.match(_NAME)

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
                return Text("".join(characters), quoted=True, span=self.span(start))
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
        return Regex(source, expression, span=self.span(start))

    def value(self, operator: Operator) -> Value:
        """Read the value after ``operator``.

        AWS: a quoted text, a regular expression, a number, or an unquoted text.
        """
        self.skip_blanks()
        start = self.position
        value = self._value()
        if operator not in ("=", "!=") and not isinstance(value, Number):
            raise self.error(f"{operator} needs a number after it, without quotes.", start)
        return value

    def _value(self) -> Value:
        start = self.position
        char = self.peek()
        if char == '"':
            return self.quoted()
        if char == "%":
            return self.regex()
        lexeme = self.match(_BARE)
        if not lexeme:
            raise self.error(_missing_value(char))
        if NUMBER.fullmatch(lexeme):
            return Number(lexeme, span=self.span(start))
        return Text(lexeme, quoted=False, span=self.span(start))

    def selector(self) -> Selector:
        """Read a selector; raises PatternError if it is missing or not valid."""
        start = self.position
        if not self.take("$"):
            raise self.error("Here a selector such as $.field is needed.")
        steps: list[Step] = []
        while self.peek() in (".", "["):
            step = self._step_after_dot(first=not steps) if self.take(".") else None
            if step is None:
                if not steps and self.text[self.position - 1] == "$":
                    raise self.error("A selector starts with $. (a dollar sign and a dot).")
                step = self._step_in_brackets()
            if step is ANY_CHILD and ANY_CHILD in steps:
                raise self.error("A selector can have one wildcard only.", self.position - 1)
            steps.append(step)
        if not steps:
            raise self.error("A selector needs a field: $.field", start)
        char = self.peek()
        if char and char not in _AFTER_SELECTOR:
            raise self.error(f"{char!r} is not allowed in a plain key; write the key as $.['…'].")
        return Selector(tuple(steps), self.text[start : self.position])

    def _step_after_dot(self, *, first: bool) -> Step | None:
        """Read the step after a dot; None before a bracket that is not a quoted key."""
        start = self.position
        if self.take("*"):
            return ANY_CHILD
        if self.take("['"):
            close = self.text.find("']", self.position, self.end)
            if close < 0:
                raise self.error("This key is not closed with '] .", start)
            key = self.text[self.position : close]
            self.position = close + 2
            if not first:
                self.warn("AWS documents ['…'] for top-level keys only.", start)
            if not _DOCUMENTED_KEY.fullmatch(key):
                self.warn("AWS documents ['…'] for keys with dots only.", start)
            return key
        if self.peek() == "[":
            self.warn("AWS documents no dot before an index; write it without the dot.", start)
            return None
        name = self.name()
        if name:
            return name
        char = self.peek()
        if char == ".":
            raise self.error("AWS has no descent ($..); write the whole path.")
        if char == '"':
            raise self.error("A key is quoted as $.['key'], in brackets and single quotes.")
        if char and char not in _AFTER_SELECTOR:
            raise self.error(f"A key that starts with {char!r} is written as $.['{char}…'].")
        raise self.error("After the dot a key is needed, or *.")

    def _step_in_brackets(self) -> Step:
        if self.take("[*]"):
            return ANY_CHILD
        index = self.match(_INDEX)
        if index:
            return int(index[1:-1])
        match self.peek(2)[1:]:
            case "'":
                message = "Before a key in brackets a dot is needed: .['key']"
            case '"':
                message = "A key in brackets has single quotes and a dot before: .['key']"
            case "-":
                message = "AWS has no negative index."
            case _:
                message = "Brackets contain an index ([0]) or a wildcard ([*])."
        raise self.error(message)


def parse_selector(text: str) -> Selector:
    """Parse a selector in a label or value of a rule; raises PatternError."""
    scanner = Scanner(text, 0, len(text))
    scanner.skip_blanks()
    selector = scanner.selector()
    scanner.skip_blanks()
    if not scanner.at_end:
        raise scanner.error("Nothing is allowed after the selector.")
    return selector


def _missing_value(char: str) -> str:
    if not char or char in ")&|,":
        return "The operator needs a value after it."
    if char == "'":
        return "Values are quoted with double quotes, not with single ones."
    return f'The value starts with {char!r}, which needs quotes: write it as "{char}…".'
