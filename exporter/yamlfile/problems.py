"""Problems in files, with their locations."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import indent
from typing import Literal

from exporter.patterns.errors import caret

_SECRET = re.compile("""(external_id["']?\\s*:\\s*)("[^"]*"?|'[^']*'?|[^,}\\s]+)""")

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Location:
    """A file, or a character in it; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None
    source_line: str | None = field(default=None, repr=False)
    """The whole line."""

    def __str__(self) -> str:
        """Return ``file:line:column``, as compilers print it."""
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error or a warning: a sentence with the remedy, and its location."""

    message: str
    location: Location
    severity: Severity = "error"

    def render(self) -> str:
        """Return ``file:line:column: error: message``, then the source line with a caret."""
        head = f"{self.location}: {self.severity}: {self.message}"
        line, column = self.location.source_line, self.location.column
        if line is None or column is None:
            return head
        return f"{head}\n{indent(caret(_without_secrets(line), column - 1), '    ')}"


def _without_secrets(line: str) -> str:
    """The line with stars instead of secrets, which must not reach a log."""
    return _SECRET.sub(lambda found: found[1] + "*" * len(found[2]), line)


def errors_in(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are errors."""
    return tuple(problem for problem in problems if problem.severity == "error")


class ConfigurationError(Exception):
    """The configuration is invalid; ``problems`` contains all errors."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class Findings:
    """Collects problems, so one run reports all of them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def error(self, location: Location, message: str) -> None:
        """Add an error: the configuration is invalid."""
        self.problems.append(Problem(message, location))

    def warning(self, location: Location, message: str) -> None:
        """Add a warning: the configuration is valid, but perhaps not as intended."""
        self.problems.append(Problem(message, location, "warning"))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return errors_in(self.problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean `x`?"`` if a known word is similar, otherwise ``""``."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: ``1 test``, ``1,200 tests``, ``2 matches``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith(('s', 'ch')) else 's'}"
