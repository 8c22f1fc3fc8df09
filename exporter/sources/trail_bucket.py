"""A trail in S3: CloudTrail's objects, by listing their bucket or by notifications in a queue."""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, model_validator

from exporter.aws.iam_policy import Deployment, Grant
from exporter.aws.roles import Role
from exporter.model import EventFormat
from exporter.patterns import FilterPattern
from exporter.planning.forecast import Forecast, Rates, monthly
from exporter.sources.account_options import RoleOptions
from exporter.sources.base import Environment, SourceConfig
from exporter.sources.options import (
    Distinct,
    Duration,
    Interval,
    Regions,
    Start,
    account_id,
    at_most,
)
from exporter.sources.problems import sentence
from exporter.sources.queue_source import QueueConfig
from exporter.sources.trail_folders import DEFAULT_FOLDERS, Folders
from exporter.sources.trail_keys import is_below_region
from exporter.sources.trail_listing import FOLDER, TrailListing
from exporter.sources.trail_queue import TrailQueue
from exporter.yamlfile.durations import format_duration
from exporter.yamlfile.problems import Problem
from exporter.yamlfile.validation import BetweenFieldsError, Fields

_BUCKET = re.compile(r"[a-z0-9*][a-z0-9.*-]{1,62}")


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name):
        raise ValueError(f"{name!r} is not a bucket's name, nor a pattern with * for one")
    return name


_Buckets: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_bucket)], ...], Distinct]


_LISTING_ONLY: Final = ("regions", "lookback")
_QUEUE_ONLY: Final = ("queue_url", "buckets")


def _listed_bucket(name: str) -> str:
    if "*" in _bucket(name):
        raise ValueError("must be the name of one bucket, without `*`")
    return name


def _prefix(text: str) -> str:
    if is_below_region(text):
        raise ValueError("must end with the folder of a region, or before it")
    return text


_USD_PER_MILLION: Final = 5.0
"""AWS: the price of LIST requests of S3, us-east-1."""


