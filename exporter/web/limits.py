"""What one client may take of the server: time, connections, bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import h11
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web.addresses import group_of
from exporter.web.places import Phase, Place


@dataclass(frozen=True, slots=True)
class Limits:
    """Times are in seconds."""

    connections: int = 256
    """Open at once, TLS handshakes included. A further one takes the place of one of the address
    that has the most (``places.to_give_up``)."""
    header_bytes: int = 16 * 1024
    body_bytes: int = 64 * 1024
    """No path reads a body; a small one is thrown away, a larger one refused."""
    handshake: float = 10.0
    """For TLS, from the connection on."""
    request: float = 10.0
    """For a request's headers, from the connection or the first byte on, and for its body."""
    stalled: float = 30.0
    """How long a client may take nothing of an answer that waits for it."""
    idle: int = 120
    """Between requests: longer than usual scrape intervals, so that Prometheus keeps its
    connection."""
    closing: float = 5.0
    """For a client to take the rest once the server has closed."""


DEFAULT_LIMITS = Limits()


class Sweeper:
    """Ends connections that overstay; uvicorn itself has a limit for idle ones only."""

    def __init__(self, limits: Limits) -> None:
        self._limits: dict[Phase, float] = {
            "request": limits.request,
            "stalled": limits.stalled,
            "closing": limits.closing,
        }
        self._since: dict[H11Protocol, tuple[Phase, int, float]] = {}

    def sweep(self, connections: Iterable[object]) -> None:
        """Look at every open connection; to be called several times a second."""
        now = time.monotonic()
        seen = {}
        for connection in connections:
            if not isinstance(connection, H11Protocol):
                continue
            phase, request = _phase(connection), id(connection.cycle)
            before = self._since.get(connection)
            since = before[2] if before and before[:2] == (phase, request) else now
            seen[connection] = (phase, request, since)
            limit = self._limits.get(phase)
            if limit is not None and now - since > limit:
                connection.transport.abort()
        self._since = seen

    def places(self, connections: Iterable[object]) -> Iterator[Place]:
        """Yield each open connection with what it does, and since when as far as was seen."""
        now = time.monotonic()
        for connection in connections:
            if isinstance(connection, H11Protocol):
                phase = _phase(connection)
                before = self._since.get(connection)
                since = before[2] if before and before[0] == phase else now
                host = connection.client[0] if connection.client else ""
                yield Place(connection, group_of(host), phase, since, connection.transport.abort)


def _phase(connection: H11Protocol) -> Phase:
    if connection.transport.is_closing():
        return "closing"
    # uvicorn: None until the first request's headers are complete.
    if connection.cycle is not None:
        if not connection.cycle.response_complete:
            if connection.conn.their_state is h11.SEND_BODY:
                return "request"
            return "stalled" if connection.flow.write_paused else "answering"
        if connection.timeout_keep_alive_task is not None:
            return "idle"
    return "request"


class RequestLimit:
    """Refuses what is not HTTP/1, and large bodies before they are read.

    A body of unknown length counts as large. What the client sends all the same is thrown away,
    for as long as a request may take.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._most = limits.body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 505, or hand the request on."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        # RFC 9110, 6.2: a higher minor version is read as the highest one known.
        if not scope["http_version"].startswith("1."):
            text = "505 HTTP Version Not Supported: HTTP/1.1 is what is served\n"
            return PlainTextResponse(text, 505, headers={"Connection": "close"})
        if self._is_too_large(Headers(scope=scope)):
            return PlainTextResponse("413 Request Entity Too Large\n", 413)
        return None

    def _is_too_large(self, headers: Headers) -> bool:
        # h11 has seen to it that a length is a number, and that there is only one.
        return "transfer-encoding" in headers or int(headers.get("content-length", 0)) > self._most
