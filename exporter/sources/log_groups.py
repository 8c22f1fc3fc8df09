"""CloudWatch Logs, by DescribeLogGroups and FilterLogEvents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from exporter.aws.errors import Call
from exporter.aws.pages import pages
from exporter.aws.quotas import CallCost
from exporter.aws.session import AwsAccount
from exporter.model import LogEvent, Partition, PartitionGoneError, PartitionKind, SourceError
from exporter.sources.accounts import Failures, locate, out_of_reach, unidentified
from exporter.sources.base import Discovery
from exporter.sources.fields import identifier, milliseconds, text
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.timeline import Page

# AWS: a page holds up to 10,000 log events or 1 MB; CloudTrail records and longer application
# lines make that some thousand.
_LIKELY_PAGE_EVENTS = 1000
_PAGE_EVENTS = 10_000
_PAGE_GROUPS = 50
_READABLE_CLASS = "STANDARD"

LOG_GROUP = PartitionKind("log_group", "Log group", on_series=True, local_ids=True)

_Groups = Mapping[str, Mapping[str, object]]
"""Log groups as DescribeLogGroups sends them, by name."""


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
        failures = out_of_reach(self._name, self._account, regions, account_id)
        born: dict[Partition, int] = {}
        for region in regions:
            try:
                groups, odd = self._groups(account_id, region)
            except SourceError as error:
                failures.append((Partition(self._name, account_id, region), error))
                continue
            if odd:
                failures.append((Partition(self._name, account_id, region), _odd(region, odd)))
            for name, group in groups.items():
                partition = Partition(self._name, account_id, region, name, LOG_GROUP)
                log_group_class = group.get("logGroupClass", _READABLE_CLASS)
                if log_group_class != _READABLE_CLASS:
                    failures.append((partition, _unreadable(name, region, str(log_group_class))))
                    continue
                created = milliseconds(group.get("creationTime"), 1)
                if created is not None:
                    born[partition] = created
                partitions.append(partition)
            failures += self._missing(account_id, region, groups)
        unseen = {scope.region for scope, _ in failures if not scope.resource}
        kept = {p: at for p, at in self._born.items() if p.region in unseen}
        self._born = kept | born
        return Discovery(partitions, failures)

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[Page]:
        """Every visible log event with start ≤ timestamp ≤ end.

        Raises PartitionGoneError where the log group was deleted, SourceError else.
        """
        if start >= end:
            return
        name = partition.resource
        call = Call(
            "logs",
            "FilterLogEvents",
            partition.account_id,
            partition.region,
            resource=f"log group {name}",
        )
        found = pages(
            self._account.logs(partition.region, partition.account_id).filter_log_events,
            call,
            {
                "logGroupName": name,
                "startTime": max(start, 0),
                "endTime": end,
                "limit": _PAGE_EVENTS,
            },
        )
        try:
            for records in found:
                yield _page(records)
        except SourceError as error:
            if error.reason == "not_found":
                raise PartitionGoneError(str(error), reason=error.reason) from error
            raise

    def cost(self, partition: Partition) -> CallCost:
        """One FilterLogEvents."""
        return self._account.cost("FilterLogEvents", partition.region, partition.account_id)

    def born(self, partition: Partition) -> int | None:
        """The log group's creationTime, milliseconds."""
        return self._born.get(partition)

    def _groups(self, account_id: str, region: str) -> tuple[_Groups, int]:
        """The region's log groups with a name that is asked for, and how many have none."""
        call = Call("logs", "DescribeLogGroups", account_id, region)
        client = self._account.logs(region, account_id)
        found: dict[str, Mapping[str, object]] = {}
        odd = 0
        for prefix in self._names.prefixes:
            parameters: dict[str, object] = {"limit": _PAGE_GROUPS}
            if prefix:
                parameters["logGroupNamePrefix"] = prefix
            for records in pages(client.describe_log_groups, call, parameters):
                for group in records:
                    name = text(group.get("logGroupName")) if isinstance(group, Mapping) else None
                    if not isinstance(group, Mapping) or not name:
                        odd += 1
                    elif self._names.wanted(name):
                        found[name] = group
        return dict(sorted(found.items())), odd

    def _missing(self, account_id: str, region: str, groups: _Groups) -> Failures:
        return [
            (
                Partition(self._name, account_id, region, name, LOG_GROUP),
                SourceError(
                    f"There is no log group {name} in account {account_id}, region {region}; "
                    "correct the name, or name the source's `regions`. It is looked for again.",
                    reason="not_found",
                ),
            )
            for name in self._names.exact
            if name not in groups
        ]


def _page(records: Sequence[object]) -> Page:
    events = [event for event in map(_event, records) if event is not None]
    return Page(events, undecodable=len(records) - len(events))


def _event(record: object) -> LogEvent | None:
    """The log event of a FilteredLogEvent; None: it is none."""
    if not isinstance(record, Mapping):
        return None
    message = text(record.get("message"))
    time = milliseconds(record.get("timestamp"), 1)
    event_id = identifier(record.get("eventId"))
    if message is None or time is None or event_id is None:
        return None
    return LogEvent(message, time, event_id)


def _unreadable(name: str, region: str, log_group_class: str) -> SourceError:
    return SourceError(
        f"Log group {name} in region {region} is of class {log_group_class}, which "
        "FilterLogEvents does not read; use a STANDARD log group, or a pattern that leaves it out.",
        reason="unsupported",
    )


def _odd(region: str, groups: int) -> SourceError:
    return SourceError(
        f"logs:DescribeLogGroups in region {region} brought {groups} log groups without a name, "
        "which AWS does not send; the others are read. It is tried again.",
        reason="unreadable",
    )
