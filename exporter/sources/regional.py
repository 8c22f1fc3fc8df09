"""What sources have in common that AWS keeps by account and region, and shows by event time."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from exporter.aws.calls import Call
from exporter.aws.quotas import CallCost
from exporter.model import LogEvent, Partition, SourceError
from exporter.sources.base import Discovery, Environment
from exporter.sources.options import Regions
from exporter.sources.timeline import Page, TimelineConfig, TimelineSource
from exporter.yamlfile.problems import Location, Problem, Severity
from exporter.yamlfile.validation import Fields

_DEFAULT_REGION = "default"
"""The part of a source that names no regions."""
_LAST = 253_402_300_799_999
"""The end of the year 9999, in milliseconds."""


def milliseconds(value: object, unit: int = 1) -> int | None:
    """A time since the epoch in milliseconds, if it is one; ``unit``: milliseconds of a unit."""
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * unit) if 0 <= value <= _LAST / unit else None


class RegionalConfig(TimelineConfig):
    """What such a source configures."""

    regions: Regions | None = None
    """None: the session's region."""

    @abstractmethod
    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:
        """The ``parts`` of a region; ``resource``: only those that it belongs to."""

    @property
    def aws_regions(self) -> Sequence[str]:
        """See SourceConfig."""
        return self.regions or ("",)

    @property
    def parts(self) -> Sequence[str]:
        """See SourceConfig."""
        regions = self.regions or (_DEFAULT_REGION,)
        return [part for region in regions for part in self.parts_in(region)]

    def configured_since(self, partition: Partition, since: Mapping[str, int]) -> int | None:
        """Since when a partition is asked for, by that of its parts; None: unknown."""
        region = partition.region if self.regions else _DEFAULT_REGION
        parts = self.parts_in(region, partition.resource)
        return min((since[part] for part in parts if part in since), default=None)

    @abstractmethod
    def source(self, environment: Environment, since: Mapping[str, int]) -> RegionalSource:
        """See SourceConfig."""

    def problems_online(self, environment: Environment, fields: Fields) -> Iterator[Problem]:
        """An error for each account or region that cannot be asked, a warning for each resource."""
        yield from self.problems_of(self.source(environment, {}).discover(), fields)

    def problems_of(self, discovery: Discovery, fields: Fields) -> Iterator[Problem]:
        """A discovery's failures as problems."""
        for place, error in discovery.failures:
            severity: Severity = "warning" if place.resource else "error"
            yield Problem(_sentence(error), self.location_of(place, fields), severity)

    def location_of(self, place: Partition, fields: Fields) -> Location:
        """Where the file asks for a region or resource."""
        regions = self.regions or ()
        if place.region in regions:
            return fields.value_of("regions", regions.index(place.region))
        return fields.value_of("name")


class RegionalSource(TimelineSource):
    """Finds the partitions of each region, and reads AWS's records."""

    operation: str
    """The operation that ``pages`` calls."""
    members: tuple[str, str, str]
    """Where a record has its message, time and id."""

    def __init__(
        self, config: RegionalConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        super().__init__(
            config,
            since=lambda partition: config.configured_since(partition, since),
            complete=environment.complete,
            clock=environment.clock.earliest,
        )
        self._accounts = environment.accounts
        self._regions = config.regions or ()

    def discover(self) -> Discovery:
        """The partitions that there are now, region by region.

        A region that cannot be asked is a failure, and so is one of an account that the credentials
        belonged to before: its partitions may still be there.
        """
        try:
            account_id, regions = self._accounts.locate(self._regions)
        except SourceError as error:
            unknown = [Partition(self.name, region=region) for region in self._regions or ("",)]
            return Discovery((), [(place, error) for place in unknown])
        partitions: list[Partition] = []
        failures = [
            (Partition(self.name, former, region), error)
            for former, region, error in self._accounts.out_of_reach(regions)
        ]
        for region in regions:
            place = Partition(self.name, account_id, region)
            try:
                found = self.find(place)
            except SourceError as error:
                failures.append((place, error))
            else:
                partitions += found.partitions
                failures += found.failures
        return Discovery(partitions, failures)

    def cost(self, partition: Partition) -> CallCost:
        """See Source."""
        return self._accounts.cost(self.operation, partition.region, partition.account_id)

    @abstractmethod
    def find(self, place: Partition) -> Discovery:
        """The partitions in an account and region; raises SourceError."""

    def _call(self, call: Call, parameters: Mapping[str, object]) -> Iterator[Page]:
        for records in self._accounts.pages(call, parameters):
            events = [event for event in map(self._event, records) if event is not None]
            yield Page(events, undecodable=len(records) - len(events))

    def _event(self, record: object) -> LogEvent | None:
        """The log event in a record; None if a member is missing or has an odd type."""
        if not isinstance(record, Mapping):
            return None
        message, sent_time, event_id = map(record.get, self.members)
        time = milliseconds(sent_time, self.resolution)
        if not (isinstance(message, str) and message) or time is None:
            return None
        if not (isinstance(event_id, str) and event_id and event_id.isascii()):
            return None
        return LogEvent(message, time, event_id)


def _sentence(error: SourceError) -> str:
    """An error as ``check`` writes them: it tries nothing again."""
    text = re.sub(r"[;.] It is (tried|looked for) again.*", "", str(error), flags=re.IGNORECASE)
    text = text.removesuffix(".")
    return text[0].lower() + text[1:] if text[1:2].islower() else text
