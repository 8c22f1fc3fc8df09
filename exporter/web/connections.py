"""uvicorn with an accept loop of its own: limits, and a TLS context chosen anew each time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Generator
from typing import Any

import structlog
import uvicorn

from exporter.web.addresses import group_of
from exporter.web.limits import Limits, Sweeper
from exporter.web.places import Place, to_give_up

_log = structlog.get_logger(__name__)

_QUIET = 60.0
"""Seconds between two log lines of the same kind: any client can cause them."""

_AT_ONCE = 16
"""Connections that are accepted before others have their turn."""

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
        self._handshakes: dict[asyncio.Task[None], Place] = {}
        self._leaving: set[object] = set()
        """Who had to make room, until the connection is gone."""
        self._refusals = _Summary("TLS handshake failed")
        self._crowds = _Summary("too many connections; some are closed to make room")
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
                self._welcome(*await loop.sock_accept(listener))
                # Those that queue behind it must not wait for a turn of the loop each.
                for _ in range(_AT_ONCE):
                    self._welcome(*listener.accept())
            except BlockingIOError:
                pass
            except OSError as error:  # no file descriptors left, or the client has gone
                self._accept_failures.note(error=error.strerror or str(error))
                await asyncio.sleep(0.1)
            # Where clients queue, accepting never waits; others must have their turn.
            await asyncio.sleep(0)

    def _welcome(self, connection: socket.socket, peer: tuple[Any, ...]) -> None:
        client: str = peer[0]
        address = group_of(client)
        self._make_room(address)
        connection.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._connect(connection, client))
        self._handshakes[task] = Place(task, address, "handshake", time.monotonic(), task.cancel)
        task.add_done_callback(self._handshakes.pop)

    def _make_room(self, address: str) -> None:
        connections = self.server_state.connections
        self._leaving = {
            holder
            for holder in self._leaving
            if holder in connections or holder in self._handshakes
        }
        open_ = len(self._handshakes) + len(connections)
        if open_ - len(self._leaving) < self._limits.connections:
            return
        self._crowds.note(connections=open_)
        places = [*self._handshakes.values(), *self._sweeper.places(connections)]
        place = to_give_up([p for p in places if p.holder not in self._leaving], address)
        self._leaving.add(place.holder)
        place.leave()

    async def _connect(self, connection: socket.socket, client: str) -> None:
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


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error.strerror or error)
