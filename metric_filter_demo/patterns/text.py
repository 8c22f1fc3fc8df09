"""Reads the text of a filter pattern from left to right."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from metric_filter_demo.patterns.regexes import Search, compile_regex

# AWS: "You can use a maximum of two regular expressions per filter pattern."
_MOST_REGEXES = 2
_BLANKS = re.compile(r"\s*", re.ASCII)
_PHRASE = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_PLAIN_PHRASE = re.compile(r'"([^"]*)"')
_ESCAPE = re.compile(r'\\(["\\])')


Condition = Callable[[Any], bool]
"""Whether a document or a line satisfies a part of a pattern."""


class InvalidPattern(ValueError):  # noqa: N818 - AWS's words are "Invalid filter pattern"
    """AWS refuses the pattern."""


@dataclass(frozen=True, slots=True)
class Doubts:
    """Where AWS's answer is not certain: whether to give another one than the exporter expects."""

    patterns: bool = False
    """Constructs that AWS does not document, such as ``*`` in the middle of a value: those that
    the exporter's lint calls uncertain, and escapes, empty phrases, && with || in fields."""
    messages: bool = False
    """Documented constructs on unusual messages, such as numbers of more digits than a double. In
    the event history: the user name of root in an account with an alias."""


class PatternText:
    """A position in the text of a pattern."""

    def __init__(self, text: str, doubts: Doubts) -> None:
        self.doubts = doubts
        self._text = text
        self._at = 0
        self._regexes = 0

    def doubtful(self, construct: str) -> None:
        """A construct that AWS may refuse was read."""
        if self.doubts.patterns:
            raise InvalidPattern(f"{construct} is not documented")

    def skip_blanks(self) -> None:
        """Go to the next character that is not white space."""
        self.match(_BLANKS)

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._at == len(self._text)

    def sees(self, text: str) -> bool:
        """Whether this comes next."""
        return self._text.startswith(text, self._at)

    @property
    def sees_blank(self) -> bool:
        """Whether white space comes next."""
        return not self.at_end and self._text[self._at].isspace()

    def take(self, text: str) -> bool:
        """Step over the text if it comes next."""
        if not self.sees(text):
            return False
        self._at += len(text)
        return True

    def expect(self, text: str) -> None:
        """Step over the text; refuse the pattern if it does not come next."""
        if not self.take(text):
            raise InvalidPattern(f"{text} is missing at {self._at}")

    def match(self, expression: re.Pattern[str]) -> re.Match[str] | None:
        """Step over what the expression matches here."""
        found = expression.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def phrase(self) -> str:
        """Read a text in quotes. Escapes are not documented."""
        if self.doubts.patterns:
            found = self.match(_PLAIN_PHRASE)
            if found is not None:
                return found[1]
        elif (found := self.match(_PHRASE)) is not None:
            return _ESCAPE.sub(r"\1", found[1])
        raise InvalidPattern(f"the quote at {self._at} is not closed")

    def regex(self) -> Search:
        """Read ``%…%``."""
        end = self._text.find("%", self._at + 1)
        if end < 0:
            raise InvalidPattern(f"the % at {self._at} is not closed")
        self._regexes += 1
        if self._regexes > _MOST_REGEXES:
            raise InvalidPattern("too many regular expressions")
        expression = self._text[self._at + 1 : end]
        self._at = end + 1
        try:
            return compile_regex(expression, self.doubts.patterns, self.doubts.messages)
        except re.error as error:
            raise InvalidPattern(f"Failed to compile regular expression: {error}") from None

    def condition(self, read: Callable[[], Condition], *, nested: bool) -> Condition:
        """Read ``a && b || c``. ``nested``: whether precedence and parentheses are documented."""
        either = [self._conjunction(read, nested=nested)]
        while self._operator("||"):
            either.append(self._conjunction(read, nested=nested))
        if not nested and len(either) > 1 and any(len(every) > 1 for every in either):
            self.doubtful("precedence")
        return lambda subject: any(all(part(subject) for part in every) for every in either)

    def _conjunction(self, read: Callable[[], Condition], *, nested: bool) -> list[Condition]:
        every = [self._primary(read, nested=nested)]
        while self._operator("&&"):
            every.append(self._primary(read, nested=nested))
        return every

    def _primary(self, read: Callable[[], Condition], *, nested: bool) -> Condition:
        self.skip_blanks()
        if not self.take("("):
            return read()
        if not nested:
            self.doubtful("parentheses")
        condition = self.condition(read, nested=nested)
        self.skip_blanks()
        self.expect(")")
        return condition

    def _operator(self, operator: str) -> bool:
        self.skip_blanks()
        return self.take(operator)
