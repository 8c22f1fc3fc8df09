"""The server on real sockets."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from exporter.metrics.scrapers import Client
from exporter.web import ListenError, Server, create_app
from exporter.web.coalescing import Coalescing
from exporter.web.status import StatusPage
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class BigPage:
    """A page larger than what sockets hold."""

    body: bytes = b"x" * 32_000_000
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})


class BigMetrics:
    """Counts the scrapes that it was told were delivered."""

    def __init__(self) -> None:
        self.rendering = threading.Event()
        self.release = threading.Event()
        self.release.set()
        self.delivered_pages = 0

    def scrape(self, accept: str, accept_encoding: str) -> BigPage:
        del accept, accept_encoding
        self.rendering.set()
        self.release.wait(10)
        return BigPage()

    def reveal(self, client: Client) -> None:
        del client

    def delivered(self, page: BigPage, client: Client) -> None:
        assert page.body
        self.delivered_pages += 1


@pytest.fixture
def metrics() -> BigMetrics:
    return BigMetrics()


@pytest.fixture
def app(metrics: BigMetrics, page: StatusPage) -> Any:
    return create_app(metrics=metrics, status=lambda: page, unready=list, reload=Coalescing(list))


def get(url: str) -> httpx.Response:
    return PLAIN_HTTP.get(url)


def test_a_page_of_any_size_arrives_whole_and_counts_once(
    serve: Callable[..., Any], app: Any, metrics: BigMetrics
) -> None:
    running = serve(app)
    answer = get(f"{running.url}/metrics")
    running.stop()
    assert answer.content == BigPage().body
    assert metrics.delivered_pages == 1


def test_a_scrape_that_breaks_off_does_not_count(
    serve: Callable[..., Any], app: Any, metrics: BigMetrics
) -> None:
    running = serve(app)
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    running.stop()
    assert metrics.delivered_pages == 0


def test_a_scraper_that_gave_up_waiting_has_seen_nothing(
    serve: Callable[..., Any], app: Any, metrics: BigMetrics
) -> None:
    running = serve(app)
    metrics.release.clear()
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert metrics.rendering.wait(10)
    get(f"{running.url}/-/healthy")  # by now the server has seen the other one leave
    metrics.release.set()
    running.stop()
    assert metrics.delivered_pages == 0


def test_a_slow_rendering_holds_nobody_else_up(
    serve: Callable[..., Any], app: Any, metrics: BigMetrics
) -> None:
    running = serve(app)
    metrics.release.clear()
    scrape = threading.Thread(target=get, args=(f"{running.url}/metrics",))
    scrape.start()
    assert metrics.rendering.wait(10)
    assert get(f"{running.url}/-/healthy").status_code == 200
    assert get(f"{running.url}/").status_code == 200
    metrics.release.set()
    scrape.join(10)


def test_a_scrape_under_way_is_finished_when_it_is_stopped(
    serve: Callable[..., Any], app: Any, metrics: BigMetrics
) -> None:
    running = serve(app)
    metrics.release.clear()
    answers: list[httpx.Response] = []
    scrape = threading.Thread(target=lambda: answers.append(get(f"{running.url}/metrics")))
    scrape.start()
    assert metrics.rendering.wait(10)
    running.server.stop()
    metrics.release.set()
    running.stop()
    scrape.join(10)
    assert [answer.status_code for answer in answers] == [200]
    assert metrics.delivered_pages == 1


def test_without_a_host_it_answers_on_both_families(serve: Callable[..., Any], app: Any) -> None:
    running = serve(app, "")
    assert get(f"http://127.0.0.1:{running.port}/-/healthy").status_code == 200
    if socket.has_ipv6 and has_ipv6_loopback():
        assert get(f"http://[::1]:{running.port}/-/healthy").status_code == 200


def has_ipv6_loopback() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_an_address_in_use_is_known_at_once(serve: Callable[..., Any], app: Any) -> None:
    running = serve(app)
    with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{running.port}.*--web\.listen-address"):
        Server(app, "127.0.0.1", running.port)


def test_a_host_that_does_not_exist_is_an_error_in_a_sentence(app: Any) -> None:
    with pytest.raises(ListenError, match=r"Cannot listen on nowhere\.invalid:1"):
        Server(app, "nowhere.invalid", 1)


def test_its_port_is_free_again_once_it_was_stopped(serve: Callable[..., Any], app: Any) -> None:
    running = serve(app)
    get(f"{running.url}/-/healthy")
    running.stop()
    Server(app, "127.0.0.1", running.port).close()


def test_signals_stay_with_whoever_handles_them(app: Any) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    server = Server(app, "127.0.0.1", 0)
    seen: list[Any] = []

    def look_and_stop() -> None:
        wait_for("it to answer", lambda: get(f"http://127.0.0.1:{server.port}/-/healthy"))
        seen.append(signal.getsignal(signal.SIGTERM))
        server.stop()

    stopper = threading.Thread(target=look_and_stop)
    stopper.start()
    server.run()
    stopper.join(10)
    assert seen == [handlers[signal.SIGTERM]]
    assert signal.getsignal(signal.SIGINT) == handlers[signal.SIGINT]


def test_headers_without_end_are_refused(serve: Callable[..., Any], app: Any) -> None:
    running = serve(app)
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000)
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_it_does_not_tell_what_it_is_made_of(serve: Callable[..., Any], app: Any) -> None:
    assert "server" not in get(f"{serve(app).url}/-/healthy").headers


def test_many_clients_at_once_are_served(serve: Callable[..., Any], app: Any) -> None:
    running = serve(app)

    async def crowd() -> list[int]:
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            answers = await asyncio.gather(
                *(client.get(f"{running.url}/-/ready") for _ in range(50))
            )
        return [answer.status_code for answer in answers]

    assert asyncio.run(crowd()) == [200] * 50
