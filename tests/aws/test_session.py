"""Clients of an account: who it is, what is counted, what happens when AWS refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from exporter import __version__
from exporter.aws import accounts
from exporter.aws.accounts import AwsAccounts
from exporter.aws.quotas import Quotas
from exporter.model import SourceError
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import ACCOUNT, Requests, open_account


def test_the_account_is_asked_for_once(aws: EmbeddedAws) -> None:
    account = open_account()
    assert [account.identify(["us-east-1"]) for _ in range(3)] == [ACCOUNT] * 3
    assert aws.calls.count("GetCallerIdentity") == 1


def test_the_account_is_found_in_whichever_region_answers(aws: EmbeddedAws) -> None:
    aws.faults = Faults(denied={"us-east-1": {"*"}, "eu-west-1": {"*"}})

    assert open_account().identify(["eu-west-1", "eu-west-2"]) == ACCOUNT


def test_an_account_that_nobody_tells_is_asked_for_again(aws: EmbeddedAws) -> None:
    account = open_account()
    aws.faults = Faults(expired=True)
    with pytest.raises(SourceError, match="sts:GetCallerIdentity") as caught:
        account.identify(["eu-west-1"])
    assert caught.value.reason == "expired_credentials"

    aws.faults = Faults()
    assert account.identify(["eu-west-1"]) == ACCOUNT


def test_an_aws_that_is_not_there_is_unreachable(aws: EmbeddedAws) -> None:
    aws.stop()

    with pytest.raises(SourceError) as caught:
        open_account().identify([])
    assert caught.value.reason == "unreachable"


def test_a_missing_profile_is_an_error_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(SourceError, match="nobody") as caught:
        AwsAccounts().identify(["eu-west-1"])
    assert caught.value.reason == "no_credentials"


def test_a_region_that_is_none_is_an_error_of_the_source() -> None:
    with pytest.raises(SourceError) as caught:
        open_account().client("cloudtrail", "no region")
    assert caught.value.reason == "invalid_request"


def test_clients_are_made_once_by_many_threads() -> None:
    account = open_account()
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: account.client("logs", "eu-west-1"), range(32)))

    assert len(set(map(id, clients))) == 1
    assert account.client("logs", "eu-west-2") is not clients[0]


def test_clients_of_the_accounts_and_regions_used_last_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 2)
    account = open_account()
    first, second = account.client("logs", "eu-west-1"), account.client("logs", "eu-west-2")
    assert account.client("logs", "eu-west-1") is first
    assert account.client("logs", "eu-west-1", ACCOUNT) is not first
    assert account.client("logs", "eu-west-1") is first
    assert account.client("logs", "eu-west-2") is not second


def test_every_attempt_is_counted_by_its_outcome(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    requests = Requests()
    account = open_account(observer=requests)
    account.identify([])
    cloudtrail, logs = (
        account.client("cloudtrail", "us-east-1", ACCOUNT),
        account.client("logs", "us-east-1", ACCOUNT),
    )
    aws.faults = Faults(throttle=1, operations={"LookupEvents"})
    with pytest.raises(ClientError):
        cloudtrail.lookup_events()
    aws.faults = Faults(denied={"us-east-1": {"FilterLogEvents"}})
    with pytest.raises(ClientError):
        logs.filter_log_events(logGroupName="x")
    aws.faults = Faults(drop=1)
    with pytest.raises(Exception, match="Connection was closed"):
        cloudtrail.lookup_events()

    attempts = aws.calls.count("LookupEvents", outcome="ThrottlingException")
    dropped = aws.calls.count("LookupEvents", outcome="dropped")
    assert min(attempts, dropped) > 1
    assert requests.counts == {
        ("sts:GetCallerIdentity", "us-east-1", "success"): 1,
        ("cloudtrail:LookupEvents", "us-east-1", "throttled"): attempts,
        ("logs:FilterLogEvents", "us-east-1", "access_denied"): 1,
        ("cloudtrail:LookupEvents", "us-east-1", "error"): dropped,
    }
    assert requests.accounts == {"", ACCOUNT}


def test_retries_keep_to_the_quota_and_end_when_the_exporter_stops(aws: EmbeddedAws) -> None:
    stop = threading.Event()
    account = open_account(quotas=Quotas(lambda *_: 1), stop=stop)
    account.identify([])  # spends the quota of its own operation only
    account.client("cloudtrail", "us-east-1").lookup_events()
    stopping = threading.Timer(0.1, stop.set)
    stopping.start()
    with pytest.raises(SourceError) as caught:
        account.client("cloudtrail", "us-east-1").lookup_events()
    stopping.join()

    assert caught.value.reason == "stopping"
    assert aws.calls.count("LookupEvents") == 1


@pytest.mark.usefixtures("aws")
def test_requests_say_who_makes_them() -> None:
    client = open_account().client("logs", "us-east-1")
    agents: list[str] = []

    def listen(request: Any, **_: object) -> None:
        agents.append(request.headers["User-Agent"].decode())

    client.meta.events.register("before-send", listen)
    client.describe_log_groups()

    assert f"metric-filter-exporter/{__version__}" in agents[0]
