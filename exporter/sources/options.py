"""Types of the options that several types of source have: durations, regions, lists of names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from exporter.yamlfile.durations import parse_duration

DAY = 86400.0
"""Seconds."""
_YEARS = 20
_REGION = re.compile("[a-z]{2,5}(-[a-z]+)+-[0-9]+")
_SOURCE_NAME = re.compile("[a-z][a-z0-9_-]*")


def read_duration(data: object) -> float:
    """Read a duration in seconds (a number is that already); ValueError with a sentence."""
    if isinstance(data, int | float):
        return float(data)
    if not isinstance(data, str):
        raise ValueError("must be a duration such as 90s, 1h30m or 30d")  # noqa: TRY004 pydantic's
    return parse_duration(data)


def read_start(data: object) -> float:
    """Read ``now`` or a duration back from now, in seconds; ValueError with a sentence."""
    return 0.0 if data == "now" else read_duration(data)


def at_most(days: int, why: str) -> Callable[[float], float]:
    """A validator of durations: ValueError, which says why, if one is longer."""

    def check(seconds: float) -> float:
        if seconds > days * DAY:
            raise ValueError(f"must be at most {days}d: {why}")
        return seconds

    return check


def _second_to_day(seconds: float) -> float:
    if not 1 <= seconds <= DAY:
        raise ValueError("must be at least 1s" if seconds < 1 else "must be at most 1d")
    return seconds


def _start(seconds: float) -> float:
    # CloudWatch Logs is from 2014. AWS takes no times before 1970.
    if seconds > _YEARS * 365 * DAY:
        raise ValueError(f"must be at most {_YEARS}y: no log group is older")
    return seconds


def _region(name: str) -> str:
    if not _REGION.fullmatch(name):
        raise ValueError(f"{name!r} is not a region such as us-east-1")
    return name


def _source_name(name: str) -> str:
    if not _SOURCE_NAME.fullmatch(name):
        near = re.sub("[^a-z0-9_-]+", "_", name.lower()).strip("_")
        hint = f"; write {near}" if _SOURCE_NAME.fullmatch(near) else ""
        raise ValueError(f"must be lower-case letters, digits, _ and -, from a letter on{hint}")
    return name


def _some_and_distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("must not be empty")
    known: set[str] = set()
    for value in values:
        if value in known:
            raise ValueError(f"{value!r} is listed twice")
        known.add(value)
    return values


Distinct = AfterValidator(_some_and_distinct)
"""Of a tuple of texts: not empty, none twice."""
Names: TypeAlias = Annotated[tuple[str, ...], Distinct]
SourceName: TypeAlias = Annotated[str, AfterValidator(_source_name)]
Regions: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_region)], ...], Distinct]
Duration: TypeAlias = Annotated[float, BeforeValidator(read_duration)]
"""Seconds."""
Start: TypeAlias = Annotated[float, BeforeValidator(read_start), AfterValidator(_start)]
"""Seconds back from now."""
Interval: TypeAlias = Annotated[Duration, AfterValidator(_second_to_day)]
Lookback: TypeAlias = Annotated[
    Duration,
    AfterValidator(at_most(90, "AWS takes log events that are 14 days old at most")),
]
