"""CloudWatch Logs, by DescribeLogGroups and FilterLogEvents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from exporter.aws.errors import Call
from exporter.aws.pages import pages
from exporter.aws.session import AwsAccount
from exporter.errors import PartitionGoneError, SourceError
from exporter.events import LogEvent, Partition
from exporter.sources.base import Discovery
from exporter.sources.event_history import locate, unidentified
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.timeline import Page

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef, LogGroupTypeDef

# AWS: a page holds up to 10,000 log events or 1 MB; CloudTrail records and longer application
# lines make that some thousand.
_LIKELY_PAGE_EVENTS = 1000
_PAGE_EVENTS = 10_000
_PAGE_GROUPS = 50
_READABLE_CLASS = "STANDARD"

_Failures = list[tuple[Partition, SourceError]]


class LogGroups:
    """Log groups by name or pattern, a partition an (account, region, log group).

    AWS: oldest first; times are milliseconds; startTime and endTime are both inclusive.
    ``log_groups``: names, or patterns in which ``*`` stands for any characters. ``regions`` empty:
    the session's own.
    """

    resolution = 1
    page_size = _LIKELY_PAGE_EVENTS

    def __init__(
        self,
        name: str,
        account: AwsAccount,
        log_groups: Sequence[str],
        regions: Sequence[str] = (),
    ) -> None:
        self._name = name
        self._account = account
        self._names = LogGroupNames(log_groups)
        self._regions = tuple(regions)
        self._born: dict[Partition, int] = {}

    def discover(self) -> Discovery:
        """The log groups that there are now, region by region."""
        try:
            account_id, regions = locate(self._account, self._regions)
        except SourceError as error:
            return Discovery((), unidentified(self._name, self._regions, error))
        partitions: list[Partition] = []
        failures: _Failures = []
        for region in regions:
            try:
                groups = self._groups(account_id, region)
            except SourceError as error:
                failures.append((Partition(self._name, account_id, region), error))
                continue
            for name, group in groups.items():
                partition = Partition(self._name, account_id, region, log_group=name)
                log_group_class = group.get("logGroupClass", _READABLE_CLASS)
                if log_group_class != _READABLE_CLASS:
                    failures.append((partition, _unreadable(name, region, log_group_class)))
                    continue
                if "creationTime" in group:
                    self._born[partition] = group["creationTime"]
                partitions.append(partition)
            failures += self._missing(account_id, region, groups)
        return Discovery(partitions, failures)

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible log event with start ≤ timestamp ≤ end.

        Raises PartitionGoneError where the log group was deleted, SourceError else.
        """
        if start >= end:
            return
        name = partition.log_group or ""
        call = Call(
            "logs",
            "FilterLogEvents",
            partition.account_id,
            partition.region,
            resource=f"log group {name}",
        )
        answers = pages(
            self._account.logs(partition.region).filter_log_events,
            call,
            "nextToken",
            {
                "logGroupName": name,
                "startTime": max(start, 0),
                "endTime": end,
                "limit": _PAGE_EVENTS,
            },
        )
        try:
            for answer in answers:
                yield _page(answer.get("events", ()))
        except SourceError as error:
            if error.reason == "not_found":
                raise PartitionGoneError(str(error), reason=error.reason) from error
            raise

    def born(self, partition: Partition) -> int | None:
        """The log group's creationTime, milliseconds."""
        return self._born.get(partition)

    def _groups(self, account_id: str, region: str) -> dict[str, LogGroupTypeDef]:
        """The region's log groups with a name that is asked for."""
        call = Call("logs", "DescribeLogGroups", account_id, region)
        client = self._account.logs(region)
        found: dict[str, LogGroupTypeDef] = {}
        for prefix in self._names.prefixes:
            parameters: dict[str, object] = {"limit": _PAGE_GROUPS}
            if prefix:
                parameters["logGroupNamePrefix"] = prefix
            for answer in pages(client.describe_log_groups, call, "nextToken", parameters):
                for group in answer.get("logGroups", ()):
                    name = group.get("logGroupName", "")
                    if self._names.wanted(name):
                        found[name] = group
        return dict(sorted(found.items()))

    def _missing(
        self, account_id: str, region: str, groups: dict[str, LogGroupTypeDef]
    ) -> _Failures:
        return [
            (
                Partition(self._name, account_id, region, log_group=name),
                SourceError(
                    f"There is no log group {name} in account {account_id}, region {region}; "
                    "correct the name, or name the source's `regions`. It is looked for again.",
                    reason="not_found",
                ),
            )
            for name in self._names.exact
            if name not in groups
        ]


def _page(records: Sequence[FilteredLogEventTypeDef]) -> Page:
    events = [
        LogEvent(record["message"], record["timestamp"], record["eventId"])
        for record in records
        if "message" in record and "timestamp" in record and record.get("eventId")
    ]
    return Page(events, undecodable=len(records) - len(events))


def _unreadable(name: str, region: str, log_group_class: str) -> SourceError:
    return SourceError(
        f"Log group {name} in region {region} is of class {log_group_class}, which "
        "FilterLogEvents does not read; use a STANDARD log group, or a pattern that leaves it out.",
        reason="unsupported",
    )
