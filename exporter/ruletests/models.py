"""A file of rule tests, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from exporter.configuration import Location, RuleConfig
from exporter.configuration.references import parse_value

SOURCE = "test"
"""The source that all rules under test listen to."""

ExpectedValue: TypeAlias = float | Literal["error"] | None
"""``error``: the match's value is missing, not a number, negative or too large. None for any."""


def _read_value(data: object) -> ExpectedValue:
    if data == "error":
        return "error"
    try:
        value = parse_value(data).number
    except ValueError:
        value = None
    if value is None:
        raise ValueError("must be a number that is not negative, or error (no usable value)")
    return value


def _read_message(data: object) -> object:
    if not isinstance(data, str):
        raise ValueError("must be a text; JSON goes under `event`")  # noqa: TRY004 pydantic's
    return data


class Expectation(BaseModel):
    """A rule that must match, with labels and value; an element of ``matches``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels that must have these values; the others may have any."""
    value: Annotated[ExpectedValue, PlainValidator(_read_value)] = None
    count: Annotated[int, Field(ge=1)] | None = None
    """The number of matching messages of the test; None for at least one."""


class TestEntry(BaseModel):
    """A test as it is written, each value checked by itself."""

    __test__ = False  # not a class of tests, though pytest would think so
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    event: Any = None
    message: Annotated[str, BeforeValidator(_read_message)] = ""
    file: str = ""
    changes: dict[str, Any] = Field(default_factory=dict, alias="with")
    without: tuple[str, ...] = ()
    matches: tuple[Any, ...] = ()
    no_match: tuple[str, ...] = ()


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
