"""What ``check --online`` asks AWS: whether what the sources name is there. It only reads."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.aws.session import AwsAccount
from exporter.configuration import (
    Checked,
    EventHistoryConfig,
    Location,
    LogGroupsConfig,
    Problem,
)
from exporter.model import Partition, SourceError
from exporter.sources.base import Discovery
from exporter.sources.event_history import EventHistory
from exporter.sources.log_group_names import LogGroupNames
from exporter.sources.log_groups import LogGroups
from exporter.yamlfile.validation import Fields


def ask_aws(checked: Checked) -> Iterator[Problem]:
    """Give what AWS has to say of each source that reads from it.

    An account or region that cannot be asked is an error; a log group that is not there is a
    warning, since it may come. Each is told by itself, the others are asked all the same.
    """
    account = AwsAccount()
    for source in checked.configuration.sources if checked.configuration else ():
        if isinstance(source, EventHistoryConfig | LogGroupsConfig):
            fields = checked.sources[source.name]
            discovery = _discover(source, account)
            for scope, error in discovery.failures:
                yield _failure(source, fields, scope, error)
            if isinstance(source, LogGroupsConfig):
                yield from _empty_patterns(source, fields, discovery)


def _discover(source: EventHistoryConfig | LogGroupsConfig, account: AwsAccount) -> Discovery:
    regions = source.regions or ()
    if isinstance(source, LogGroupsConfig):
        return LogGroups(source.name, account, source.log_groups, regions).discover()
    return EventHistory(source.name, account, regions).discover()


def _failure(
    source: EventHistoryConfig | LogGroupsConfig,
    fields: Fields,
    scope: Partition,
    error: SourceError,
) -> Problem:
    if scope.resource and error.reason == "not_found":
        return Problem(
            f"there is no log group {scope.resource} in account {scope.account_id}, region"
            f" {scope.region}: correct the name, or name the source's `regions`",
            _place_of_group(source, fields, scope.resource),
            "warning",
        )
    sentence = str(error).removesuffix(".").replace("; it is tried again", "")
    if scope.resource:
        return Problem(sentence, _place_of_group(source, fields, scope.resource), "warning")
    regions = source.regions or ()
    place = (
        fields.value_of("regions", regions.index(scope.region))
        if scope.region in regions
        else fields.value_of("name")
    )
    return Problem(sentence, place)


def _place_of_group(
    source: EventHistoryConfig | LogGroupsConfig, fields: Fields, name: str
) -> Location:
    """Where the first name or pattern that asks for the log group is written."""
    patterns = source.log_groups if isinstance(source, LogGroupsConfig) else ()
    for index, pattern in enumerate(patterns):
        if LogGroupNames([pattern]).wanted(name):
            return fields.value_of("log_groups", index)
    return fields.value_of("name")


def _empty_patterns(
    source: LogGroupsConfig, fields: Fields, discovery: Discovery
) -> Iterator[Problem]:
    """Warn of each pattern that finds nothing, unless part of where it looks could not be asked."""
    if any(not scope.resource for scope, _ in discovery.failures):
        return
    scopes = [*discovery.partitions, *(scope for scope, _ in discovery.failures)]
    found = [scope.resource for scope in scopes]
    for index, pattern in enumerate(source.log_groups):
        if "*" in pattern and not any(map(LogGroupNames([pattern]).wanted, found)):
            where = f"in {', '.join(source.regions)}" if source.regions else "in the region"
            yield Problem(
                f"no log group matches {pattern} {where}: correct the pattern, or name the source's"
                " `regions`",
                fields.value_of("log_groups", index),
                "warning",
            )
