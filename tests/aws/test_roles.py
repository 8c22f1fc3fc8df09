"""Requests for other accounts are signed with the credentials of their roles, and no others."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.session import Session

from exporter.aws import assuming
from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.quotas import Quotas
from exporter.aws.roles import ExternalId, Role
from exporter.clock import Clock
from exporter.model import SourceError
from metric_filter_demo.aws import DEFAULT_ACCOUNT, EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.answering import Answer, Answering

A, B = "111122223333", "444455556666"
REGIONS = ["us-east-1", "eu-west-1"]
SECRET = "s3cr3t-id"


def arn(account: str) -> str:
    return f"arn:aws:iam::{account}:role/reader"


def opened() -> AwsAccounts:
    return AwsAccounts(quotas=Quotas(lambda *_: None))


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, to be changed, that have passed without the test waiting for them."""
    seconds = [0.0]
    monkeypatch.setattr(Clock, "now", lambda _: time.time() + seconds[0])
    return seconds


def look_up(accounts: AwsAccounts, account: str, region: str = "us-east-1") -> None:
    accounts.answer(Call("cloudtrail", "LookupEvents", account, region), {})


def test_each_account_is_read_by_its_role_which_is_assumed_once(aws: EmbeddedAws) -> None:
    for account in (A, B):
        aws.accounts.role_create(arn(account), SECRET)
    environment = opened()

    def read(number: int) -> None:
        account, region = (A, B)[number % 2], REGIONS[number % 4 // 2]
        # Each source names the role on its own.
        role = environment.by_role(Role(arn(account), ExternalId(SECRET)))
        assert role.identify(REGIONS) == account
        look_up(role, account, region)

    held = [environment.by_role(Role(arn(one), ExternalId(SECRET))) for one in (A, B)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(read, range(32)))
    look_up(environment, DEFAULT_ACCOUNT)
    assert len(held) == aws.calls.count("AssumeRole") == 2
    assert [aws.calls.count("LookupEvents", account=one) for one in (A, B)] == [16, 16]
    assert aws.calls.count("LookupEvents", account=DEFAULT_ACCOUNT) == 1
    # Nothing is signed for an account with the credentials of another one.
    for accounts, account in ((environment, A), (held[0], B), (held[1], DEFAULT_ACCOUNT)):
        with pytest.raises(SourceError) as caught:
            look_up(accounts, account)
        assert caught.value.reason == "account_changed"
    assert aws.calls.count("LookupEvents") == 33


def test_a_request_that_botocore_signs_with_other_credentials_is_not_sent(aws: EmbeddedAws) -> None:
    def forget(**sent: Any) -> None:
        sent["request"].context["signing"].pop("request_credentials")

    def session() -> Session:
        made = Session()
        made.register("before-sign.cloudtrail", forget)
        return made

    with pytest.raises(SourceError, match="not signed with the credentials of its account"):
        look_up(AwsAccounts(session), DEFAULT_ACCOUNT)
    assert aws.calls.count("LookupEvents") == 0


def test_credentials_are_renewed_before_they_expire(aws: EmbeddedAws, ahead: list[float]) -> None:
    aws.accounts.role_create(arn(A))
    role = opened().by_role(Role(arn(A)))
    look_up(role, A)
    ahead[0] = 40 * 60
    look_up(role, A)
    assert aws.calls.count("AssumeRole") == 1
    ahead[0] = 55 * 60
    look_up(role, A)
    assert aws.calls.count("AssumeRole") == 2


def test_credentials_that_cannot_be_renewed_are_used_for_some_minutes(
    aws: EmbeddedAws, ahead: list[float]
) -> None:
    aws.accounts.role_create(arn(A))
    role = opened().by_role(Role(arn(A)))
    look_up(role, A)
    aws.accounts.role_delete(arn(A))
    ahead[0] = 47 * 60
    look_up(role, A)
    ahead[0] = 61 * 60
    with pytest.raises(SourceError, match="sts:AssumeRole"):
        look_up(role, A)


def test_a_role_that_is_denied_says_how_to_allow_it_and_is_not_asked_for_all_the_time(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.accounts.role_create(arn(A), "another-id")
    role = opened().by_role(Role(arn(A), ExternalId(SECRET)))
    for region in REGIONS * 3:
        with pytest.raises(SourceError) as caught:
            look_up(role, A, region)
        assert caught.value.reason == "access_denied"
    assert f"sts:AssumeRole on role {arn(A)}" in str(caught.value)
    assert "trust policy, with the external id" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert aws.calls.count("AssumeRole") == 1
    aws.accounts.role_create(arn(A), SECRET)
    later = time.monotonic() + 10
    monkeypatch.setattr(assuming, "time", SimpleNamespace(monotonic=lambda: later))
    look_up(role, A)


def test_an_sts_that_is_out_of_reach_is_asked_in_the_next_region(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.accounts.role_create(arn(A))
    environment = opened()
    environment.identify(REGIONS)
    role = environment.by_role(Role(arn(A)))
    aws.faults = Faults(denied={"us-east-1": ["AssumeRole"]})
    monkeypatch.setattr("exporter.aws.errors._REASONS", {"region_disabled": {"AccessDenied"}})
    look_up(role, A, "eu-west-1")
    assert aws.calls.count("AssumeRole", outcome="ok") == 1


ANSWER = (
    "<AssumeRoleResponse><AssumeRoleResult>{user}<Credentials>"
    "<AccessKeyId>ASIAX</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
    "<SessionToken>t</SessionToken><Expiration>{until}</Expiration>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
USER = "<AssumedRoleUser><Arn>arn:aws:sts::{}:assumed-role/reader/x</Arn></AssumedRoleUser>"


@pytest.mark.parametrize(
    ("user", "hours", "reason"),
    [
        (USER.format(B), 1, "account_changed"),
        ("", 1, "unreadable"),
        (USER.format(A), -1, "unreadable"),
    ],
)
def test_credentials_of_another_account_or_time_are_not_used(
    server: Answering, user: str, hours: int, reason: str
) -> None:
    until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    server.answers["AssumeRole"] = Answer(ANSWER.format(user=user, until=until).encode())
    with pytest.raises(SourceError) as caught:
        look_up(opened().by_role(Role(arn(A))), A)
    assert caught.value.reason == reason
    assert not server.calls["LookupEvents"]
