"""The common part of sources that AWS keeps by account and region and selects by event time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from pydantic import model_validator

from exporter.aws.calls import Call
from exporter.aws.iam_policy import EVERY_REGION, Deployment, Grant
from exporter.aws.organizations import enabled_regions
from exporter.aws.quotas import CallCost
from exporter.aws.records import LATEST, TypedRecord
from exporter.aws.roles import Role
from exporter.aws.uses import Use, using
from exporter.model import LogEvent, Partition, SourceError
from exporter.patterns import FilterPattern
from exporter.planning.forecast import Forecast, Rates
from exporter.sources.account_options import Accounts, OrganizationOptions
from exporter.sources.base import Discovery, Environment
from exporter.sources.options import ALL_REGIONS, Budget, Interval, Regions
from exporter.sources.pace import EventPage
from exporter.sources.places import Account, Places, scopes
from exporter.sources.problems import sentence
from exporter.sources.timeline import TimelineSource
from exporter.sources.timeline_options import TimelineConfig
from exporter.yamlfile.problems import Location, Problem, Severity
from exporter.yamlfile.validation import BetweenFieldsError, Fields

if TYPE_CHECKING:
    from exporter.aws.accounts import AwsAccounts

_DEFAULT_REGION = "default"
"""Names the session's region in ``parts``, if a source has no ``regions``."""
_AT_ONCE: Final = 8
"""Accounts in which partitions are looked for at the same time."""


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
    accounts: Accounts | None = None
    """If None, the account of the environment's credentials."""
    budget: Budget = 1.0
    """Share of each request quota of an account and region that it may use."""
    organization: OrganizationOptions | None = None
    """The accounts of an organization instead."""
    discovery_interval: Interval = 300.0
    """Between two looks for accounts, regions and log groups."""

    @model_validator(mode="after")
    def _accounts_are_named_once(self) -> RegionalConfig:
        if self.accounts is not None and self.organization is not None:
            raise BetweenFieldsError(
                "organization",
                "`accounts` and `organization` exclude each other: make a source for each",
            )
        return self

    @abstractmethod
    def parts_in(self, region: str, resource: str | None = None) -> Sequence[str]:
        """The ``parts`` of a region, or only those that match a resource."""

    @property
    def all_regions(self) -> bool:
        """Whether the regions are those that each account has enabled."""
        return self.regions == ALL_REGIONS

    @property
    def named_regions(self) -> Sequence[str]:
        """The regions that the configuration names; empty for the session's or for all."""
        return () if self.all_regions else self.regions or ()

    @property
    def aws_regions(self) -> Sequence[str]:
        """See SourceConfig."""
        return self.named_regions or ("",)

    @property
    def parts(self) -> Sequence[str]:
        """See SourceConfig. An account that is not the environment's comes first in the name."""
        return [
            f"{scope} {part}".lstrip()
            for scope in scopes(self.accounts, self.organization)
            for region in self.regions or (_DEFAULT_REGION,)
            for part in self.parts_in(region)
        ]

    def configured_since(
        self, partition: Partition, scopes: Sequence[str], since: Mapping[str, int]
    ) -> int | None:
        """The time when a partition's first part was configured, if ``since`` has it.

        ``scopes``: the parts of the configuration that select its account.
        """
        region = partition.region
        if not self.named_regions:
            region = ALL_REGIONS[0] if self.all_regions else _DEFAULT_REGION
        names = [
            f"{scope} {part}".lstrip()
            for scope in scopes
            for part in self.parts_in(region, partition.resource)
        ]
        return min((since[name] for name in names if name in since), default=None)

    def granted_regions(self, deployment: Deployment) -> Sequence[str]:
        """The regions in policies; raises IamPolicyError."""
        if self.all_regions:
            return (EVERY_REGION,)
        return deployment.regions(self.name, self.named_regions)

    @abstractmethod
    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """See SourceConfig; this part is to list the regions of an account."""
        if self.all_regions:
            account_id = deployment.account_id
            account = deployment.global_arn("account", EVERY_REGION, "account", account_id)
            yield Grant("ListRegions", "account:ListRegions", EVERY_REGION, account)

    def permissions_to_find_accounts(self, deployment: Deployment) -> Iterator[Grant]:  # noqa: ARG002
        """See SourceConfig. AWS: these actions are not limited by resources here."""
        selection = None if self.organization is None else self.organization.selection
        for operation in () if selection is None else selection.operations:
            action = f"organizations:{operation}"
            yield Grant(f"FindAccounts{operation}", action, EVERY_REGION, "*")

    def roles(self, deployment: Deployment) -> Sequence[Role | None]:
        """See SourceConfig. An organization may have the environment's account, too."""
        if self.organization is not None:
            region = self.granted_regions(deployment)[0]
            return None, self.organization.role_in("*", deployment.partition_of(region))
        return [one.assumed for one in self.accounts or ()] or (None,)

    def forecast(self, patterns: Sequence[FilterPattern], rates: Rates) -> Forecast:
        """See SourceConfig."""
        forecast = super().forecast(patterns, rates)
        return replace(forecast, quota=forecast.quota and forecast.quota * self.budget)

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
        """Position of a partition's region, account or resource in the file."""
        if partition.region in self.named_regions:
            return fields.value_of("regions", self.named_regions.index(partition.region))
        for index, account in enumerate(self.accounts or ()):
            if account.account_id and account.account_id == partition.account_id:
                return fields.value_of("accounts", index)
        return fields.value_of("organization" if self.organization is not None else "name")


