"""Clients of an account: who it is, what is counted, what happens when AWS refuses."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from exporter import __version__
from exporter.aws import client, clients
from exporter.aws.accounts import AwsAccounts
from exporter.aws.calls import Call
from exporter.aws.quotas import Quotas
from exporter.model import SourceError
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.aws import ACCOUNT, Requests, open_account

LOOK_UP = Call("cloudtrail", "LookupEvents", ACCOUNT, "us-east-1")


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
        open_account().request(Call("cloudtrail", "LookupEvents", "", "no region"))
    assert caught.value.reason == "invalid_request"


def test_all_accounts_share_the_client_of_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(*arguments: Any, **options: Any) -> Any:
        made.append(arguments[2])
        return client.make_client(*arguments, **options)

    monkeypatch.setattr(clients, "make_client", make)
    monkeypatch.setattr(clients, "MOST_CLIENTS", 2)
    account = open_account()

    def use(account_id: str, region: str) -> None:
        account.request(Call("logs", "DescribeLogGroups", account_id, region))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: use(f"{number:012}", "eu-west-1"), range(32)))
    use(ACCOUNT, "eu-west-2")
    use(ACCOUNT, "eu-west-1")
    assert made == ["eu-west-1", "eu-west-2"]
    use(ACCOUNT, "eu-west-3")  # in place of the one that was not used for longest
    use(ACCOUNT, "eu-west-1")
    use(ACCOUNT, "eu-west-2")
    assert made == ["eu-west-1", "eu-west-2", "eu-west-3", "eu-west-2"]


def test_every_attempt_is_counted_by_its_outcome(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))
    requests = Requests()
    account = open_account(observer=requests)
    account.identify([])
    look_up = account.request(LOOK_UP)
    filter_log_events = account.request(Call("logs", "FilterLogEvents", ACCOUNT, "us-east-1"))
    aws.faults = Faults(throttle=1, operations={"LookupEvents"})
    with pytest.raises(ClientError):
        look_up()
    aws.faults = Faults(denied={"us-east-1": {"FilterLogEvents"}})
    with pytest.raises(ClientError):
        filter_log_events(logGroupName="x")
    aws.faults = Faults(drop=1)
    with pytest.raises(Exception, match="Connection was closed"):
        look_up()

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
    account.request(LOOK_UP)()
    stopping = threading.Timer(0.1, stop.set)
    stopping.start()
    with pytest.raises(SourceError) as caught:
        account.request(LOOK_UP)()
    stopping.join()

    assert caught.value.reason == "stopping"
    assert aws.calls.count("LookupEvents") == 1


@pytest.mark.usefixtures("aws")
def test_requests_say_who_makes_them() -> None:
    agents: list[str] = []

    def listen(**sent: Any) -> None:
        agents.append(sent["request"].headers["User-Agent"].decode())

    def session() -> Session:
        made = Session()
        made.register("before-send", listen)
        return made

    AwsAccounts(session).identify(["us-east-1"])
    assert f"metric-filter-exporter/{__version__}" in agents[0]
