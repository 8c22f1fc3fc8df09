"""An embedded AWS and clients of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.config import Config

from metric_filter_demo.aws import EmbeddedAws

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

# An error must reach the test, not a retry.
_CONFIG = Config(retries={"total_max_attempts": 1}, proxies={}, connect_timeout=5, read_timeout=5)


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws(clock: Clock) -> Iterator[EmbeddedAws]:
    """Without quotas, its time the test's."""
    operations = ("LookupEvents", "FilterLogEvents", "DescribeLogGroups", "TestMetricFilter")
    unlimited = dict.fromkeys(operations, math.inf)
    with EmbeddedAws(clock=clock, signature_age=False, quotas=unlimited) as running:
        yield running


@pytest.fixture
def strict_aws() -> Iterator[EmbeddedAws]:
    """With AWS's quotas and the real time."""
    with EmbeddedAws() as running:
        yield running


@pytest.fixture
def cloudtrail() -> Callable[..., CloudTrailClient]:
    def client(aws: EmbeddedAws, region: str = "us-east-1") -> CloudTrailClient:
        return _session(region).client("cloudtrail", endpoint_url=aws.endpoint_url, config=_CONFIG)

    return client


@pytest.fixture
def logs() -> Callable[..., CloudWatchLogsClient]:
    def client(aws: EmbeddedAws, region: str = "us-east-1") -> CloudWatchLogsClient:
        return _session(region).client("logs", endpoint_url=aws.endpoint_url, config=_CONFIG)

    return client


@lru_cache
def _session(region: str) -> boto3.Session:
    return boto3.Session(
        aws_access_key_id="testing", aws_secret_access_key="testing", region_name=region
    )
