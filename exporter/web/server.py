"""The HTTP server: its socket, start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import socket
from collections.abc import Generator
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from exporter.logs import Failures
from exporter.web.connections import Connection, Connections
from exporter.web.guard import Guard
from exporter.web.limits import DEFAULT_LIMITS, ClientLimits, RequestLimit
from exporter.web.live import LiveWebConfig

_BACKLOG = 1024
"""Connections that the kernel queues until they are accepted. Other clients retry after a second
or more, so a burst from one client must not fill the queue."""
_ACCEPTED_AT_ONCE = 16
"""Connections that are accepted before open ones are served."""
_SEND_BUFFER = 128 * 1024
"""Bytes that the kernel buffers for a connection (Linux doubles it). The default is megabytes for
each client that reads nothing, and copying them delays other clients."""


class ListenError(Exception):
    """The server cannot listen on the address."""


class Server(uvicorn.Server):
    """Serves an application until ``stop``.

    It listens as soon as it is created, so an address in use is reported before anything else
    runs, and answers once ``run`` is called. The caller handles signals, and calls ``stop``.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        grace: float = 5.0,
        web_config: LiveWebConfig | None = None,
        limits: ClientLimits = DEFAULT_LIMITS,
    ) -> None:
        """Listen on ``port`` (0: any free one) of ``host`` (empty: every address, IPv4 and IPv6).

        ``grace``: seconds for running requests to finish after ``stop``.
        ``web_config``: TLS and authentication; None for plain HTTP without authentication.
        Raises ListenError.
        """
        self._socket = _listen(host, port)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # inherited
        self.port: int = self._socket.getsockname()[1]
        self._connections = Connections(
            limits, lambda: web_config.current().context if web_config else None
        )
        self._accept_failures = Failures("accepting connections")
        logging.getLogger("uvicorn.error").addFilter(_is_not_cancellation)
        super().__init__(
            uvicorn.Config(
                RequestLimit(Guard(app, web_config) if web_config else app, limits),
                http=partial(Connection, self._connections),  # type: ignore[arg-type]
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",  # "warning" logs each bad request
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_ACCEPTED_AT_ONCE,  # asyncio: also how many are accepted at once
                timeout_keep_alive=limits.idle,
                timeout_graceful_shutdown=math.ceil(grace),
                h11_max_incomplete_event_size=limits.header_bytes,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer requests until ``stop`` is called, then close all sockets."""
        try:
            super().run(sockets or [self._socket])
        finally:
            self.close()

    def stop(self) -> None:
        """Make ``run`` return soon; may be called from a signal handler or any thread."""
        self.should_exit = True

    def close(self) -> None:
        """Stop listening, if ``run`` was not called; idempotent."""
        self._socket.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        asyncio.get_running_loop().set_exception_handler(self._report)
        await super().startup(sockets)
        self._socket.listen(_BACKLOG)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting connections, drop unfinished handshakes, finish running requests."""
        self._connections.abort_handshakes()
        await super().shutdown(sockets)

    def _report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and "socket" in context:  # asyncio tries again a second later
            self._accept_failures.failed(error)
        else:
            loop.default_exception_handler(context)


def _is_not_cancellation(record: logging.LogRecord) -> bool:
    """Drop uvicorn's error for each request that is cancelled by ``stop``."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not host:
            return _listen_everywhere(port)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise ListenError(
            f"Cannot listen on {shown}: {error.strerror or error}."
            " Choose another address with --web.listen-address."
        ) from error


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            # The kernel supports IPv6, but it is disabled here.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))
