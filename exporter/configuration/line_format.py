"""The format of a pack's lines: which lines look like it, and which of them need no rule."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict

from exporter.patterns import FilterPattern, compile_pattern


def _compile(text: object) -> object:
    return compile_pattern(text, aws_limits=False) if isinstance(text, str) else text


_Pattern: TypeAlias = Annotated[FilterPattern, BeforeValidator(_compile)]


class LineFormat(BaseModel):
    """The key ``recognize`` of a pack's file."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    looks_like: tuple[_Pattern, ...]
    """Filter patterns: each line of the format, however it is written, matches one."""
    other: tuple[_Pattern, ...] = ()
    """Filter patterns of lines that no rule is for."""
