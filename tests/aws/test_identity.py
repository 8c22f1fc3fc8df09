"""A request for an account is only ever signed with credentials that are known to be its own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from exporter.aws.quotas import Quotas
from exporter.aws.session import AwsAccount
from exporter.model import Partition, SourceError
from exporter.sources.event_history import EventHistory
from exporter.sources.log_groups import LogGroups
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import Requests

A, B = "111122223333", "444455556666"
REGION = "us-east-1"
UNLIMITED = Quotas(lambda *_: None)
Use = Callable[[str, str], None]


@pytest.fixture
def profile(aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Write an access key into the shared credentials file, as ``aws configure`` would."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    assert aws.endpoint_url

    def use(key: str, secret: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n")
        new.replace(file)

    return use


@pytest.fixture
def process(aws: EmbeddedAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Let a credential process give out an access key, for so short that it is always asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    output, config = tmp_path / "output.json", tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = cat {output}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert aws.endpoint_url

    def use(key: str, secret: str) -> None:
        expiration = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        keys = {"AccessKeyId": key, "SecretAccessKey": secret, "Expiration": expiration}
        output.write_text(json.dumps({"Version": 1, **keys}))

    return use


def read(account: AwsAccount, account_id: str) -> None:
    partition = Partition("history", account_id, REGION)
    assert list(EventHistory("history", account, [REGION]).pages(partition, 0, 1000))


@pytest.mark.parametrize("kind", ["profile", "process"])
def test_nothing_is_sent_once_the_credentials_are_another_accounts(
    aws: EmbeddedAws, kind: str, request: pytest.FixtureRequest
) -> None:
    use: Use = request.getfixturevalue(kind)
    keys = {account: aws.access_key(account) for account in (A, B)}
    requests = Requests()
    account = AwsAccount(quotas=UNLIMITED, observer=requests)
    use(*keys[A])
    assert account.identify([REGION]) == A
    read(account, A)
    groups = LogGroups("apps", account, ["a"], [REGION])

    use(*keys[B])
    for _ in range(3):
        with pytest.raises(SourceError, match=f"belong to account {B} now") as caught:
            read(account, A)
        assert caught.value.reason == "account_changed"
        assert f"account {A}, region {REGION}" in str(caught.value)
        with pytest.raises(SourceError):
            list(groups.pages(Partition("apps", A, REGION, resource="a"), 0, 1000))
    assert account.identify([REGION]) == B
    assert account.former_accounts == [A]
    read(account, B)
    read(account, B)

    use(*keys[A])
    read(account, A)
    assert account.identify([REGION]) == A
    assert account.former_accounts == [B]
    assert aws.calls.count("LookupEvents", account=A) == 2
    assert aws.calls.count("LookupEvents", account=B) == 2
    assert aws.calls.count("FilterLogEvents") == 0
    assert aws.calls.count("GetCallerIdentity") == 2
    assert sum(requests.counts.values()) == 6


def test_a_new_key_of_the_same_account_is_asked_for_once(aws: EmbeddedAws, profile: Use) -> None:
    account = AwsAccount(quotas=UNLIMITED)
    for number in range(1, 4):
        profile(*aws.access_key(A))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: read(account, A), range(16)))
        assert aws.calls.count("GetCallerIdentity") == number
    assert aws.calls.count("LookupEvents") == 48


def test_nothing_is_read_under_a_key_that_nobody_identifies(aws: EmbeddedAws, profile: Use) -> None:
    account = AwsAccount(quotas=UNLIMITED)
    profile(*aws.access_key(A))
    read(account, A)
    profile(*aws.access_key(A))
    aws.faults = Faults(denied={REGION: ["GetCallerIdentity"]})
    with pytest.raises(SourceError, match="sts:GetCallerIdentity"):
        read(account, A)
    assert aws.calls.count("LookupEvents") == 1
    aws.faults = Faults()
    read(account, A)
    assert aws.calls.count("LookupEvents") == 2


@pytest.mark.usefixtures("no_pause")
def test_those_that_wait_for_an_answer_share_its_failure(aws: EmbeddedAws, profile: Use) -> None:
    account = AwsAccount(quotas=UNLIMITED)
    profile(*aws.access_key(A))
    aws.faults = Faults(error=1, slow=(0.5, 0.5), operations=["GetCallerIdentity"])

    def fails(_: int) -> bool:
        with pytest.raises(SourceError, match="sts:GetCallerIdentity"):
            read(account, A)
        return True

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(fails, range(16)))
    assert aws.calls.count("GetCallerIdentity") <= 8  # an attempt and its retries are 4
    assert aws.calls.count("LookupEvents") == 0


def test_the_partitions_of_a_former_account_are_not_gone(aws: EmbeddedAws, profile: Use) -> None:
    account = AwsAccount(quotas=UNLIMITED)
    profile(*aws.access_key(A))
    for discover in (
        EventHistory("s", account, [REGION]).discover,
        LogGroups("s", account, ["a*"], [REGION]).discover,
    ):
        assert not discover().failures
    profile(*aws.access_key(B))
    for discover in (
        EventHistory("s", account, [REGION]).discover,
        LogGroups("s", account, ["a*"], [REGION]).discover,
    ):
        ((scope, error),) = discover().failures
        assert scope == Partition("s", A, REGION)
        assert error.reason == "account_changed"


def test_a_broken_profile_file_is_an_error_until_it_is_whole(
    aws: EmbeddedAws, profile: Use
) -> None:
    account = AwsAccount(quotas=UNLIMITED)
    key = aws.access_key(A)
    profile(*key)
    assert account.identify([REGION]) == A
    Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text("[default\n")
    with pytest.raises(SourceError) as caught:
        account.identify([REGION])
    assert caught.value.reason == "no_credentials"
    profile(*key)
    assert account.identify([REGION]) == A
