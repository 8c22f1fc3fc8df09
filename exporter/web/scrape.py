"""The metrics page: rendered in a thread, acknowledged once it was sent completely."""

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
from exporter.web.coalescing import Coalescing

_CHUNK = 64 * 1024
"""Bytes that are sent before waiting for the client."""
_SCRAPE_TIMEOUT = "X-Prometheus-Scrape-Timeout-Seconds"
"""Prometheus sends it with each scrape."""


class MetricsPage(Protocol):
    """An exposition in a format and encoding that the client accepts."""

    @property
    def body(self) -> bytes:
        """The bytes to send."""

    @property
    def headers(self) -> dict[str, str]:
        """Content-Type and other headers of the body."""


class Metrics(Protocol):
    """Renders expositions; thread-safe."""

    def reveal(self, client: Client) -> None:
        """Before a page for a client, show the series that this client may see from now on."""

    def scrape(self, accept: str, accept_encoding: str) -> MetricsPage:
        """Render a page for the request's headers (empty if a header is missing)."""

    def delivered(self, page: Any, client: Client) -> None:
        """Record that a page of ``scrape`` was sent completely to a client; must not block."""


def scrape_endpoint(metrics: Metrics) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of the metrics page; a HEAD request does not count as a scrape."""
    pages = Coalescing(metrics.scrape)

    async def endpoint(request: Request) -> Response:
        accept = _joined(request.headers, "accept")
        accept_encoding = _joined(request.headers, "accept-encoding")
        address = request.client.host if request.client else ""
        client = Client.announcing(address, request.headers.get(_SCRAPE_TIMEOUT))
        await run_in_threadpool(metrics.reveal, client)
        page = await pages.outcome(accept, accept_encoding)
        headers = {
            **page.headers,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD":
            return Response(page.body, headers=headers)
        return _Acknowledged(page, headers, lambda: metrics.delivered(page, client))

    return endpoint


def _joined(headers: Headers, name: str) -> str:
    return ", ".join(headers.getlist(name))


class _Acknowledged(Response):
    """Calls ``delivered`` when the last bytes are sent, unless the client has disconnected."""

    def __init__(
        self, page: MetricsPage, headers: dict[str, str], delivered: Callable[[], None]
    ) -> None:
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
                # ``send`` only waits for slow clients, and other tasks must run.
                await asyncio.sleep(0)
            # The loop needs three turns to notice a lost connection, wake the listener and run it.
            for _ in range(3):
                await asyncio.sleep(0)
            if gone.done():
                return
            # Before the last bytes, because a client that has them may scrape again immediately.
            # Whether they arrive is unknown: the kernel accepts them in any case.
            self._delivered()
            await send({"type": "http.response.body", "body": bytes(body[last:])})
        finally:
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
