"""The embedded AWS refuses signatures by their age, and its answers carry its own time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults

if TYPE_CHECKING:
    from mypy_boto3_cloudtrail.client import CloudTrailClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

    MakeTrail = Callable[..., CloudTrailClient]
    MakeLogs = Callable[..., CloudWatchLogsClient]

TOO_LATE = r"Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(.* - 5 min\.\)"
TOO_EARLY = (
    r"Signature not yet current: \d{8}T\d{6}Z is still later than \d{8}T\d{6}Z \(.* \+ 5 min\.\)"
)


class ShiftedAws(EmbeddedAws):
    """An AWS whose clock is ``ahead`` of its clients', in seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__(clock=lambda: time.time() + self.ahead, quotas={"LookupEvents": math.inf})


@pytest.fixture
def shifted_aws() -> Iterator[ShiftedAws]:
    shifted = ShiftedAws()
    with shifted:
        yield shifted


def refusal(call: Callable[[], object]) -> Any:
    with pytest.raises(ClientError) as caught:
        call()
    return caught.value.response


@pytest.mark.parametrize("ahead", [-290, 0, 290])
def test_signatures_within_five_minutes_are_accepted(
    shifted_aws: ShiftedAws, cloudtrail: MakeTrail, ahead: float
) -> None:
    shifted_aws.ahead = ahead
    assert cloudtrail(shifted_aws).lookup_events()["Events"] == []


@pytest.mark.parametrize(("ahead", "message"), [(310, TOO_LATE), (-310, TOO_EARLY)])
def test_signatures_further_off_are_refused_as_aws_does(
    shifted_aws: ShiftedAws, cloudtrail: MakeTrail, logs: MakeLogs, ahead: float, message: str
) -> None:
    shifted_aws.ahead = ahead
    for call in (cloudtrail(shifted_aws).lookup_events, logs(shifted_aws).describe_log_groups):
        answer = refusal(call)
        assert answer["Error"]["Code"] == "InvalidSignatureException"
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 400
        with pytest.raises(ClientError, match=message):
            call()
    sts = boto3.client(
        "sts",
        region_name="us-east-1",
        endpoint_url=shifted_aws.endpoint_url,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(proxies={}),
    )
    answer = refusal(sts.get_caller_identity)
    assert answer["Error"]["Code"] == "SignatureDoesNotMatch"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_every_answer_carries_the_time_of_aws(
    shifted_aws: ShiftedAws, cloudtrail: MakeTrail, logs: MakeLogs
) -> None:
    shifted_aws.ahead = -240
    answers: list[Any] = [
        cloudtrail(shifted_aws).lookup_events(),
        logs(shifted_aws).describe_destinations(),  # moto's own
    ]
    shifted_aws.faults = Faults(throttle=1.0)
    answers.append(refusal(cloudtrail(shifted_aws).lookup_events))
    shifted_aws.ahead, shifted_aws.faults = -600, Faults()
    answers.append(refusal(cloudtrail(shifted_aws).lookup_events))
    offsets = [
        parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()
        - time.time()
        for answer in answers
    ]
    assert offsets == pytest.approx([-240, -240, -240, -600], abs=5)
