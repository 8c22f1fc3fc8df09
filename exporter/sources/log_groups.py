"""CloudWatch Logs, by DescribeLogGroups or ListLogGroups, and FilterLogEvents."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Literal

from pydantic import model_validator

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
from exporter.patterns import FilterPattern
from exporter.planning.filters import filter_plans
from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.sources.base import Discovery, Environment
from exporter.sources.log_group_finder import LogGroup, LogGroupFinder
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.log_group_options import IdentityTemplate, LogGroupPatterns, Tags
from exporter.sources.options import Interval, Lookback
from exporter.sources.pace import EventPage
from exporter.sources.regional import RegionalConfig, RegionalSource
from exporter.yamlfile.problems import Location, Problem
from exporter.yamlfile.validation import BetweenFieldsError, Fields

LOG_GROUP = PartitionKind("log_group", "Log group", on_series=True, local_ids=True)

# AWS: a page has up to 10,000 log events or 1 MB, which is about a thousand CloudTrail records or
# long application lines.
_LIKELY_PAGE_EVENTS = 1000
_PAGE_EVENTS = 10_000
_READS: Final = "FilterLogEvents"
_UNREADABLE: Final = "INFREQUENT_ACCESS"
"""AWS: FilterLogEvents does not read this class. Of classes that are not known here, its answer
says whether it does."""
_FOR_OTHERS: Final = "DELIVERY"
"""The class of log groups that only bring Lambda's logs to other services."""


