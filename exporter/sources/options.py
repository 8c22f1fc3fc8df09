"""Types of the options that several types of source have: durations, regions, lists of names."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BeforeValidator

from exporter.yamlfile.durations import parse_duration

_REGION = re.compile("[a-z]{2,5}(-[a-z]+)+-[0-9]+")
ALL_REGIONS: Final = ("all",)
"""All regions that are enabled for an account, instead of a list."""
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%", re.ASCII)
_ALL: Final = 100
_SOURCE_NAME = re.compile("[a-z][a-z0-9_-]*")


def read_duration(data: object) -> float:
    """Read a duration in seconds; a number is in seconds already. Raises ValueError."""
    if isinstance(data, int | float):
        return float(data)
    if not isinstance(data, str):
        raise ValueError("must be a duration such as 90s, 1h30m or 30d")  # noqa: TRY004 pydantic's
    return parse_duration(data)


def read_start(data: object) -> float:
    """Read ``now`` or a duration back from now, in seconds. Raises ValueError."""
    return 0.0 if data == "now" else read_duration(data)


def read_budget(data: object) -> float:
    """Read a share such as ``50%``, between 0 and 1. Raises ValueError."""
    match = _PERCENT.fullmatch(data.strip()) if isinstance(data, str) else None
    percent = float(match[1]) if match is not None else 0.0
    if not 0 < percent <= _ALL:
        raise ValueError("must be a share of the quota such as 50%, above 0% and at most 100%")
    return percent / _ALL


def at_most(longest: str, why: str = "") -> AfterValidator:
    """A validator for the maximum of a duration; ``why`` ends the error message."""
    limit = parse_duration(longest)

    def check(seconds: float) -> float:
        if seconds > limit:
            raise ValueError(f"must be at most {longest}{why}")
        return seconds

    return AfterValidator(check)


def _at_least_a_second(seconds: float) -> float:
    if seconds < 1:
        raise ValueError("must be at least 1s")
    return seconds


def _region(name: str) -> str:
    if not _REGION.fullmatch(name) and name not in ALL_REGIONS:
        raise ValueError(f"{name!r} is not a region such as us-east-1")
    return name


def _all_regions(data: object) -> object:
    if isinstance(data, str) and data != ALL_REGIONS[0]:
        raise ValueError("must be `all` or a list of regions")
    return ALL_REGIONS if data == ALL_REGIONS[0] else data


def _all_or_some(regions: tuple[str, ...]) -> tuple[str, ...]:
    if len(regions) > 1 and ALL_REGIONS[0] in regions:
        raise ValueError("must be `all` or a list of regions")
    return regions


def _source_name(name: str) -> str:
    if not _SOURCE_NAME.fullmatch(name):
        near = re.sub("[^a-z0-9_-]+", "_", name.lower()).strip("_")
        hint = f"; write {near}" if _SOURCE_NAME.fullmatch(near) else ""
        raise ValueError(f"must be lower-case letters, digits, _ and -, from a letter on{hint}")
    return name


def account_id(text: str) -> str:
    """Check an account's id; raises ValueError."""
    if not re.fullmatch("[0-9]{12}", text, re.ASCII):
        raise ValueError(f"{text!r} is not an account id: 12 digits, in quotes")
    return text


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
"""Validates that a tuple of texts is not empty and has no duplicates."""
Names: TypeAlias = Annotated[tuple[str, ...], Distinct]
SourceName: TypeAlias = Annotated[str, AfterValidator(_source_name)]
Regions: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_region)], ...],
    BeforeValidator(_all_regions),
    Distinct,
    AfterValidator(_all_or_some),
]
"""Regions, or ALL_REGIONS."""
Duration: TypeAlias = Annotated[float, BeforeValidator(read_duration)]
"""Seconds."""
Start: TypeAlias = Annotated[
    # CloudWatch Logs is from 2014. AWS takes no times before 1970.
    float, BeforeValidator(read_start), at_most("20y", ": no log group is older")
]
"""Seconds back from now."""
Budget: TypeAlias = Annotated[float, BeforeValidator(read_budget)]
"""A share of a quota, above 0, at most 1."""
Interval: TypeAlias = Annotated[Duration, AfterValidator(_at_least_a_second), at_most("1d")]
Lookback: TypeAlias = Annotated[
    Duration, at_most("90d", ": AWS takes log events that are 14 days old at most")
]
