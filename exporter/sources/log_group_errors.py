"""What can be wrong with log groups, in sentences."""

from __future__ import annotations

from exporter.model import Partition, SourceError
from exporter.sources.log_group_finder import LogGroup


def missing(partition: Partition, tagged: str) -> SourceError:
    """A configured log group is not there."""
    return SourceError(
        f"There is no log group {partition.resource}{tagged} in account {partition.account_id},"
        f" region {partition.region}: correct the name, or name the source's `regions`. It is"
        " looked for again.",
        reason="not_found",
    )


def unreadable(partition: Partition, group: LogGroup) -> SourceError:
    """A log group is of a class that cannot be read."""
    return SourceError(
        f"Log group {partition.resource} in region {partition.region} is of class"
        f" {group.log_group_class}, which FilterLogEvents does not read; use a STANDARD log group,"
        " or leave it out with `exclude`.",
        reason="unsupported",
    )


def odd(region: str, groups: int) -> SourceError:
    """AWS listed log groups without a name."""
    return SourceError(
        f"CloudWatch Logs in region {region} listed {groups} log groups without a name, "
        "which AWS does not send; the others are read. It is tried again.",
        reason="unreadable",
    )
