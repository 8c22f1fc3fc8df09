"""The common part of sources that AWS keeps by account and region and selects by event time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import cast

from exporter.aws.calls import Call
from exporter.aws.quotas import CallCost
from exporter.aws.records import LATEST, TypedRecord
from exporter.model import LogEvent, Partition, SourceError
from exporter.sources.base import Discovery, Environment
from exporter.sources.options import Regions
from exporter.sources.pace import EventPage
from exporter.sources.problems import sentence
from exporter.sources.timeline import TimelineConfig, TimelineSource
from exporter.yamlfile.problems import Location, Problem, Severity
from exporter.yamlfile.validation import Fields

_DEFAULT_REGION = "default"
"""Names the session's region in ``parts``, if a source has no ``regions``."""


def milliseconds(value: object, unit: int = 1) -> int | None:
    """Convert a time since the epoch to milliseconds; None if it is not a time.

    ``unit``: milliseconds in a unit of a number.
    """
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return round(value * unit) if 0 <= value <= LATEST / unit else None


class RegionalConfig(TimelineConfig):
    """The configuration of such a source."""

    regions: Regions | None = None
    """If None, the session's region."""

    @abstractmethod
    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:
        """The ``parts`` of a region, or only those that match a resource."""

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
        """The time when a partition's first part was configured, if ``since`` has it."""
        region = partition.region if self.regions else _DEFAULT_REGION
        parts = self.parts_in(region, partition.resource)
        return min((since[part] for part in parts if part in since), default=None)

    @abstractmethod
    def source(self, environment: Environment, since: Mapping[str, int]) -> RegionalSource:
        """See SourceConfig."""

    def problems_online(self, environment: Environment, fields: Fields) -> Iterator[Problem]:
        """An error for each account or region that fails, a warning for each resource."""
        yield from self.problems_of(self.source(environment, {}).discover(), fields)

    def problems_of(self, discovery: Discovery, fields: Fields) -> Iterator[Problem]:
        """The problems in the configuration that a discovery found."""
        for partition, error in discovery.failures:
            severity: Severity = "warning" if partition.resource else "error"
            yield Problem(sentence(error), self.location_of(partition, fields), severity)

    def location_of(self, partition: Partition, fields: Fields) -> Location:
        """Position of a partition's region or resource in the file."""
        regions = self.regions or ()
        if partition.region in regions:
            return fields.value_of("regions", regions.index(partition.region))
        return fields.value_of("name")


class RegionalSource(TimelineSource):
    """Finds the partitions of each region, and reads AWS's records."""

    record: type[TypedRecord]
    """A record with all that a log event needs."""

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
        """The current partitions of all regions.

        Failures are the regions that do not answer, and the regions of accounts that the
        credentials belonged to before, whose partitions may still exist.
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

    @abstractmethod
    def find(self, place: Partition) -> Discovery:
        """The partitions in ``place``, an account and region; raises SourceError."""

    @abstractmethod
    def call(self, partition: Partition) -> Call:
        """The call that reads a partition."""

    def cost(self, partition: Partition) -> CallCost:
        """See ``Source.cost``."""
        cost = self._accounts.cost(self.call(partition))
        return replace(cost, elsewhere=partial(self.uses_threads, partition))

    def _call(self, call: Call, parameters: Mapping[str, object]) -> Iterator[EventPage]:
        for records in self._accounts.pages(call, parameters):
            yield self._page(records)

    def _page(self, records: Sequence[object]) -> EventPage:
        """The log events in the records of a page: all of them are typed, or none is."""
        if records and isinstance(records[0], self.record):
            return EventPage(_log_events(cast("Sequence[TypedRecord]", records), self.resolution))
        events = [event for event in map(self._event, records) if event is not None]
        return EventPage(events, undecodable=len(records) - len(events))

    def _event(self, record: object) -> LogEvent | None:
        """The log event in a record; None if a member is missing or has a wrong type."""
        if not isinstance(record, Mapping):
            return None
        message, sent_time, event_id = map(record.get, self.record.__struct_encode_fields__)
        time = milliseconds(sent_time, self.resolution)
        if not (isinstance(message, str) and message) or time is None:
            return None
        if not (isinstance(event_id, str) and event_id and event_id.isascii()):
            return None
        return LogEvent(message, time, event_id)


def _log_events(records: Sequence[TypedRecord], unit: int) -> list[LogEvent]:
    """The log events of typed records; ``unit``: milliseconds of a unit of time."""
    if unit == 1:
        # A page has up to 10,000 of them, so rounding is left out where times are whole already.
        return [LogEvent(one.message, one.time, one.id) for one in records]  # type: ignore[arg-type]
    return [LogEvent(one.message, round(one.time * unit), one.id) for one in records]
