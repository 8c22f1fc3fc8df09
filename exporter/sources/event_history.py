"""CloudTrail's event history, by LookupEvents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from exporter.aws.errors import Call
from exporter.aws.pages import pages
from exporter.aws.session import AwsAccount, no_region_error
from exporter.errors import SourceError
from exporter.events import LogEvent, Partition
from exporter.sources.base import Discovery
from exporter.sources.timeline import Page

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.type_defs import EventTypeDef

_PAGE_EVENTS = 50
"""AWS: the default and the maximum of MaxResults."""


class EventHistory:
    """The management events of the last 90 days, a partition an (account, region).

    AWS: newest first; times are whole seconds; StartTime and EndTime are both inclusive.
    ``regions`` empty: the session's own.
    """

    resolution = 1000
    page_size = _PAGE_EVENTS

    def __init__(self, name: str, account: AwsAccount, regions: Sequence[str] = ()) -> None:
        self._name = name
        self._account = account
        self._regions = tuple(regions)

    def discover(self) -> Discovery:
        """One partition a region; none, and a failure each, while the account is not known."""
        try:
            account_id, regions = locate(self._account, self._regions)
        except SourceError as error:
            return Discovery((), unidentified(self._name, self._regions, error))
        return Discovery([Partition(self._name, account_id, region) for region in regions])

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible event with start ≤ EventTime < end, and those at ``end`` in seconds."""
        if start >= end:
            return
        call = Call("cloudtrail", "LookupEvents", partition.account_id, partition.region)
        answers = pages(
            self._account.cloudtrail(partition.region).lookup_events,
            call,
            "NextToken",
            {
                "StartTime": datetime.fromtimestamp(start // 1000, UTC),
                "EndTime": datetime.fromtimestamp(-(-end // 1000), UTC),
                "MaxResults": _PAGE_EVENTS,
            },
        )
        for answer in answers:
            yield _page(answer.get("Events", ()))

    def born(self, partition: Partition) -> int | None:  # noqa: ARG002 - of the interface
        """Unknown: a region's event history has always been there."""
        return None


def _page(records: Sequence[EventTypeDef]) -> Page:
    events: list[LogEvent] = []
    for record in records:
        message, event_id, time = (
            record.get("CloudTrailEvent"),
            record.get("EventId"),
            record.get("EventTime"),
        )
        if message and event_id and time is not None:
            events.append(LogEvent(message, round(time.timestamp() * 1000), event_id))
    return Page(events, undecodable=len(records) - len(events))


def locate(account: AwsAccount, regions: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The account's id and the regions, by default the session's own; raises SourceError."""
    if not regions:
        home = account.default_region
        if not home:
            raise no_region_error()
        regions = (home,)
    return account.identify(regions), regions


def unidentified(
    name: str, regions: Sequence[str], error: SourceError
) -> list[tuple[Partition, SourceError]]:
    """The failures of a discovery that does not know its account: one a configured region."""
    return [(Partition(name, region=region), error) for region in regions or ("",)]
