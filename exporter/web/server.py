"""The HTTP server: where it listens, its limits, and how it is stopped."""

from __future__ import annotations

import contextlib
import errno
import math
import socket
from collections.abc import Generator

import uvicorn
from starlette.types import ASGIApp

_BACKLOG = 128
_CONNECTIONS = 256
"""Past these a request is answered with 503: a crowd cannot take every file descriptor."""
_HEADER_BYTES = 16 * 1024
_KEEP_ALIVE = 120
"""Seconds: longer than usual scrape intervals, so that Prometheus keeps its connection."""


class ListenError(Exception):
    """The address cannot be listened on; the message says which, why and what to do."""


class Server:
    """Serves an application until ``stop``.

    It listens from the start on, so an address in use is known before anything else runs; it
    answers once ``run`` is called. Signals are left to the caller, whose handlers call ``stop``.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, *, grace: float = 5.0) -> None:
        """Listen on ``port`` (0: any free one) of ``host`` (empty: every address, IPv4 and IPv6).

        ``grace``: seconds that requests under way have to finish once it is stopped.
        Raises ListenError.
        """
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        """The port in use."""
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=math.ceil(grace),
                h11_max_incomplete_event_size=_HEADER_BYTES,
            )
        )

    def run(self) -> None:
        """Answer requests until ``stop`` is called; then no socket is open any more."""
        try:
            self._server.run([self._socket])
        finally:
            self.close()

    def stop(self) -> None:
        """Make ``run`` return soon; may be called from a signal handler or any thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Stop listening, for a server that is not run after all; idempotent."""
        self._socket.close()


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: the daemon handles them."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not host:
            return _listen_everywhere(port)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        return socket.create_server(where[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise ListenError(
            f"Cannot listen on {address}: {error.strerror or error}."
            " Choose another address with --web.listen-address."
        ) from error


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True
            )
        except OSError as error:
            # The kernel knows IPv6, but here it is switched off.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port), backlog=_BACKLOG)
