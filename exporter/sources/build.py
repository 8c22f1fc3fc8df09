"""From a source's configuration to the source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.aws.session import AwsAccount
from exporter.clock import Clock
from exporter.sources.base import Source
from exporter.sources.event_history import EventHistory
from exporter.sources.files import Files
from exporter.sources.log_groups import LogGroups
from exporter.sources.scopes import configured_since
from exporter.sources.timeline import TimelineSource, Timing

if TYPE_CHECKING:
    from exporter.configuration import SourceConfig

_DISCOVERY_INTERVAL = 300.0


def build_source(
    config: SourceConfig,
    account: AwsAccount,
    clock: Clock,
    *,
    since: Mapping[str, int] | None = None,
    complete: bool = False,
) -> Source:
    """Make the source that a configuration describes; calls nothing yet.

    ``since``: by scope, since when it is configured, milliseconds (None: since now).
    ``complete``: it is polled a single time, so nothing may wait for a later poll.
    """
    if config.type == "files":
        return Files(
            config.paths,
            name=config.name,
            format=config.format,
            interval=config.interval,
            complete=complete,
        )
    timeline: EventHistory | LogGroups
    if config.type == "event_history":
        timeline = EventHistory(config.name, account, config.regions or ())
        discovery_interval = _DISCOVERY_INTERVAL
    else:
        timeline = LogGroups(config.name, account, config.log_groups, config.regions or ())
        discovery_interval = config.discovery_interval
    timing = Timing(config.interval, config.lookback, config.start, discovery_interval, complete)
    return TimelineSource(
        timeline,
        timing,
        name=config.name,
        format=config.format,
        since=lambda partition: configured_since(config, partition, since or {}),
        clock=clock.earliest,
    )
