"""What each path answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Scope

from exporter.metrics.scrapers import Client
from exporter.web import create_app
from exporter.web.coalescing import Coalescing
from exporter.web.scrape import Metrics
from exporter.web.status import StatusPage


@dataclass(frozen=True)
class FixedPage:
    """A page to be scraped."""

    body: bytes
    headers: dict[str, str]


@dataclass
class RecordingMetrics:
    """Answers each scrape with the same page and remembers what it was told."""

    body: bytes = b"up 1\n"
    headers: dict[str, str] = field(
        default_factory=lambda: {"Content-Type": "text/plain; version=0.0.4"}
    )
    asked: list[tuple[str, str]] = field(default_factory=list)
    acknowledged: list[bytes] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def scrape(self, accept: str, accept_encoding: str) -> FixedPage:
        self.asked.append((accept, accept_encoding))
        return FixedPage(self.body, self.headers)

    def reveal(self, client: Client) -> None:
        self.clients.append(client)

    def delivered(self, page: FixedPage, client: Client) -> None:
        assert client == self.clients[-1]
        self.acknowledged.append(page.body)


@dataclass
class Fixture:
    """An application and what was handed to it."""

    app: Starlette
    metrics: RecordingMetrics

    def request(self, method: str, path: str, **headers: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://exporter") as client:
                client.headers.pop("accept", None)
                client.headers.pop("accept-encoding", None)
                return await client.request(
                    method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
                )

        return asyncio.run(send())

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.request("GET", path, **headers)


def nothing() -> Sequence[str]:
    return []


@pytest.fixture
def make(page: StatusPage) -> Callable[..., Fixture]:
    def make_application(**changes: Any) -> Fixture:
        metrics = RecordingMetrics()
        arguments: dict[str, Any] = {
            "metrics": metrics,
            "status": lambda: page,
            "unready": list,
            "reload": nothing,
            **changes,
        }
        if arguments["reload"] is not None:
            arguments["reload"] = Coalescing(arguments["reload"])
        return Fixture(create_app(**arguments), arguments["metrics"])

    return make_application


@pytest.fixture
def web(make: Callable[..., Fixture]) -> Fixture:
    return make()


def test_the_metrics_page_is_sent_as_it_was_rendered(web: Fixture) -> None:
    web.metrics.headers["Vary"] = "Accept"
    answer = web.get("/metrics")
    assert answer.status_code == 200
    assert answer.content == b"up 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["content-length"] == "5"


def test_what_the_client_accepts_reaches_the_negotiation(web: Fixture) -> None:
    web.get("/metrics", Accept="application/openmetrics-text", Accept_Encoding="gzip")
    web.get("/metrics")
    assert web.metrics.asked == [("application/openmetrics-text", "gzip"), ("", "")]


def test_who_asks_and_the_scrape_timeout_that_it_announces_reach_the_metrics(web: Fixture) -> None:
    web.get("/metrics", X_Prometheus_Scrape_Timeout_Seconds="9.5")
    web.get("/metrics")
    assert [client.timeout for client in web.metrics.clients] == [9.5, None]
    assert {client.address for client in web.metrics.clients} == {"127.0.0.1"}


def test_a_reload_that_is_switched_off_is_refused_with_another_way(
    make: Callable[..., Fixture],
) -> None:
    web = make(reload=None)
    answer = web.request("POST", "/-/reload")
    assert answer.status_code == 403
    assert "--no-web.enable-lifecycle" in answer.text
    assert "SIGHUP" in answer.text
    assert web.get("/-/healthy").status_code == 200


def test_a_scrape_is_acknowledged_with_its_last_bytes_and_not_before(web: Fixture) -> None:
    web.metrics.body = b"x" * 300_000
    order: list[str] = []

    class Ordered(RecordingMetrics):
        def delivered(self, page: FixedPage, client: Client) -> None:
            order.append("delivered")

    app = create_app(
        metrics=Ordered(body=web.metrics.body),
        status=lambda: pytest.fail("nobody asked"),
        unready=list,
        reload=None,
    )

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            order.append(f"{len(message['body'])}")

    asyncio.run(call(app, "/metrics", send, client_leaves=False))
    assert order == [*["65536"] * 4, "delivered", f"{300_000 - 4 * 65536}"]


def test_a_scrape_whose_client_has_gone_is_not_acknowledged(web: Fixture) -> None:
    async def send(_: Message) -> None:
        await asyncio.sleep(0)

    asyncio.run(call(web.app, "/metrics", send, client_leaves=True))
    assert web.metrics.asked
    assert web.metrics.acknowledged == []


async def call(app: Starlette, path: str, send: Any, *, client_leaves: bool) -> None:
    """Call the application as a server does, with a client that leaves at once or not at all."""
    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [],
    }
    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if requests:
            return requests.pop()
        if not client_leaves:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    await app(scope, receive, send)


def test_a_head_request_is_no_scrape(web: Fixture) -> None:
    answer = web.request("HEAD", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4"
    assert web.metrics.acknowledged == []
    web.get("/metrics")
    assert web.metrics.acknowledged == [b"up 1\n"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_head_is_answered_wherever_get_is(web: Fixture, path: str) -> None:
    assert web.request("HEAD", path).status_code == web.get(path).status_code == 200


def test_the_metrics_page_can_stand_elsewhere(make: Callable[..., Fixture]) -> None:
    web = make(telemetry_path="/probe/me")
    assert web.get("/probe/me").content == b"up 1\n"
    assert web.get("/metrics").status_code == 404
    assert 'href="/probe/me"' in web.get("/").text


def test_the_metrics_page_can_take_the_place_of_the_status_page(
    make: Callable[..., Fixture],
) -> None:
    assert make(telemetry_path="/").get("/").content == b"up 1\n"


@pytest.mark.parametrize("path", ["metrics", "", "/{x}", "/-/ready", "/-/metrics", "/m?x"])
def test_a_path_that_cannot_be_the_metrics_page_is_refused(
    make: Callable[..., Fixture], path: str
) -> None:
    with pytest.raises(ValueError, match=r"--web\.telemetry-path"):
        make(telemetry_path=path)


def test_it_is_healthy_before_it_is_ready(make: Callable[..., Fixture]) -> None:
    state = {"ready": False}
    web = make(unready=lambda: [] if state["ready"] else ["history: denied"])
    assert web.get("/-/healthy").status_code == 200
    refused = web.get("/-/ready")
    assert (refused.status_code, "history: denied" in refused.text) == (503, True)
    state["ready"] = True
    assert web.get("/-/ready").status_code == 200


def test_reload_says_that_it_succeeded(make: Callable[..., Fixture]) -> None:
    reloads: list[int] = []

    def reload() -> Sequence[str]:
        reloads.append(1)
        return []

    answer = make(reload=reload).request("POST", "/-/reload")
    assert answer.status_code == 200
    assert reloads == [1]


def test_a_failed_reload_returns_every_error(make: Callable[..., Fixture]) -> None:
    errors = ["config.yml:3:1: unknown key 'sorces'\n    sorces:\n    ^", "rules/<b>.yaml: \udcff"]
    answer = make(reload=lambda: errors).request("POST", "/-/reload")
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/plain")
    assert "    sorces:\n    ^" in answer.text
    assert "rules/<b>.yaml" in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://exporter"}, 200),
        ({"Origin": "https://Exporter"}, 200),  # a proxy ends TLS
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://exporter"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://exporter.evil.example"}, 403),
        ({"Origin": "http://exporter:8080"}, 403),
        ({"Origin": "http://evil.example/exporter"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "exporter"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://exporter"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, 403),
    ],
)
def test_a_page_of_another_site_cannot_reload(
    make: Callable[..., Fixture], headers: dict[str, str], status: int
) -> None:
    reloads: list[int] = []

    def reload() -> Sequence[str]:
        reloads.append(1)
        return []

    answer = make(reload=reload).request("POST", "/-/reload", **headers)
    assert answer.status_code == status
    assert len(reloads) == (status == 200)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_reload_is_not_for_browsing(make: Callable[..., Fixture], method: str) -> None:
    def reload() -> Sequence[str]:
        raise AssertionError("it was reloaded")

    answer = make(reload=reload).request(method, "/-/reload")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready"])
def test_pages_are_only_read(web: Fixture, path: str) -> None:
    answer = web.request("POST", path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/-/", "/%00", "/..%2f"])
def test_an_unknown_path_is_a_short_404(web: Fixture, path: str) -> None:
    answer = web.get(path)
    assert answer.status_code == 404
    assert answer.text == "404 Not Found\n"


def test_an_error_in_a_scrape_is_a_500_without_its_details(make: Callable[..., Fixture]) -> None:
    class Broken(RecordingMetrics):
        def scrape(self, accept: str, accept_encoding: str) -> FixedPage:
            raise RuntimeError(f"secret {accept}{accept_encoding}")

    metrics: Metrics = Broken()
    web = make(metrics=metrics)
    answer = web.get("/metrics")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert web.metrics.acknowledged == []


def test_the_status_page_allows_itself_nothing_from_elsewhere(web: Fixture) -> None:
    answer = web.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", None),
        ("?refresh=10", 10),
        ("?refresh=0", 1),
        ("?refresh=x", None),
        ("?refresh=-1", None),
    ],
)
def test_the_status_page_reloads_itself_only_when_asked(
    web: Fixture, query: str, seconds: int | None
) -> None:
    text = web.get(f"/{query}").text
    assert ('http-equiv="refresh"' in text) == (seconds is not None)
    if seconds is not None:
        assert f'<meta http-equiv="refresh" content="{seconds}">' in text
