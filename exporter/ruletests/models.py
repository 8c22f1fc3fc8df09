"""A file of rule tests, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from exporter.configuration import Location, RuleConfig

SOURCE = "test"
"""The source that all rules under test listen to."""

ExpectedValue: TypeAlias = float | Literal["error"] | None
"""``error``: the match's value is missing, not a number, negative or too large. None: any."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """A rule that must match, and what the match must come to."""

    rule: str
    labels: Mapping[str, str]
    """Labels that must have these values; the others may have any."""
    value: ExpectedValue
    count: int | None
    """How many of the test's messages match so. None: at least one."""


@dataclass(frozen=True, slots=True)
class RuleTest:
    """Messages, and the rules that they match."""

    name: str
    messages: tuple[str, ...]
    matches: tuple[Expectation, ...]
    """Every match must be one of these."""
    no_match: tuple[str, ...]
    """Rules for which the messages are deliberate near misses."""
    location: Location = field(compare=False)


@dataclass(frozen=True, slots=True)
class RuleTestFile:
    """Rules under test, and their tests."""

    path: Path
    rules: tuple[RuleConfig, ...]
    tests: tuple[RuleTest, ...]