class LogGroupsConfig(RegionalConfig):
    """A source of the type ``log_groups``."""

    kind: ClassVar = LOG_GROUP
    stand_ins: ClassVar = {"log_groups": ["*"]}
    page_size: ClassVar = _LIKELY_PAGE_EVENTS
    each: ClassVar = "log group"
    operation: ClassVar = _READS

    type: Literal["log_groups"] = "log_groups"
    log_groups: LogGroupPatterns
    """By default all, if there are tags."""
    tags: Tags | None = None
    """Tags that all log groups have; None for any."""
    exclude: LogGroupPatterns | None = None
    """Log groups that are left out."""
    include_linked_accounts: bool = False
    """Whether log groups of the accounts that are linked to a monitoring account are read, too."""
    identity: IdentityTemplate | None = None
    """How the names of centralized log groups are made."""
    format: EventFormat = "auto"
    interval: Interval = 30.0
    lookback: Lookback = 3600.0

    @model_validator(mode="before")
    @classmethod
    def _tags_select_among_all(cls, data: object) -> object:
        return {"log_groups": ["*"], **data} if isinstance(data, dict) and "tags" in data else data

    @model_validator(mode="after")
    def _no_name_is_left_out(self) -> LogGroupsConfig:
        for name in self.names.exact:
            if not self.names.wanted(name):
                raise BetweenFieldsError(
                    "exclude", f"`log_groups` names {name}, and `exclude` leaves it out"
                )
        return self

    @property
    def names(self) -> LogGroupNames:
        """The log groups that are read, by name."""
        return LogGroupNames(self.log_groups, self.exclude or ())

    @property
    def _selection(self) -> str:
        """The end of the names of parts, since other log groups are selected by other options."""
        chosen = {
            "tags": self.tags,
            "exclude": self.exclude,
            "linked": self.include_linked_accounts,
            "identity": self.identity and self.identity.template,
        }
        given = {key: value for key, value in chosen.items() if value}
        return f" {json.dumps(given, sort_keys=True)}" if given else ""

    def source(self, environment: Environment, since: Mapping[str, int]) -> LogGroups:
        """See SourceConfig."""
        return LogGroups(self, environment, since)

    def plans(self, patterns: Sequence[FilterPattern]) -> Sequence[Plan]:
        """See TimelineConfig."""
        return filter_plans(patterns, self.format)

    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:
        """See RegionalConfig: each name or pattern of log groups."""
        return [
            f"{region} {pattern}{self._selection}"
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
            if self.tags is not None:
                yield Grant("FindLogGroupsByTag", "logs:ListLogGroups", region, "*")
            owner = "*" if self.include_linked_accounts else deployment.account_id
            for name in self.log_groups:
                # In its only spelling, so no two patterns include each other.
                simplest = re.sub(r"\*+", "*", name)
                resource = deployment.arn("logs", region, f"log-group:{simplest}:*", owner)
                yield Grant("ReadLogGroups", "logs:FilterLogEvents", region, resource)

    def problems_online(self, environment: Environment, fields: Fields) -> Iterator[Problem]:
        """Also a warning for each pattern without a match, if all regions answered."""
        source = self.source(environment, {})
        discovery = source.discover()
        yield from self.problems_of(discovery, fields)
        found = [source.log_group(partition) for partition in discovery.partitions]
        found += [partition.resource for partition, _ in discovery.failures]
        if not all(found):
            return
        regions = ", ".join(self.named_regions) or "the region"
        some = "log group" if self.tags is None else "log group with these tags"
        for index, pattern in enumerate(self.log_groups):
            names = LogGroupNames([pattern])
            if "*" in pattern and not any(map(names.wanted, found)):
                yield Problem(
                    f"no {some} matches {pattern} in {regions}: correct the pattern, or name the"
                    " source's `regions`",
                    self._position(index, fields),
                    "warning",
                )

    def location_of(self, partition: Partition, fields: Fields) -> Location:
        """Position of the first name or pattern that matches a log group, else of its region."""
        for index, pattern in enumerate(self.log_groups if partition.resource else ()):
            if LogGroupNames([pattern]).wanted(partition.resource):
                return self._position(index, fields)
        return super().location_of(partition, fields)

    def _position(self, index: int, fields: Fields) -> Location:
        if "log_groups" in fields.values:
            return fields.value_of("log_groups", index)
        return fields.value_of("tags")


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a partition is read."""

    place: Partition
    """The account and region that are asked."""
    group: LogGroup
    since: int | None = None
    """When it was selected, milliseconds, if a look before that did not find it."""

    @property
    def is_linked(self) -> bool:
        """Whether the log group belongs to an account that is linked to the one that is asked."""
        return self.group.account_id != self.place.account_id

    @property
    def target(self) -> Partition:
        """The log group as itself."""
        return replace(self.place, account_id=self.group.account_id, resource=self.group.name)


class LogGroups(RegionalSource):
    """Log groups by name or pattern, a partition for each (account, region, log group).

    AWS: oldest first; times are milliseconds; startTime and endTime are both inclusive.
    """

    resolution = LogGroupsConfig.resolution
    page_size = LogGroupsConfig.page_size
    record = FilteredLogEvent

    def __init__(
        self, config: LogGroupsConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        super().__init__(config, environment, since)
        self._names = config.names
        self._identity = config.identity
        linked = config.include_linked_accounts
        self._finder = LogGroupFinder(self._names, config.tags or {}, linked=linked)
        self._tagged = "" if config.tags is None else " with these tags"
        self._joins = linked or config.tags is not None
        """Whether old log groups can become the source's."""
        self._looked: dict[Partition, int] = {}
        """Milliseconds, by place: when the last look began."""
        self._found: list[tuple[Partition, _Reading]] = []
        """Of the current look."""
        self._readings: Mapping[Partition, _Reading] = {}

    def discover(self) -> Discovery:
        """See RegionalSource.

        The account and region of a partition may be others than those that are asked: then it is
        kept here if these do not answer.
        """
        self._found = []
        discovery = super().discover()
        failed = {scope for scope, _ in discovery.failures}
        kept = [
            (partition, reading)
            for partition, reading in self._readings.items()
            if not failed.isdisjoint(_scopes(reading.place))
        ]
        readings: dict[Partition, _Reading] = {}
        failures = list(discovery.failures)
        # An account's own log group comes first, then the order does not depend on the answers.
        for partition, reading in sorted([*self._found, *kept], key=_precedence):
            first = readings.setdefault(partition, reading)
            if first.target != reading.target:
                failures.append((reading.target, _same_identity(first, reading)))
        self._readings = readings
        return Discovery(list(readings), failures, discovery.accounts)

    def find(self, place: Partition) -> Discovery:
        """The configured log groups of an account and region."""
        began = self._now()
        groups, odd = self._finder.find(self.access(place.account_id), place)
        failures = [(place, _odd(place.region, odd))] if odd else []
        readings = []
        for group in groups:
            reading = _Reading(place, group)
            if group.log_group_class == _UNREADABLE or (
                group.log_group_class == _FOR_OTHERS and group.name in self._names.exact
            ):
                failures.append((reading.target, _unreadable(reading.target, group)))
            elif group.log_group_class != _FOR_OTHERS:
                partition = self._partition(reading.target)
                before = self._readings.get(partition)
                since = self._joined(group, place) if before is None else before.since
                readings.append((partition, replace(reading, since=since)))
        self._looked[place] = began
        self._found += readings
        missing = set(self._names.exact).difference(group.name for group in groups)
        absent = [replace(place, resource=name, kind=LOG_GROUP) for name in sorted(missing)]
        failures += [(partition, _missing(partition, self._tagged)) for partition in absent]
        return Discovery([partition for partition, _ in readings], failures)

    def _joined(self, group: LogGroup, place: Partition) -> int | None:
        """When an old log group became the source's at the earliest, milliseconds, if known."""
        looked = self._looked.get(place)
        if not self._joins or looked is None or (group.created or 0) >= looked:
            return None
        return looked

    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        """Every visible log event with start ≤ timestamp ≤ end.

        Raises PartitionGoneError if the log group was deleted, else SourceError.
        """
        if start >= end:
            return
        reading = self._reading(partition)
        named = {"logGroupName": reading.group.name}
        if reading.is_linked:
            named = {"logGroupIdentifier": reading.group.arn}
        parameters = {
            **named,
            "startTime": max(start, 0),
            "endTime": end,
            "limit": _PAGE_EVENTS,
            **({"filterPattern": request.value} if request.selects else {}),
        }
        try:
            yield from self._call(self.call(partition), parameters)
        except SourceError as error:
            if error.reason == "not_found":
                raise PartitionGoneError(str(error), reason=error.reason) from error
            raise

    def call(self, partition: Partition) -> Call:
        """FilterLogEvents."""
        reading = self._reading(partition)
        where = reading.place.account_id, reading.place.region
        of = f" of account {reading.group.account_id}" if reading.is_linked else ""
        return Call("logs", _READS, *where, f"log group {reading.group.name}{of}")

    def created_at(self, partition: Partition) -> int | None:
        """The log group's creationTime, milliseconds."""
        return self._reading(partition).group.created

    def read_completely(self, partition: Partition) -> str:
        """See TimelineSource. AWS does not document which text a filter pattern sees."""
        if not self._reading(partition).group.masked:
            return ""
        return "Everything is read, since a data protection policy masks parts of the log events."

    def log_group(self, partition: Partition) -> str:
        """The name of the log group that is read."""
        return self._reading(partition).group.name

    def _reading(self, partition: Partition) -> _Reading:
        known = self._readings.get(partition)
        return known or _Reading(partition, LogGroup(partition.resource, partition.account_id))

    def _partition(self, target: Partition) -> Partition:
        """The partition of a log group, named by its origin if it is a centralized one."""
        origin = self._identity.origin(target.resource) if self._identity is not None else {}
        return Partition(
            self.name,
            origin.get("account", target.account_id),
            origin.get("region", target.region),
            origin.get("group", target.resource),
            LOG_GROUP,
        )

    def _configured_since(self, partition: Partition, since: Mapping[str, int]) -> int | None:
        reading = self._reading(partition)
        asked = replace(reading.place, resource=reading.group.name)
        times = (super()._configured_since(asked, since), reading.since)
        return max((time for time in times if time is not None), default=None)


def _scopes(place: Partition) -> tuple[Partition, ...]:
    """The failures of a discovery that concern an account and region."""
    account = replace(place, region="")
    return place, account, replace(place, account_id=""), replace(account, account_id="")


def _precedence(found: tuple[Partition, _Reading]) -> tuple[object, ...]:
    partition, reading = found
    place = reading.place
    order = place.account_id, place.region, reading.group.name, reading.group.account_id
    return reading.target != partition or reading.is_linked, *order


def _missing(partition: Partition, tagged: str) -> SourceError:
    return SourceError(
        f"There is no log group {partition.resource}{tagged} in account {partition.account_id},"
        f" region {partition.region}: correct the name, or name the source's `regions`. It is"
        " looked for again.",
        reason="not_found",
    )


def _unreadable(partition: Partition, group: LogGroup) -> SourceError:
    return SourceError(
        f"Log group {partition.resource} in region {partition.region} is of class"
        f" {group.log_group_class}, which FilterLogEvents does not read; use a STANDARD log group,"
        " or leave it out with `exclude`.",
        reason="unsupported",
    )


def _odd(region: str, groups: int) -> SourceError:
    return SourceError(
        f"CloudWatch Logs in region {region} listed {groups} log groups without a name, "
        "which AWS does not send; the others are read. It is tried again.",
        reason="unreadable",
    )


def _same_identity(first: _Reading, other: _Reading) -> SourceError:
    return SourceError(
        f"Log group {other.target.resource} in account {other.target.account_id}, region"
        f" {other.target.region} has the same `identity` as {first.target.resource} in account"
        f" {first.target.account_id}, region {first.target.region}, so only that is read: leave"
        " one of them out with `exclude`.",
        reason="unsupported",
    )
