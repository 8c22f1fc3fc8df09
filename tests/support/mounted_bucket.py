"""A type of source that the exporter does not have: text objects of a bucket that is mounted.

``tests/sources/test_new_type.py`` puts this file, as it is, into a copy of ``exporter/sources/``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from exporter.aws.iam_policy import Deployment, Grant
from exporter.model import (
    EventFormat,
    LogEvent,
    Partition,
    PartitionGoneError,
    PartitionKind,
    SourceError,
)
from exporter.planning.interest import Interest
from exporter.sources.base import Discovery, Environment, Reading, SourceConfig
from exporter.sources.options import Interval

OBJECT = PartitionKind("object", "Object", on_series=True, by_event_time=False)
_BATCH = 2


def _bucket(name: str) -> str:
    if "_" in name:
        raise ValueError(f"{name!r} is not a bucket: names have no underscores")
    return name


class MountedBucketConfig(SourceConfig):
    """A source of the type ``mounted_bucket``."""

    kind: ClassVar = OBJECT
    stand_ins: ClassVar = {"bucket": "b", "folder": "/"}

    type: Literal["mounted_bucket"] = "mounted_bucket"
    bucket: Annotated[str, AfterValidator(_bucket)]
    folder: Path
    """Where Mountpoint for Amazon S3 shows the bucket."""
    format: EventFormat = "auto"
    interval: Interval = 60.0

    def source(self, environment: Environment, since: Mapping[str, int]) -> MountedBucket:
        """See SourceConfig."""
        return MountedBucket(self)

    def permissions(self, where: Deployment) -> Iterator[Grant]:
        """What Mountpoint calls."""
        for region in where.regions(self.name, None):
            yield Grant("MountBucket", "s3:ListBucket", region, f"arn:aws:s3:::{self.bucket}")
            yield Grant("ReadObjects", "s3:GetObject", region, f"arn:aws:s3:::{self.bucket}/*")


class MountedBucket:
    """A partition for each object, its checkpoint the number of lines that were read."""

    place: Partition | None = None
    memory = 0

    def __init__(self, config: MountedBucketConfig) -> None:
        self.name = config.name
        self.format = config.format
        self.interval = self.discovery_interval = config.interval
        self._folder = config.folder

    def discover(self) -> Discovery:
        """The objects that there are."""
        if not self._folder.is_dir():
            nowhere = SourceError(f"{self._folder} is not mounted.", reason="unreadable")
            return Discovery((), [(Partition(self.name), nowhere)])
        paths = sorted(self._folder.glob("*.txt"))
        return Discovery([Partition(self.name, resource=p.name, kind=OBJECT) for p in paths])

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> None:
        """Unknown: lines have no times."""

    def counted_from(self, partition: Partition) -> None:
        """Everything counts."""

    def size(self, partition: Partition) -> int:
        """Bytes of the object."""
        return (self._folder / partition.resource).stat().st_size

    def cost(self, partition: Partition) -> None:
        """Nothing: no quota."""

    def release(self, partition: Partition) -> None:
        """Nothing is kept."""

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        interest: Interest | None = None,
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """The lines after the checkpoint."""
        try:
            lines = (self._folder / partition.resource).read_text().splitlines()
        except FileNotFoundError as error:
            raise PartitionGoneError("The object is gone.", reason="not_found") from error
        for start in range(int(checkpoint or 0), len(lines), _BATCH):
            batch = lines[start : start + _BATCH]
            yield Reading([LogEvent(line, 0) for line in batch], str(start + len(batch)))
