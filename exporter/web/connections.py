"""uvicorn with an accept loop of its own: limits, and a TLS context chosen anew each time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Generator

import structlog
import uvicorn

from exporter.web.limits import Limits, Sweeper

_log = structlog.get_logger(__name__)

_QUIET = 60.0
"""Seconds between two log lines of the same kind: any client can cause them."""

TlsContext = Callable[[], ssl.SSLContext | None]
"""The context for a connection that begins now; None: no TLS."""


class ConnectionServer(uvicorn.Server):
    """Serves the connections of sockets that listen already.

    asyncio's own servers take one TLS context for good, and count no connection before its
    handshake is over.
    """

    def __init__(self, config: uvicorn.Config, limits: Limits, tls: TlsContext) -> None:
        super().__init__(config)
        self.servers = []
        self._limits = limits
        self._tls = tls
        self._sweeper = Sweeper(limits)
        self._accepting: list[asyncio.Task[None]] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._refusals = _Summary("TLS handshake failed")
        self._crowds = _Summary("too many connections; idle ones are closed")
        self._accept_failures = _Summary("cannot accept connections")

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: the daemon handles them."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await self.lifespan.startup()
        for listener in sockets or ():
            listener.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(listener)))
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        """Every tenth of a second."""
        self._sweeper.sweep(self.server_state.connections)
        for task in self._accepting:
            if task.done():
                task.result()  # it never ends but by a defect: better a crash than a deaf server
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, drop unfinished handshakes, finish the requests under way."""
        ending = [*self._accepting, *self._handshakes]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:  # no file descriptors left, or the client has gone
                self._accept_failures.note(error=error.strerror or str(error))
                await asyncio.sleep(0.1)
                continue
            while self._open >= self._limits.connections:
                self._crowds.note(connections=self._open)
                self._sweeper.close_an_idle_one()
                await asyncio.sleep(0.02)
            task = loop.create_task(self._connect(connection))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)
            # Where clients queue, accepting never waits; others must have their turn.
            await asyncio.sleep(0)

    @property
    def _open(self) -> int:
        return len(self._handshakes) + len(self.server_state.connections)

    async def _connect(self, connection: socket.socket) -> None:
        client = _address(connection)
        context = self._tls()
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=self._limits.handshake if context else None,
                ssl_shutdown_timeout=self._limits.closing if context else None,
            )
        except OSError as error:
            if context is not None:
                self._refusals.note(client=client, error=_reason(error))

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
        )


class _Summary:
    """Logs the first of many equal events at once, and how many more there were later."""

    def __init__(self, message: str) -> None:
        self._message = message
        self._last = float("-inf")
        self._more = 0

    def note(self, **facts: object) -> None:
        now = time.monotonic()
        if now - self._last < _QUIET:
            self._more += 1
            return
        more = {"more_since_the_last": self._more} if self._more else {}
        _log.warning(self._message, **facts, **more)
        self._last, self._more = now, 0


def _address(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:  # gone already
        return ""


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error.strerror or error)
