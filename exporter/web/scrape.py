"""Answering a scrape: rendered off the event loop, acknowledged only as it is sent wholly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from exporter.metrics.scrapers import Client
from exporter.web.shared import Shared

_CHUNK = 64 * 1024
"""Bytes handed to the server at a time: it waits for the client between two of them."""
_SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
"""Prometheus: sent with each scrape."""


class Page(Protocol):
    """An exposition in the format and encoding that the client asked for."""

    @property
    def body(self) -> bytes:
        """The bytes to send."""

    @property
    def headers(self) -> dict[str, str]:
        """Content-Type, Content-Encoding where it has one, and what else belongs to the body."""


class Metrics(Protocol):
    """Where expositions come from; thread-safe."""

    def reveal(self, client: Client) -> None:
        """Show what may be shown from now on, before a page that a client asks for."""

    def scrape(self, accept: str, accept_encoding: str) -> Page:
        """Render a page for what the request's headers accept (empty: no such header)."""

    def delivered(self, page: Any, client: Client) -> None:
        """Note that a page of ``scrape`` was sent whole to a client; must not wait."""


def scrape_endpoint(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of the metrics page.

    A HEAD request gets the same headers, and does not count as a scrape: it has seen no sample.
    """
    pages = Shared[tuple[str, str], Page](lambda accepted: metrics.scrape(*accepted))

    async def endpoint(request: Request) -> Response:
        accept = _joined(request.headers, "accept")
        accept_encoding = _joined(request.headers, "accept-encoding")
        client = _client(request)
        await run_in_threadpool(metrics.reveal, client)
        page = await pages.get((accept, accept_encoding))
        headers = {
            **page.headers,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD":
            return Response(page.body, headers=headers)
        return _Acknowledged(page, headers, lambda: metrics.delivered(page, client))

    return endpoint


def _client(request: Request) -> Client:
    address = request.client.host if request.client else ""
    return Client.announcing(address, request.headers.get(_SCRAPE_TIMEOUT))


def _joined(headers: Headers, name: str) -> str:
    return ", ".join(headers.getlist(name))


class _Acknowledged(Response):
    """Calls ``delivered`` as the last bytes are sent, unless the client has gone before that."""

    def __init__(self, page: Page, headers: dict[str, str], delivered: Callable[[], None]) -> None:
        super().__init__(page.body, headers=headers)
        self._delivered = delivered

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            body = memoryview(self.body)
            last = max(0, len(body) - 1) // _CHUNK * _CHUNK
            for position in range(0, last, _CHUNK):
                chunk = bytes(body[position : position + _CHUNK])
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                # ``send`` waits for a slow client only; the others must have their turn.
                await asyncio.sleep(0)
            # Let the loop first notice a lost connection, wake the listener, and run it.
            for _ in range(3):
                await asyncio.sleep(0)
            if gone.done():
                return
            # Before the last bytes, not after: who has them may scrape again at once. That they
            # arrive nobody could tell: the kernel takes them either way.
            self._delivered()
            await send({"type": "http.response.body", "body": bytes(body[last:])})
        finally:
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
