"""Limits for clients; requests that are too large or not HTTP/1 are refused."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """Times are in seconds."""

    connections: int = 256
    """Open connections, including TLS handshakes. Each new one above the limit closes another
    (``connections.to_close``)."""
    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    """No path uses a body. A small one is discarded, a larger one is refused."""
    handshake: float = 10.0
    """For the TLS handshake."""
    request: float = 10.0
    """For a whole request to arrive."""
    stalled: float = 30.0
    """For a client that reads nothing of a response."""
    idle: int = 120
    """Between requests; longer than usual scrape intervals, so Prometheus keeps its connection."""
    closing: float = 5.0
    """For the client to close TLS."""


DEFAULT_LIMITS = ClientLimits()


class RequestLimit:
    """Refuses requests that are not HTTP/1, or whose body is large or of unknown length."""

    def __init__(self, app: ASGIApp, limits: ClientLimits) -> None:
        self._app = app
        self._most = limits.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 505, or pass the request on once it has arrived completely."""
        connection = scope["state"]["connection"]
        connection.begin_request()  # if it was pipelined
        # After a refusal the connection stays busy: uvicorn discards the body until the time limit.
        if refusal := self._refusal(scope):
            await refusal(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        with connection.answering():
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        # RFC 9110, 6.2: a higher minor version is read as the highest one known.
        if not scope["http_version"].startswith("1."):
            text = "505 HTTP Version Not Supported: this server speaks HTTP/1.1\n"
            return PlainTextResponse(text, 505, headers={"Connection": "close"})
        headers = Headers(scope=scope)
        # h11 allows at most one length, and only a number.
        if "transfer-encoding" in headers or int(headers.get("content-length", 0)) > self._most:
            return PlainTextResponse("413 Request Entity Too Large\n", 413)
        return None
