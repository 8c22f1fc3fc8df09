"""CloudTrail's event history, by LookupEvents: management events of the last 90 days."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Literal

from exporter.aws.calls import Call
from exporter.aws.iam_policy import Deployment, Grant
from exporter.aws.records import HistoryEvent
from exporter.model import Partition, PartitionKind
from exporter.patterns import FilterPattern
from exporter.planning.lookups import lookup_plans
from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.sources.base import Discovery, Environment
from exporter.sources.options import Duration, Start, at_most
from exporter.sources.pace import EventPage
from exporter.sources.regional import RegionalConfig, RegionalSource

_GLOBAL_REGION = "us-east-1"
_OTHER_PARTITIONS = ("cn-", "us-gov-", "us-iso", "eu-iso", "eusc-")
_DAYS = 90
"""AWS: LookupEvents looks back 90 days."""
_WITHIN_REACH = at_most(f"{_DAYS}d", ": event history goes back no further")
_READS: Final = "LookupEvents"
_PAGE_EVENTS = 50
"""AWS: the default and the maximum of MaxResults."""


class EventHistoryConfig(RegionalConfig):
    """A source of the type ``event_history``."""

    kind: ClassVar = PartitionKind()
    resolution: ClassVar = 1000
    page_size: ClassVar = _PAGE_EVENTS
    each: ClassVar = "account and region"
    operation: ClassVar = _READS

    type: Literal["event_history"] = "event_history"
    format: Literal["cloudtrail"] = "cloudtrail"
    lookback: Annotated[Duration, _WITHIN_REACH] = 1800.0
    start: Annotated[Start, _WITHIN_REACH] = 0.0

    def source(self, environment: Environment, since: Mapping[str, int]) -> EventHistory:
        """See SourceConfig."""
        return EventHistory(self, environment, since)

    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:  # noqa: ARG002
        """See RegionalConfig: the region itself."""
        return (region,)

    def plans(self, patterns: Sequence[FilterPattern]) -> Sequence[Plan]:
        """See TimelineConfig."""
        return lookup_plans(patterns)

    @property
    def lacks_global_services(self) -> bool:
        """See SourceConfig. AWS partitions other than ``aws`` have other regions for them."""
        regions = self.named_regions
        is_known = not any(one.startswith(_OTHER_PARTITIONS) for one in regions)
        return bool(regions) and is_known and _GLOBAL_REGION not in regions

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """AWS: LookupEvents supports no resources."""
        yield from super().permissions(deployment)
        for region in self.granted_regions(deployment):
            yield Grant("ReadEventHistory", "cloudtrail:LookupEvents", region, "*")

    def start_warning(self, start: float) -> str | None:
        """See SourceConfig."""
        if start <= _DAYS * 86400:
            return None
        return f"the source `{self.name}` is event history, which goes back {_DAYS} days"


class EventHistory(RegionalSource):
    """A partition for each (account, region).

    AWS: newest first; times are whole seconds; StartTime and EndTime are both inclusive; one
    attribute can be selected.
    """

    resolution = EventHistoryConfig.resolution
    page_size = EventHistoryConfig.page_size
    record = HistoryEvent
    selects_by_event_time = True

    def call(self, partition: Partition) -> Call:
        """LookupEvents."""
        return Call("cloudtrail", _READS, partition.account_id, partition.region)

    def find(self, place: Partition) -> Discovery:
        """The region itself, whether or not it can be read."""
        return Discovery([place])

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        """Every visible event with start ≤ EventTime ≤ end, with times rounded to seconds."""
        if start < end:
            parameters: dict[str, object] = {
                "StartTime": datetime.fromtimestamp(start // 1000, UTC),
                "EndTime": datetime.fromtimestamp(-(-end // 1000), UTC),
                "MaxResults": _PAGE_EVENTS,
            }
            if request.selects:
                selected = {"AttributeKey": request.attribute, "AttributeValue": request.value}
                parameters["LookupAttributes"] = [selected]
            yield from self._call(self.call(partition), parameters)
