"""An HTTP call ends in bounded time and size, whatever comes, and when nobody needs it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from exporter.aws.accounts import AwsAccounts
from exporter.aws.answers import MOST_BYTES
from exporter.model import Partition, SourceError
from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.answering import ACCOUNT, IDENTITY, Answer, Answering
from tests.support.aws import Requests, event_history
from tests.support.certificates import Authority
from tests.support.proxying import TunnelProxy
from tests.support.waiting import wait_for

REGION = "us-east-1"
HISTORY = Partition("history", ACCOUNT, REGION)
EMPTY = b'{"Events": []}'


def read(account: AwsAccounts) -> None:
    assert list(event_history("history", account, [REGION]).pages(HISTORY, 0, 1000))


@pytest.mark.parametrize("seed", [1, 2], ids=["body", "headers"])
def test_an_answer_that_drips_fails_at_the_deadline(aws: EmbeddedAws, seed: int) -> None:
    requests = Requests()
    account = AwsAccounts(observer=requests, call_seconds=1.5)
    account.identify([])
    read(account)
    aws.faults = Faults(drip=1, seed=seed)
    began = time.monotonic()
    with pytest.raises(SourceError, match=r"not answered in full within 1\.5 s") as caught:
        read(account)
    assert 1.5 <= time.monotonic() - began < 4
    assert f"cloudtrail:LookupEvents in account {ACCOUNT}, region {REGION}" in str(caught.value)
    assert caught.value.reason == "unreachable"
    assert requests.counts["cloudtrail:LookupEvents", REGION, "error"] == 1
    aws.faults = Faults()
    read(account)


def test_so_it_does_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    with Answering(authority.issue("server", "127.0.0.1")) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
        account = AwsAccounts(call_seconds=1.2)
        server.answer = Answer(EMPTY)
        read(account)
        server.answer = Answer(EMPTY, pause=0.3)
        with pytest.raises(SourceError, match=r"within 1\.2 s"):
            read(account)
        server.answer = Answer(EMPTY, pause=0.01)
        read(account)


def test_a_slow_handshake_through_a_proxy_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    with (
        Answering(authority.issue("server", "127.0.0.1")) as server,
        TunnelProxy(pause=0.7) as proxy,
    ):
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.file))
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        server.answer = Answer(EMPTY)
        read(AwsAccounts())
        assert proxy.tunnels == 2  # the other one asked who it is


def test_a_stop_ends_a_call_that_is_under_way(server: Answering) -> None:
    server.answer = Answer(EMPTY, pause=30)
    stop = threading.Event()
    account = AwsAccounts(stop=stop)
    account.identify([])
    errors: list[SourceError] = []

    def poll() -> None:
        try:
            read(account)
        except SourceError as error:
            errors.append(error)

    polling = threading.Thread(target=poll)
    polling.start()
    wait_for("the call", lambda: server.calls["LookupEvents"])
    stop.set()
    polling.join(3)
    assert not polling.is_alive()
    assert [error.reason for error in errors] == ["stopping"]
    assert server.calls["LookupEvents"] == 1


def test_an_answer_that_is_too_large_is_not_taken_in(server: Answering) -> None:
    server.answer = Answer(EMPTY + b" " * MOST_BYTES)
    with pytest.raises(SourceError, match="more than 32 MiB") as caught:
        read(AwsAccounts())
    assert caught.value.reason == "unreadable"
    server.answer = Answer(EMPTY + b" " * (MOST_BYTES - 10_000))
    read(AwsAccounts())


def test_connections_are_kept_from_call_to_call(server: Answering) -> None:
    account = AwsAccounts()
    server.answer = Answer(EMPTY)
    server.answers["GetCallerIdentity"] = Answer(IDENTITY)
    for _ in range(5):
        read(account)
    assert server.connections == 2  # the other one asked who it is
