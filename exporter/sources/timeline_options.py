"""The options of a source that is read by event time, and the cost of reading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic import model_validator

from exporter.aws.quotas import published_quota
from exporter.patterns import FilterPattern
from exporter.planning.forecast import Forecast, Rates, planned
from exporter.planning.plan import READ_EVERYTHING, Plan
from exporter.sources.base import SourceConfig
from exporter.sources.options import Interval, Lookback, Start
from exporter.sources.schedule import Schedule
from exporter.yamlfile.durations import format_duration
from exporter.yamlfile.validation import BetweenFieldsError


class TimelineConfig(SourceConfig):
    """A source whose past is read again, because events arrive late."""

    interval: Interval = 60.0
    lookback: Lookback = 1800.0
    """Allowed lateness of events, at least one interval."""
    start: Start = 0.0
    """Seconds before the first run from which rules count."""
    resolution: ClassVar[int] = 1
    """See TimelineSource."""
    page_size: ClassVar[int] = 50
    """See TimelineSource."""
    each: ClassVar[str] = "partition"
    """The kind of partition, in words."""
    operation: ClassVar[str] = ""
    """The call that reads it."""

    @model_validator(mode="after")
    def _lookback_covers_interval(self) -> TimelineConfig:
        if self.lookback < self.interval:
            # The key that is written is the one to change.
            field = "lookback" if "lookback" in self.model_fields_set else "interval"
            raise BetweenFieldsError(
                field,
                f"`lookback` must be at least one `interval` ({format_duration(self.interval)}):"
                f" it is {format_duration(self.lookback)}",
            )
        return self

    def plans(self, patterns: Sequence[FilterPattern]) -> Sequence[Plan]:  # noqa: ARG002
        """The plans that return every match of the patterns; see ``Planner.begin`` for the first.

        By default, everything is read.
        """
        return (READ_EVERYTHING,)

    def forecast(self, patterns: Sequence[FilterPattern], rates: Rates) -> Forecast:
        """See SourceConfig."""
        schedule = Schedule(
            round(self.interval * 1000), round(self.lookback * 1000), self.resolution
        )
        forecast = planned(
            self.plans(patterns),
            rates,
            schedule.pages,
            each=self.each,
            page=self.page_size,
            interval=self.interval,
        )
        region = rates.region or next(iter(self.aws_regions), "")
        quota = published_quota(self.operation, region)
        return replace(forecast, operation=self.operation, quota=quota)
