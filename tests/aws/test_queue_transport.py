"""Queues are called where and how boto3 calls them."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.aws.accounts import AwsAccounts
from exporter.aws.queues import Queue, QueueUrl
from exporter.model import SourceError
from tests.support.answering import Answer, Answering
from tests.support.aws import Requests, open_account
from tests.support.certificates import Authority
from tests.support.proxying import TunnelProxy

PATH = "/111122223333/events"
PUBLIC = f"https://sqs.eu-west-1.amazonaws.com{PATH}"
FIPS = f"https://sqs-fips.eu-west-1.amazonaws.com{PATH}"
MESSAGES = b'{"Messages": [{"MessageId": "1", "ReceiptHandle": "r", "Body": "{}"}]}'


@pytest.mark.parametrize(
    ("url", "variables", "host"),
    [
        (PUBLIC, {}, "sqs.eu-west-1.amazonaws.com"),
        (PUBLIC, {"AWS_USE_FIPS_ENDPOINT": "true"}, "sqs-fips.eu-west-1.amazonaws.com"),
        (PUBLIC, {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "sqs.eu-west-1.api.aws"),
        (PUBLIC, {"AWS_ENDPOINT_URL_SQS": "https://sqs.internal"}, "sqs.internal"),
        (
            f"https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com{PATH}",
            {},
            "vpce-1.sqs.eu-west-1.vpce.amazonaws.com",
        ),
        (FIPS, {}, "sqs-fips.eu-west-1.amazonaws.com"),
        (FIPS, {"AWS_USE_FIPS_ENDPOINT": "true"}, "sqs-fips.eu-west-1.amazonaws.com"),
    ],
    ids=["plain", "fips", "dualstack", "variable", "vpc_endpoint", "fips_url", "both"],
)
def test_endpoint_proxy_and_certificates_are_boto3s(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    url: str,
    variables: dict[str, str],
    host: str,
) -> None:
    authority = Authority(tmp_path)
    with (
        Answering(authority.issue("server", host)) as server,
        TunnelProxy(to=server.server_port) as proxy,
    ):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_ENDPOINT_URL")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        server.answer = Answer(MESSAGES)
        queue = Queue(AwsAccounts(), QueueUrl.parse(url), "eu-west-1")
        messages, malformed = queue.receive(wait=0, visibility=60)
        assert [one.id for one in messages] == ["1"]
        assert malformed == 0
        assert proxy.hosts == [host]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize(
    ("code", "status", "reason", "cure", "tries"),
    [
        ("ServiceUnavailable", 503, "error", "tried again", 4),
        ("RequestThrottled", 400, "throttled", "tried again", 4),
        ("InvalidSignatureException", 400, "no_credentials", "check the machine's clock", 1),
        ("KmsAccessDenied", 400, "access_denied", "kms:Decrypt", 1),
    ],
)
def test_calls_are_tried_again_and_errors_have_their_reason_and_cure(
    *, server: Answering, code: str, status: int, reason: str, cure: str, tries: int
) -> None:
    requests = Requests()
    accounts = open_account(observer=requests)
    queue = Queue(accounts, QueueUrl.parse(PUBLIC), "eu-west-1")
    error = f'{{"__type": "com.amazonaws.sqs#{code}", "message": "no"}}'.encode()
    server.answer = Answer(error, status)
    with pytest.raises(SourceError, match=cure) as caught:
        queue.receive(wait=0, visibility=60)
    assert caught.value.reason == reason
    assert server.calls["ReceiveMessage"] == tries == sum(requests.counts.values())
    server.answer = Answer(MESSAGES)
    assert queue.receive(wait=0, visibility=60)[0]
