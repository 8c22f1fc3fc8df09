"""The parts of a source that are configured by themselves, and what falls into them.

Since when a part is configured is kept (see Ledger.load_scopes): from then on its events count,
however much later its partitions can first be found or read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.model import Partition
from exporter.sources.log_group_names import LogGroupNames

if TYPE_CHECKING:
    from exporter.configuration import SourceConfig

_DEFAULT_REGION = "default"


def scopes(config: SourceConfig) -> tuple[str, ...]:
    """Each region, and each name or pattern of log groups in it; of files, none."""
    if config.type == "files":
        return ()
    regions = config.regions or (_DEFAULT_REGION,)
    if config.type == "event_history":
        return regions
    return tuple(f"{region} {name}" for region in regions for name in config.log_groups)


def configured_since(
    config: SourceConfig, partition: Partition, since: Mapping[str, int]
) -> int | None:
    """Since when a partition is asked for, milliseconds, by that of its scopes; None: unknown."""
    found = [since[scope] for scope in _scopes_of(config, partition) if scope in since]
    return min(found, default=None)


def _scopes_of(config: SourceConfig, partition: Partition) -> tuple[str, ...]:
    if config.type == "files":
        return ()
    region = partition.region if config.regions else _DEFAULT_REGION
    if config.type == "event_history":
        return (region,)
    name = partition.resource
    return tuple(
        f"{region} {pattern}"
        for pattern in config.log_groups
        if LogGroupNames([pattern]).wanted(name)
    )