class RegionalSource(TimelineSource):
    """Finds the partitions of each region, and reads AWS's records."""

    record: type[TypedRecord]
    """A record with all that a log event needs."""

    def __init__(
        self, config: RegionalConfig, environment: Environment, since: Mapping[str, int]
    ) -> None:
        super().__init__(
            config,
            since=lambda partition: self._configured_since(partition, since),
            complete=environment.complete,
            clock=environment.clock.earliest,
        )
        self.discovery_interval = config.discovery_interval
        self.budget = config.budget
        self._config = config
        self._accounts = environment.accounts
        self._places = Places(
            environment.accounts, config.accounts, config.organization, environment.clock.earliest
        )

    def discover(self) -> Discovery:
        """The current partitions of all accounts and regions.

        Failures are the accounts and regions that do not answer, and the regions of accounts that
        the credentials belonged to before, whose partitions may still exist.
        """
        named = self._config.named_regions
        try:
            regions = self._accounts.regions(named)
            accounts = self._places.find(regions)
        except SourceError as error:
            unknown = [Partition(self.name, region=region) for region in named or ("",)]
            return Discovery((), [(place, error) for place in unknown])
        look = partial(self._look, regions, {})
        if len(accounts) == 1:
            found = [look(accounts[0])]
        else:
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="discovery") as pool:
                found = list(pool.map(look, accounts))
        places = ("",) if self._config.all_regions else regions
        failures = [
            (Partition(self.name, former, region), error)
            for former, region, error in self._accounts.out_of_reach(places)
            if former not in self._places.found
        ]
        return Discovery(
            [partition for one in found for partition in one.partitions],
            [*failures, *(failure for one in found for failure in one.failures)],
            {account.id: account.name for account in accounts},
        )

    def _look(
        self, regions: Sequence[str], down: dict[str, SourceError], account: Account
    ) -> Discovery:
        """The partitions in an account; its error does not affect the others.

        ``down``: see _reaching.
        """
        with using(Use(self.name, reason="discovery", budget=self.budget)):
            return self._partitions_of(regions, down, account)

    def _partitions_of(
        self, regions: Sequence[str], down: dict[str, SourceError], account: Account
    ) -> Discovery:
        try:
            with _reaching("", down):
                account.access.identify(regions)
                if self._config.all_regions:
                    regions = enabled_regions(account.access, account.id, regions[0])
        except SourceError as error:
            return Discovery((), [(Partition(self.name, account.id), error)])
        partitions: list[Partition] = []
        failures: list[tuple[Partition, SourceError]] = []
        for region in regions:
            place = Partition(self.name, account.id, region)
            try:
                with _reaching(region, down):
                    found = self.find(place)
            except SourceError as error:
                failures.append((place, error))
            else:
                partitions += found.partitions
                failures += found.failures
        return Discovery(partitions, failures)

    def access(self, account_id: str) -> AwsAccounts:
        """The credentials for an account.

        Those of the environment sign no request for an account that is not theirs.
        """
        account = self._places.found.get(account_id)
        return self._accounts if account is None else account.access

    def _configured_since(self, partition: Partition, since: Mapping[str, int]) -> int | None:
        account = self._places.found.get(partition.account_id)
        scopes = ("",) if account is None else account.scopes
        times = [
            self._config.configured_since(partition, scopes, since),
            None if account is None else account.since,
        ]
        return max((time for time in times if time is not None), default=None)

    @abstractmethod
    def find(self, place: Partition) -> Discovery:
        """The partitions in ``place``, an account and region; raises SourceError."""

    @abstractmethod
    def call(self, partition: Partition) -> Call:
        """The call that reads a partition."""

    def cost(self, partition: Partition) -> CallCost:
        """See ``Source.cost``."""
        call = self.call(partition)
        cost = self.access(call.account_id).cost(call)
        use, elsewhere = partial(self.use, partition), partial(self.uses_threads, partition)
        return replace(cost, use=use, elsewhere=elsewhere)

    def _call(self, call: Call, parameters: Mapping[str, object]) -> Iterator[EventPage]:
        for records in self.access(call.account_id).pages(call, parameters):
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


@contextmanager
def _reaching(region: str, down: dict[str, SourceError]) -> Iterator[None]:
    """Ask AWS in a region, unless it was out of reach for another account in the same look.

    Each account would wait for a minute otherwise. ``down``: errors by region. An empty region
    means the services that are asked first.
    """
    if region in down:
        raise SourceError(
            f"Not asked because it was out of reach for another account: {down[region]}",
            reason=down[region].reason,
        )
    try:
        yield
    except SourceError as error:
        if error.reason == "unreachable":
            down[region] = error
        raise


def _log_events(records: Sequence[TypedRecord], unit: int) -> list[LogEvent]:
    """The log events of typed records; ``unit``: milliseconds of a unit of time."""
    if unit == 1:
        # A page has up to 10,000 of them, so rounding is left out where times are whole already.
        return [LogEvent(one.message, one.time, one.id) for one in records]  # type: ignore[arg-type]
    return [LogEvent(one.message, round(one.time * unit), one.id) for one in records]
