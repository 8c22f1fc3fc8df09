"""CloudTrail's event history, by LookupEvents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from exporter.aws.errors import Call
from exporter.aws.pages import pages
from exporter.aws.quotas import CallCost
from exporter.aws.session import AwsAccount
from exporter.model import LogEvent, Partition, SourceError
from exporter.sources.accounts import locate, out_of_reach, unidentified
from exporter.sources.base import Discovery
from exporter.sources.fields import identifier, milliseconds, text
from exporter.sources.timeline import Page

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
        return Discovery(
            [Partition(self._name, account_id, region) for region in regions],
            out_of_reach(self._name, self._account, regions, account_id),
        )

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible event with start ≤ EventTime < end, and those at ``end`` in seconds."""
        if start >= end:
            return
        call = Call("cloudtrail", "LookupEvents", partition.account_id, partition.region)
        found = pages(
            self._account.cloudtrail(partition.region, partition.account_id).lookup_events,
            call,
            {
                "StartTime": datetime.fromtimestamp(start // 1000, UTC),
                "EndTime": datetime.fromtimestamp(-(-end // 1000), UTC),
                "MaxResults": _PAGE_EVENTS,
            },
        )
        for records in found:
            yield _page(records)

    def cost(self, partition: Partition) -> CallCost:
        """One look-up."""
        return self._account.cost("LookupEvents", partition.region, partition.account_id)

    def born(self, partition: Partition) -> int | None:  # noqa: ARG002 - of the interface
        """Unknown: a region's event history has always been there."""
        return None


def _page(records: Sequence[object]) -> Page:
    events = [event for event in map(_event, records) if event is not None]
    return Page(events, undecodable=len(records) - len(events))


def _event(record: object) -> LogEvent | None:
    """The log event of an Event; None: it is none."""
    if not isinstance(record, Mapping):
        return None
    message = text(record.get("CloudTrailEvent"))
    time = milliseconds(record.get("EventTime"), 1000)
    event_id = identifier(record.get("EventId"))
    if not message or time is None or event_id is None:
        return None
    return LogEvent(message, time, event_id)
