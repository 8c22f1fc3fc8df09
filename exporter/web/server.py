"""The HTTP server: where it listens, its limits, and how it is stopped."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import socket

import uvicorn
from starlette.types import ASGIApp

from exporter.web.connections import Connections, ConnectionServer
from exporter.web.guard import Guard
from exporter.web.limits import DEFAULT_LIMITS, Limits, RequestLimit
from exporter.web.live import LiveWebConfig

_SEND_BUFFER = 128 * 1024
"""Bytes of an answer that the kernel keeps for a connection (Linux doubles it). By default it keeps
megabytes for each client that takes nothing, and copying them holds up the others."""


class ListenError(Exception):
    """The address cannot be listened on; the message says which, why and what to do."""


class Server:
    """Serves an application until ``stop``.

    It listens from the start on, so an address in use is known before anything else runs; it
    answers once ``run`` is called. Signals are left to the caller, whose handlers call ``stop``.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        grace: float = 5.0,
        web_config: LiveWebConfig | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Listen on ``port`` (0: any free one) of ``host`` (empty: every address, IPv4 and IPv6).

        ``grace``: seconds that requests under way have to finish once it is stopped.
        ``web_config``: TLS and who may come in; None: plain HTTP for everybody.
        Raises ListenError.
        """
        self._socket = _listen(host, port)
        # The connections that it accepts inherit this.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
        self.port: int = self._socket.getsockname()[1]
        """The port in use."""
        if web_config is not None:
            app = Guard(app, web_config)
        self._server = ConnectionServer(
            uvicorn.Config(
                RequestLimit(app, limits),
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                # Below an error it tells of bad requests, which any client can send without end.
                log_level="error",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=limits.idle,
                timeout_graceful_shutdown=math.ceil(grace),
                h11_max_incomplete_event_size=limits.header_bytes,
            ),
            Connections(limits, lambda: web_config.current().context if web_config else None),
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


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Whether it is no request that was cut off at the end: uvicorn logs each as an error."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not host:
            return _listen_everywhere(port)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, where = found[0]
        return socket.create_server(where[:2], family=family)
    except OSError as error:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise ListenError(
            f"Cannot listen on {address}: {error.strerror or error}."
            " Choose another address with --web.listen-address."
        ) from error


def _listen_everywhere(port: int) -> socket.socket:
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            # The kernel knows IPv6, but here it is switched off.
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port))
