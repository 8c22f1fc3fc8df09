"""The configuration of sources."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationInfo,
    model_validator,
)

from exporter.configuration.durations import format_duration, parse_duration
from exporter.configuration.names import check_source_name
from exporter.model import EventFormat
from exporter.yamlfile.validation import BetweenFieldsError

_DAY = 86400.0
EVENT_HISTORY_DAYS = 90
"""AWS: LookupEvents looks back 90 days."""
_LONGEST_LOOKBACK_DAYS = 90
_LONGEST_START_YEARS = 20
"""CloudWatch Logs is from 2014. AWS takes no times before 1970."""

_REGION = re.compile("[a-z]{2,5}(-[a-z]+)+-[0-9]+")
_LOG_GROUP = re.compile(r"[A-Za-z0-9_./#*-]{1,512}")


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


Duration: TypeAlias = Annotated[float, BeforeValidator(read_duration)]


def _second_to_day(seconds: float) -> float:
    if seconds < 1:
        raise ValueError("must be at least 1s")
    if seconds > _DAY:
        raise ValueError("must be at most 1d")
    return seconds


def _at_most_90_days(seconds: float) -> float:
    if seconds > EVENT_HISTORY_DAYS * _DAY:
        raise ValueError("must be at most 90d: event history goes back no further")
    return seconds


def _lookback(seconds: float) -> float:
    if seconds > _LONGEST_LOOKBACK_DAYS * _DAY:
        raise ValueError(
            f"must be at most {_LONGEST_LOOKBACK_DAYS}d: AWS takes log events that are 14 days old"
            " at most"
        )
    return seconds


def _start(seconds: float) -> float:
    if seconds > _LONGEST_START_YEARS * 365 * _DAY:
        raise ValueError(f"must be at most {_LONGEST_START_YEARS}y: no log group is older")
    return seconds


def _region(name: str) -> str:
    if not _REGION.fullmatch(name):
        raise ValueError(f"{name!r} is not a region such as us-east-1")
    return name


def _log_group(name: str) -> str:
    if name.startswith("arn:"):
        raise ValueError("must be the log group's name, not its ARN")
    if not _LOG_GROUP.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a log group: names have letters, digits and _-/.#, patterns also *"
        )
    return name


def _path(name: str) -> str:
    if not is_path(name):
        raise ValueError("a path must not hold the character U+0000")
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


Start: TypeAlias = Annotated[float, BeforeValidator(read_start), AfterValidator(_start)]
Lookback: TypeAlias = Annotated[Duration, AfterValidator(_lookback)]
Interval: TypeAlias = Annotated[Duration, AfterValidator(_second_to_day)]
Names: TypeAlias = Annotated[tuple[str, ...], AfterValidator(_some_and_distinct)]
Regions: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_region)], ...],
    AfterValidator(_some_and_distinct),
]
LogGroups: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_log_group)], ...],
    AfterValidator(_some_and_distinct),
]
Paths: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_path)], ...],
    AfterValidator(_some_and_distinct),
]


class _SourceConfig(BaseModel):
    """What all sources have. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(check_source_name)]
    """Unique; the ``source`` label of its series."""


class _PolledConfig(_SourceConfig):
    """A source whose events arrive late and must be looked for again."""

    regions: Regions | None = None
    """None: the session's region."""
    interval: Interval = 60.0
    """Between two polls of a partition."""
    lookback: Lookback = 1800.0
    """How late an event may arrive and still be counted; at least one interval."""
    start: Start = 0.0
    """How far back from now the rules of the first run count; 0: from now on."""

    @model_validator(mode="after")
    def _lookback_covers_interval(self) -> _PolledConfig:
        if self.lookback < self.interval:
            # The key that is written is the one to change.
            field = "lookback" if "lookback" in self.model_fields_set else "interval"
            raise BetweenFieldsError(
                field,
                f"`lookback` must be at least one `interval` ({format_duration(self.interval)}):"
                f" it is {format_duration(self.lookback)}",
            )
        return self


class EventHistoryConfig(_PolledConfig):
    """CloudTrail's event history (LookupEvents): management events of the last 90 days."""

    type: Literal["event_history"] = "event_history"
    format: Literal["cloudtrail"] = "cloudtrail"
    lookback: Annotated[Duration, AfterValidator(_at_most_90_days)] = 1800.0
    start: Annotated[Start, AfterValidator(_at_most_90_days)] = 0.0


class LogGroupsConfig(_PolledConfig):
    """CloudWatch Logs (FilterLogEvents)."""

    type: Literal["log_groups"] = "log_groups"
    log_groups: LogGroups
    """Names, or patterns in which ``*`` stands for any characters, ``/`` included."""
    format: EventFormat = "auto"
    interval: Interval = 30.0
    lookback: Lookback = 3600.0
    discovery_interval: Interval = 300.0
    """Between two looks for log groups."""


class FilesConfig(_SourceConfig):
    """Files; everything in them counts, whatever its age."""

    type: Literal["files"] = "files"
    paths: Paths
    """Globs, absolute (in the file they are relative to it); ``**`` stands for any folders."""
    format: EventFormat = "auto"
    interval: Interval = 60.0
    """Between two looks for new files and new lines."""

    @model_validator(mode="after")
    def _absolute_paths(self, info: ValidationInfo) -> FilesConfig:
        folder = Path.cwd() if info.context is None else info.context
        # Frozen: this is part of the construction, nobody has seen the model yet.
        object.__setattr__(self, "paths", tuple(absolute_glob(folder, path) for path in self.paths))
        return self


SourceConfig: TypeAlias = EventHistoryConfig | LogGroupsConfig | FilesConfig

SOURCE_MODELS: dict[str, type[EventHistoryConfig] | type[LogGroupsConfig] | type[FilesConfig]] = {
    "event_history": EventHistoryConfig,
    "log_groups": LogGroupsConfig,
    "files": FilesConfig,
}
"""By ``type``."""

PLANNED_SOURCES = ("trail_bucket",)
"""Types of the file format that this version cannot read yet."""
PLANNED_SOURCE_KEYS = ("accounts",)
"""Keys of the file format that this version cannot honour yet."""


def is_path(name: str) -> bool:
    """Whether a file can have this name: YAML can write a NUL, which no system call takes."""
    return "\0" not in name


def absolute_glob(folder: Path, pattern: str) -> str:
    """Make a glob absolute that is relative to a folder (whose own name is no pattern)."""
    return os.path.abspath(Path(glob.escape(str(folder.absolute())), pattern))  # noqa: PTH100 a glob
