"""CloudWatch Logs, by DescribeLogGroups and FilterLogEvents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator

from exporter.aws.calls import Call
from exporter.aws.iam_policy import Deployment, Grant
from exporter.aws.records import FilteredLogEvent
from exporter.model import (
    EventFormat,
    Partition,
    PartitionGoneError,
    PartitionKind,
    SourceError,
)
from exporter.sources.base import Discovery, Environment
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.options import Distinct, Interval, Lookback
from exporter.sources.pace import EventPage
from exporter.sources.regional import RegionalConfig, RegionalSource, milliseconds
from exporter.yamlfile.problems import Location, Problem
from exporter.yamlfile.validation import Fields

LOG_GROUP = PartitionKind("log_group", "Log group", on_series=True, local_ids=True)

_LOG_GROUP = re.compile(r"[A-Za-z0-9_./#*-]{1,512}")
# AWS: a page has up to 10,000 log events or 1 MB, which is about a thousand CloudTrail records or
# long application lines.
_LIKELY_PAGE_EVENTS = 1000
_PAGE_EVENTS = 10_000
_PAGE_GROUPS = 50
_READABLE_CLASS = "STANDARD"


def _log_group(name: str) -> str:
    if name.startswith("arn:"):
        raise ValueError("must be the log group's name, not its ARN")
    if not _LOG_GROUP.fullmatch(name):
        raise ValueError(
            f"{name!r} is not a log group: names have letters, digits and _-/.#, patterns also *"
        )
    return name


_LogGroups: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_log_group)], ...], Distinct]


class LogGroupsConfig(RegionalConfig):
    """A source of the type ``log_groups``."""

    kind: ClassVar = LOG_GROUP
    stand_ins: ClassVar = {"log_groups": ["*"]}

    type: Literal["log_groups"] = "log_groups"
    log_groups: _LogGroups
    """Names, or patterns in which ``*`` matches any characters, ``/`` included."""
    format: EventFormat = "auto"
    interval: Interval = 30.0
    lookback: Lookback = 3600.0

    def source(self, environment: Environment, since: Mapping[str, int]) -> LogGroups:
        """See SourceConfig."""
        return LogGroups(self, environment, since)

    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:
        """See RegionalConfig: each name or pattern of log groups."""
        return [
            f"{region} {pattern}"
            for pattern in self.log_groups
            if resource is None or LogGroupNames([pattern]).wanted(resource)
        ]

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """AWS: policies name a log group by its ARN with ``:*`` at the end.

        DescribeLogGroups is allowed for all log groups of a region or for none: its resource is
        ``log-group::log-stream:``, with any prefix.
        """
        yield from super().permissions(deployment)
        for region in self.granted_regions(deployment):
            every = deployment.arn("logs", region, "log-group:*")
            yield Grant("FindLogGroups", "logs:DescribeLogGroups", region, every)
            for name in self.log_groups:
                # In its only spelling, so no two patterns include each other.
                simplest = re.sub(r"\*+", "*", name)
                resource = deployment.arn("logs", region, f"log-group:{simplest}:*")
                yield Grant("ReadLogGroups", "logs:FilterLogEvents", region, resource)

    def problems_of(self, discovery: Discovery, fields: Fields) -> Iterator[Problem]:
        """Also a warning for each pattern without a match, if all regions answered."""
        yield from super().problems_of(discovery, fields)
        found = [*discovery.partitions, *(partition for partition, _ in discovery.failures)]
        if not all(partition.resource for partition in found):
            return
        regions = ", ".join(self.named_regions) or "the region"
        for index, pattern in enumerate(self.log_groups):
            names = LogGroupNames([pattern])
            if "*" in pattern and not any(names.wanted(one.resource) for one in found):
                yield Problem(
                    f"no log group matches {pattern} in {regions}: correct the pattern, or name the"
                    " source's `regions`",
                    fields.value_of("log_groups", index),
                    "warning",
                )

    def location_of(self, partition: Partition, fields: Fields) -> Location:
        """Position of the first name or pattern that matches a log group, else of its region."""
        for index, pattern in enumerate(self.log_groups if partition.resource else ()):
            if LogGroupNames([pattern]).wanted(partition.resource):
                return fields.value_of("log_groups", index)
        return super().location_of(partition, fields)


class LogGroups(RegionalSource):
    """Log groups by name or pattern, a partition for each (account, region, log group).

    AWS: oldest first; times are milliseconds; startTime and endTime are both inclusive.
    """

    resolution = 1
    page_size = _LIKELY_PAGE_EVENTS
    record = FilteredLogEvent

    def __init__(
        self, config: LogGroupsConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        super().__init__(config, environment, since)
        self._names = LogGroupNames(config.log_groups)
        self._created: dict[tuple[str, str], dict[str, int]] = {}
        """Creation times by (account, region) and name."""

    def find(self, place: Partition) -> Discovery:
        """The configured log groups of an account and region."""
        groups, odd = self._groups(place)
        partitions = []
        created_at: dict[str, int] = {}
        failures = [(place, _odd(place.region, odd))] if odd else []
        for name, group in groups.items():
            partition = self._partition(place, name)
            log_group_class = group.get("logGroupClass", _READABLE_CLASS)
            if log_group_class != _READABLE_CLASS:
                failures.append((partition, _unreadable(partition, str(log_group_class))))
                continue
            created = milliseconds(group.get("creationTime"))
            if created is not None:
                created_at[name] = created
            partitions.append(partition)
        self._created[place.account_id, place.region] = created_at
        missing = [self._partition(place, name) for name in self._names.exact if name not in groups]
        failures += [(partition, _missing(partition)) for partition in missing]
        return Discovery(partitions, failures)

    def pages(self, partition: Partition, start: int, end: int) -> Iterator[EventPage]:
        """Every visible log event with start ≤ timestamp ≤ end.

        Raises PartitionGoneError if the log group was deleted, else SourceError.
        """
        if start >= end:
            return
        parameters = {
            "logGroupName": partition.resource,
            "startTime": max(start, 0),
            "endTime": end,
            "limit": _PAGE_EVENTS,
        }
        try:
            yield from self._call(self.call(partition), parameters)
        except SourceError as error:
            if error.reason == "not_found":
                raise PartitionGoneError(str(error), reason=error.reason) from error
            raise

    def call(self, partition: Partition) -> Call:
        """FilterLogEvents."""
        where = partition.account_id, partition.region
        return Call("logs", "FilterLogEvents", *where, f"log group {partition.resource}")

    def created_at(self, partition: Partition) -> int | None:
        """The log group's creationTime, milliseconds."""
        created_at = self._created.get((partition.account_id, partition.region), {})
        return created_at.get(partition.resource)

    def _partition(self, place: Partition, name: str) -> Partition:
        return Partition(self.name, place.account_id, place.region, name, LOG_GROUP)

    def _groups(self, place: Partition) -> tuple[Mapping[str, Mapping[str, object]], int]:
        """The log groups by name, as DescribeLogGroups returns them, and the number without one."""
        call = Call("logs", "DescribeLogGroups", place.account_id, place.region)
        found: dict[str, Mapping[str, object]] = {}
        odd = 0
        for prefix in self._names.prefixes:
            parameters: dict[str, object] = {"limit": _PAGE_GROUPS}
            if prefix:
                parameters["logGroupNamePrefix"] = prefix
            for records in self.access(place.account_id).pages(call, parameters):
                for group in records:
                    name = group.get("logGroupName") if isinstance(group, Mapping) else None
                    if not (isinstance(group, Mapping) and isinstance(name, str) and name):
                        odd += 1
                    elif self._names.wanted(name):
                        found[name] = group
        return dict(sorted(found.items())), odd


def _missing(partition: Partition) -> SourceError:
    return SourceError(
        f"There is no log group {partition.resource} in account {partition.account_id}, region"
        f" {partition.region}: correct the name, or name the source's `regions`. It is looked for"
        " again.",
        reason="not_found",
    )


def _unreadable(partition: Partition, log_group_class: str) -> SourceError:
    return SourceError(
        f"Log group {partition.resource} in region {partition.region} is of class"
        f" {log_group_class}, which FilterLogEvents does not read; use a STANDARD log group, or a"
        " pattern that leaves it out.",
        reason="unsupported",
    )


def _odd(region: str, groups: int) -> SourceError:
    return SourceError(
        f"logs:DescribeLogGroups in region {region} returned {groups} log groups without a name, "
        "which AWS does not send; the others are read. It is tried again.",
        reason="unreadable",
    )
