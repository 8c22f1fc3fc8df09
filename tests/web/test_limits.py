"""What a client cannot do to the others: raw sockets against the real server."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from exporter.metrics.scrapers import Client
from exporter.web import ClientLimits, LiveWebConfig, create_app
from exporter.web.coalescing import Coalescing
from exporter.web.status import StatusPage
from tests.support.certificates import Authority
from tests.support.http import PLAIN_HTTP

QUICK = ClientLimits(request=0.4, stalled=0.4, closing=0.2, handshake=0.4, idle=1)
HEALTHY = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"

Serve = Callable[..., Any]
Connect = Callable[[Any], socket.socket]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Raw connections to a running server."""
    opened: list[socket.socket] = []

    def open_one(running: Any) -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", running.port), timeout=10))
        return opened[-1]

    yield open_one
    for client in opened:
        client.close()


def seconds_until_closed(client: socket.socket) -> float:
    """How long until the server has ended the connection; what it sends first does not count."""
    began = time.monotonic()
    try:
        while client.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def answer(client: socket.socket) -> bytes:
    """A whole answer."""
    data = b""
    while not (found := re.search(rb"content-length: (\d+)\r\n(?:.+\r\n)*\r\n", data)):
        data += more(client)
    while len(data) < found.end() + int(found[1]):
        data += more(client)
    return data


def more(client: socket.socket) -> bytes:
    data = client.recv(4096)
    assert data, "the connection was closed"
    return data


