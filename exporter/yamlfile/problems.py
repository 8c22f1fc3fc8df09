"""Problems in files, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from textwrap import indent
from typing import Literal

from exporter.patterns.errors import caret

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file. Lines and columns count from 1; without them, the whole file."""

    file: str
    line: int | None = None
    column: int | None = None
    source_line: str | None = field(default=None, repr=False)
    """The whole line."""

    def __str__(self) -> str:
        """``file:line:column``, as compilers print it."""
        parts = (self.file, self.line, self.column)
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where, and what to do, for a person to read."""

    message: str
    location: Location
    severity: Severity = "error"

    @property
    def file(self) -> str:
        """The file's path as the user gave it."""
        return self.location.file

    @property
    def line(self) -> int | None:
        """Counts from 1. None: the whole file."""
        return self.location.line

    @property
    def column(self) -> int | None:
        """Counts characters from 1."""
        return self.location.column

    @property
    def source_line(self) -> str | None:
        """The whole line."""
        return self.location.source_line

    def render(self) -> str:
        """``file:line:column: error: message``, then the source line with a caret."""
        head = f"{self.location}: {self.severity}: {self.message}"
        if self.source_line is None or self.column is None:
            return head
        return f"{head}\n{indent(caret(self.source_line, self.column - 1), '    ')}"


def errors_in(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are errors."""
    return tuple(problem for problem in problems if problem.severity == "error")


class ConfigurationError(Exception):
    """The configuration cannot be used; ``problems`` has every error that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class Findings:
    """Collects problems, so that a user sees all of them at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def error(self, location: Location, message: str) -> None:
        """Add an error: the configuration cannot be used."""
        self.problems.append(Problem(message, location))

    def warning(self, location: Location, message: str) -> None:
        """Add a warning: the configuration works, but perhaps not as meant."""
        self.problems.append(Problem(message, location, "warning"))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return errors_in(self.problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean `x`?"`` if a known word is near, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def plural(number: int, what: str) -> str:
    """``1 test``, ``2 tests``, ``2 matches``."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what}{'es' if what.endswith(('s', 'ch')) else 's'}"