class TrailListingConfig(SourceConfig, RoleOptions):
    """A source of the type ``trail_bucket`` that lists its bucket, if need be by a role."""

    kind: ClassVar = FOLDER
    stand_ins: ClassVar = {"bucket": "bucket"}
    object_outcomes: ClassVar = ("read", "failed", "failed_again", "given_up")

    type: Literal["trail_bucket"] = "trail_bucket"
    bucket: Annotated[str, AfterValidator(_listed_bucket)]
    prefix: Annotated[str, AfterValidator(_prefix)] = ""
    """The beginning of the keys that are read: where ``AWSLogs/`` is, or a folder in it."""
    expected_bucket_owner: Annotated[str, AfterValidator(account_id)] | None = None
    """The account that owns the bucket; None if any may."""
    regions: Regions | None = None
    """Regions whose folders are read; None for all."""
    account_ids: (
        Annotated[tuple[Annotated[str, AfterValidator(account_id)], ...], Distinct] | None
    ) = None
    """Accounts whose folders are read and whose events count; None for all."""
    folders: Folders = DEFAULT_FOLDERS
    """Of CloudTrail's folders, those that are read."""
    lookback: Annotated[Duration, at_most("13d", ": events are remembered for 14 days")] = 86400.0
    """How late an object may arrive, by the time in its key."""
    start: Start = 0.0
    """Seconds before the first run from which events count."""
    format: Literal["cloudtrail"] = "cloudtrail"
    interval: Interval = 60.0

    def forecast(
        self,
        patterns: Sequence[FilterPattern],  # noqa: ARG002 - a bucket cannot select
        rates: Rates,  # noqa: ARG002
    ) -> Forecast:
        """See SourceConfig; of a folder with fewer than 1,000 objects within the lookback."""
        calls = 86_400 / self.interval
        why = "Each object takes a GetObject more, and a busy folder a few listings."
        each = "folder of an account and region"
        return Forecast(
            each, ("ListObjectsV2",), why, calls, usd_a_month=monthly(calls, _USD_PER_MILLION)
        )

    @model_validator(mode="before")
    @classmethod
    def _has_one_mode(cls, data: object) -> object:
        for option in _QUEUE_ONLY:
            if isinstance(data, dict) and option in data:
                raise BetweenFieldsError(
                    option,
                    f"`{option}` is of a source that reads a queue, `bucket` of one that lists the"
                    " bucket: write `queue_url` and `buckets`, or `bucket`",
                )
        return data

    @model_validator(mode="after")
    def _lookback_covers_interval(self) -> TrailListingConfig:
        if self.lookback < self.interval:
            raise BetweenFieldsError(
                "lookback" if "lookback" in self.model_fields_set else "interval",
                f"`lookback` must be at least one `interval` ({format_duration(self.interval)}):"
                f" it is {format_duration(self.lookback)}",
            )
        return self

    @property
    def part(self) -> str:
        """The only part. The prefix may be edited, and events before that count."""
        return f"s3://{self.bucket}/"

    @property
    def parts(self) -> Sequence[str]:
        """See SourceConfig. Folders that are found later are read from the first run on, too."""
        return (self.part,)

    @property
    def aws_regions(self) -> Sequence[str]:
        """See SourceConfig."""
        return ("",)

    def source(self, environment: Environment, since: Mapping[str, int]) -> TrailListing:
        """See SourceConfig."""
        return TrailListing(self, environment, since)

    def start_warning(self, start: float) -> str:  # noqa: ARG002 - any
        """See SourceConfig."""
        return f"the source `{self.name}` reads objects once, from its own `start` on"

    def roles(self, deployment: Deployment) -> Sequence[Role | None]:  # noqa: ARG002
        """See SourceConfig."""
        return (self.assumed,)

    def permissions(self, deployment: Deployment) -> Iterator[Grant]:
        """To list the bucket, and to read the objects."""
        (region,) = deployment.regions(self.name, None)
        bucket = deployment.global_arn("s3", region, self.bucket)
        yield Grant("ListBuckets", "s3:ListBucket", region, bucket, f"{self.prefix}*")
        yield Grant("ReadObjects", "s3:GetObject", region, f"{bucket}/{self.prefix}*")

    def problems_online(self, environment: Environment, fields: Fields) -> Iterator[Problem]:
        """See SourceConfig: whether the bucket can be listed, and has folders of the trail."""
        discovery = self.source(environment, {}).discover()
        for _, error in discovery.failures:
            yield Problem(sentence(error), fields.value_of("bucket"))
        if not (discovery.partitions or discovery.failures):
            where = "prefix" if "prefix" in fields.values else "bucket"
            yield Problem(
                f"{self.part}{self.prefix} has no folder of CloudTrail with these `regions` and"
                " `account_ids`: `prefix` names the folder in which `AWSLogs/` is, or one in"
                " `AWSLogs/`",
                fields.value_of(where),
                "warning",
            )


class TrailBucketConfig(QueueConfig):
    """A source of the type ``trail_bucket`` that reads a queue of notifications."""

    stand_ins: ClassVar = {
        "queue_url": "https://sqs.us-east-1.amazonaws.com/000000000000/queue",
        "buckets": ["bucket"],
    }
    object_outcomes: ClassVar = ("read", "failed", "failed_again")

    type: Literal["trail_bucket"] = "trail_bucket"
    bucket: Annotated[str, AfterValidator(_listed_bucket)] | None = None
    """The default of ``buckets``."""
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

    @classmethod
    def form(cls, options: Collection[str]) -> builtins.type[SourceConfig]:
        """See SourceConfig: whether a bucket is listed or a queue is read."""
        if get_close_matches("queue_url", options) or (
            "buckets" in options and "bucket" not in options
        ):
            return cls
        return TrailListingConfig

    @model_validator(mode="before")
    @classmethod
    def _has_one_mode(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        for option in _LISTING_ONLY:
            if option in data:
                raise BetweenFieldsError(
                    option,
                    f"`{option}` is of a source that lists its `bucket`, without `queue_url`",
                )
        return {"buckets": [data["bucket"]], **data} if data.get("bucket") else data

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