def test_a_client_that_sends_nothing_is_closed(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    client = connect(serve(small_app, limits=QUICK))
    assert 0.2 < seconds_until_closed(client) < 3


def test_headers_in_drips_are_cut_off(serve: Serve, small_app: ASGIApp, connect: Connect) -> None:
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(b"GET / HTTP/1.1\r\n")
    client.settimeout(0.05)
    began = time.monotonic()
    with pytest.raises((ConnectionError, BrokenPipeError)):  # noqa: PT012 - it may happen anywhere
        while time.monotonic() - began < 5:
            client.sendall(b"X: y\r\n")
            try:
                assert not client.recv(1)
            except TimeoutError:
                continue
            raise ConnectionError
    assert time.monotonic() - began < 3


def test_headers_of_a_later_request_have_no_more_time(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(HEALTHY)
    answer(client)
    client.sendall(b"GET /")
    assert seconds_until_closed(client) < 0.95  # before it would count as idle


def test_a_connection_may_rest_between_requests_but_not_for_ever(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(HEALTHY)
    answer(client)
    assert not select.select([client], [], [], 0.7)[0], "closed before its time"
    client.sendall(HEALTHY)
    assert answer(client).startswith(b"HTTP/1.1 200")
    assert 0.7 < seconds_until_closed(client) < 4


def test_a_body_in_drips_is_cut_off(serve: Serve, small_app: ASGIApp, connect: Connect) -> None:
    began = time.monotonic()
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
    # Half a request causes nothing.
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(100) == b""
    assert time.monotonic() - began < 3


def test_a_body_in_drips_that_follows_another_request_at_once_is_cut_off(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    client = connect(serve(small_app, limits=replace(QUICK, idle=60)))
    client.sendall(HEALTHY + b"POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx")
    assert answer(client).startswith(b"HTTP/1.1 200")
    assert seconds_until_closed(client) < 3


@pytest.mark.parametrize("length", [b"Content-Length: 65537", b"Transfer-Encoding: chunked"])
def test_a_large_body_is_refused_before_it_is_sent(
    serve: Serve, small_app: ASGIApp, connect: Connect, length: bytes
) -> None:
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(b"POST /-/reload HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n")
    assert answer(client).startswith(b"HTTP/1.1 413")


def test_a_body_without_end_is_not_listened_to_for_long(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    client = connect(serve(small_app, limits=QUICK))
    client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    began = time.monotonic()
    with pytest.raises(ConnectionError):  # noqa: PT012 - one of many does
        while time.monotonic() - began < 5:
            client.sendall(chunk)
    assert time.monotonic() - began < 3


def test_a_small_body_does_no_harm(serve: Serve, small_app: ASGIApp) -> None:
    with httpx.Client(trust_env=False, base_url=serve(small_app).url) as client:
        for _ in range(2):
            assert client.post("/-/reload", content=b"x" * 1000).status_code == 200


@pytest.mark.parametrize(
    "head",
    [b"X: " + b"x" * 20_000, b"".join(b"X-%d: y\r\n" % number for number in range(3000))],
    ids=["one", "many"],
)
def test_big_headers_are_refused(
    serve: Serve, small_app: ASGIApp, connect: Connect, head: bytes
) -> None:
    client = connect(serve(small_app))
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + head)
    assert client.recv(100).startswith(b"HTTP/1.1 400")


class Endless:
    """A page larger than what sockets hold."""

    body = b"x" * 32_000_000
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it

    def __init__(self) -> None:
        self.deliveries = 0

    def scrape(self, accept: str, accept_encoding: str) -> Endless:
        del accept, accept_encoding
        return self

    def reveal(self, client: Client) -> None:
        del client

    def delivered(self, page: Endless, client: Client) -> None:
        del page, client
        self.deliveries += 1


@pytest.fixture
def endless() -> Endless:
    return Endless()


@pytest.fixture
def serve_endless(serve: Serve, page: StatusPage, endless: Endless) -> Serve:
    app = create_app(metrics=endless, status=lambda: page, unready=list, reload=Coalescing(list))
    return partial(serve, app)


def test_a_client_that_takes_nothing_is_dropped_and_was_shown_nothing(
    serve_endless: Serve, endless: Endless, connect: Connect
) -> None:
    running = serve_endless(limits=replace(QUICK, connections=1))
    client = connect(running)
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    # There is one place only: who gets an answer now has it.
    assert PLAIN_HTTP.get(f"{running.url}/-/healthy").status_code == 200
    running.stop()
    assert endless.deliveries == 0


def test_a_client_that_reads_slowly_but_steadily_is_not_dropped(
    serve_endless: Serve, connect: Connect
) -> None:
    client = connect(serve_endless(limits=QUICK))
    client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    end = time.monotonic() + 5 * QUICK.stalled
    while time.monotonic() < end:
        assert client.recv(200_000, socket.MSG_WAITALL)
        time.sleep(0.05)
    rest = sum(len(data) for data in iter(lambda: client.recv(1 << 20), b""))
    assert rest > 1 << 20


def test_past_the_limit_of_connections_clients_wait_for_their_turn(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    running = serve(small_app, limits=ClientLimits(connections=4, request=0.5))
    for _ in range(4):
        connect(running)
    # The four that do nothing are closed in time; nobody else had to be refused.
    assert PLAIN_HTTP.get(f"{running.url}/-/healthy").status_code == 200


def test_idle_connections_make_room_for_a_new_one(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    running = serve(small_app, limits=ClientLimits(connections=3))
    idle = [connect(running) for _ in range(3)]
    for client in idle:
        client.sendall(HEALTHY)
        assert answer(client).startswith(b"HTTP/1.1 200")
    assert PLAIN_HTTP.get(f"{running.url}/-/healthy").status_code == 200
    closed, _, _ = select.select(idle, [], [], 5)
    assert [client.recv(1) for client in closed] == [b""]
    for client in set(idle) - set(closed):
        client.sendall(HEALTHY)
        assert answer(client).startswith(b"HTTP/1.1 200")


@pytest.fixture
def tls(authority: Authority, write_web_config: Callable[..., Path]) -> LiveWebConfig:
    """A web configuration with a certificate for 127.0.0.1."""
    made = authority.issue("server")
    path = write_web_config(
        tls_server_config={"cert_file": str(made.certificate), "key_file": str(made.key)}
    )
    return LiveWebConfig(path)


def test_a_handshake_that_is_not_finished_is_cut_off_and_holds_nobody_up(
    serve: Serve, small_app: ASGIApp, connect: Connect, authority: Authority, tls: LiveWebConfig
) -> None:
    running = serve(small_app, web_config=tls, limits=QUICK)
    silent = [connect(running) for _ in range(20)]
    url = f"{running.url}/-/healthy"
    assert httpx.get(url, trust_env=False, verify=authority.client()).status_code == 200
    for client in silent:
        assert seconds_until_closed(client) < 3


@pytest.mark.parametrize("request_", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_over_tls_too_who_sends_or_takes_nothing_is_dropped(
    serve_endless: Serve,
    connect: Connect,
    authority: Authority,
    tls: LiveWebConfig,
    request_: bytes,
) -> None:
    running = serve_endless(web_config=tls, limits=replace(QUICK, connections=1))
    client = authority.client().wrap_socket(connect(running), server_hostname="127.0.0.1")
    client.sendall(request_)
    url = f"{running.url}/-/healthy"
    assert httpx.get(url, trust_env=False, verify=authority.client()).status_code == 200
    client.close()


def test_it_stops_though_clients_hold_on(
    serve: Serve, small_app: ASGIApp, connect: Connect
) -> None:
    running = serve(small_app)
    connect(running)
    half = connect(running)
    half.sendall(b"GET / HTTP/1.1\r\n")
    began = time.monotonic()
    running.stop()
    assert time.monotonic() - began < 2
