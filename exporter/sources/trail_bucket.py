"""A trail in S3: CloudTrail's objects, as notifications in a queue name them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, model_validator

from exporter.aws.iam_policy import Deployment, Grant
from exporter.model import EventFormat
from exporter.sources.base import Environment
from exporter.sources.options import Distinct, account_id
from exporter.sources.queue_source import QueueConfig
from exporter.sources.trail_folders import DEFAULT_FOLDERS, Folders
from exporter.sources.trail_queue import TrailQueue
from exporter.yamlfile.validation import BetweenFieldsError

_BUCKET = re.compile(r"[a-z0-9*][a-z0-9.*-]{1,62}")


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name):
        raise ValueError(f"{name!r} is not a bucket's name, nor a pattern with * for one")
    return name


_Buckets: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_bucket)], ...], Distinct]


class TrailBucketConfig(QueueConfig):
    """A source of the type ``trail_bucket``."""

    stand_ins: ClassVar = {
        "queue_url": "https://sqs.us-east-1.amazonaws.com/000000000000/queue",
        "buckets": ["bucket"],
    }

    type: Literal["trail_bucket"] = "trail_bucket"
    buckets: _Buckets
    """Buckets whose objects are read, whatever a message names; ``*`` matches any characters."""
    expected_bucket_owner: Annotated[str, AfterValidator(account_id)] | None = None
    """The account that owns the buckets. Required if a name has a ``*``."""
    prefix: str = ""
    """The beginning of the keys that are read."""
    folders: Folders = DEFAULT_FOLDERS
    """Of CloudTrail's folders, those that are read."""
    format: EventFormat = "cloudtrail"
    """With ``auto`` or ``lines``, objects outside of CloudTrail's folders are read too."""

    @model_validator(mode="after")
    def _owner_is_known(self) -> TrailBucketConfig:
        if self.expected_bucket_owner is None and any("*" in one for one in self.buckets):
            raise BetweenFieldsError(
                "buckets",
                "`buckets` with a `*` need `expected_bucket_owner`: anyone can create a bucket"
                " with a matching name",
            )
        return self

    def source(self, environment: Environment, since: Mapping[str, int]) -> TrailQueue:
        """See SourceConfig."""
        return TrailQueue(self, environment, since)

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """Those of the queue, and to read the objects. Versions need a permission of their own."""
        yield from super().permissions(deployment)
        queue = self.queue
        (region,) = deployment.regions(self.name, [queue.region] if queue.region else None)
        for bucket in self.buckets:
            resource = deployment.global_arn("s3", region, f"{bucket}/{self.prefix}*")
            yield Grant("ReadObjects", "s3:GetObject", region, resource)
            yield Grant("ReadObjectVersions", "s3:GetObjectVersion", region, resource)
