"""Client connections: current TLS settings, time limits, and a maximum number."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.logs import Failures
from exporter.web.addresses import group_of
from exporter.web.limits import ClientLimits

TlsContext = Callable[[], ssl.SSLContext | None]
"""Returns the context for a new connection, or None for plain HTTP."""


class Occupant(Protocol):
    """An open connection, as the limit of connections sees it."""

    address: str
    """The group of the client's address (``addresses.group_of``)."""
    idle: bool
    """Whether it is between two requests."""
    since: float
    """When it became idle or busy, by the monotonic clock."""


O = TypeVar("O", bound=Occupant)  # noqa: E741


def to_close(occupants: set[O], newcomer: str) -> O:
    """Return the connection to close before the address ``newcomer`` opens one.

    It belongs to the address with the most connections, including the newcomer, so no client can
    keep others out. Idle connections are closed before busy ones, and the oldest first, when a
    well-behaved client has had its response.
    """
    count = Counter(occupant.address for occupant in occupants)
    count[newcomer] += 1
    most = max(count[occupant.address] for occupant in occupants)
    candidates = (occupant for occupant in occupants if count[occupant.address] == most)
    return min(candidates, key=lambda occupant: (not occupant.idle, occupant.since))


class Connections:
    """The open connections, including TLS handshakes, at most ``limits.connections``."""

    def __init__(self, limits: ClientLimits, tls: TlsContext) -> None:
        self.limits = limits
        self.tls = tls
        self.handshakes = Failures("TLS handshake")
        self._crowding = Failures("keeping all connections open")
        self._open: set[Connection] = set()

    def add(self, newcomer: Connection) -> None:
        """Add a connection; if there are too many, close another one."""
        if len(self._open) >= self.limits.connections:
            leaver = to_close(self._open, newcomer.address)
            self._open.remove(leaver)
            leaver.abort()
            self._crowding.failed(
                ConnectionError(
                    f"{self.limits.connections} connections are open, which is the limit; closed"
                    f" one from {leaver.address}, the address with the most"
                )
            )
        self._open.add(newcomer)

    def discard(self, connection: Connection) -> None:
        """Remove a closed connection."""
        self._open.discard(connection)

    def abort_handshakes(self) -> None:
        """Close the connections that are still in their TLS handshake."""
        for connection in [c for c in self._open if not c.established]:
            connection.abort()


class Connection(H11Protocol):
    """uvicorn's HTTP connection, with time limits for everything that a client can delay.

    uvicorn only limits idle connections. This class overrides the methods of ``asyncio.Protocol``
    and sets ``scope["state"]``; it reads no attribute of uvicorn.
    """

    def __init__(self, others: Connections, *, app_state: dict[str, Any], **uvicorns: Any) -> None:
        super().__init__(app_state={**app_state, "connection": self}, **uvicorns)
        self.address = ""
        self.idle = False
        self.since = time.monotonic()
        self.established = False
        """Whether HTTP can begin: without TLS, or after its handshake."""
        self._others = others
        self._limits = others.limits
        self._stream: asyncio.Transport
        self._early = b""
        self._request_timeout: asyncio.TimerHandle | None = None
        self._stall_timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Add the connection and begin its TLS handshake, if any."""
        self._stream = transport
        client = transport.get_extra_info("peername")[0]
        self.address = group_of(client)
        self._others.add(self)
        context = self._others.tls()
        if context is None:
            self._establish(transport)
            return
        transport.pause_reading()  # the client's first bytes are for the handshake
        handshake = self._shake_hands(transport, context, client)
        task = asyncio.get_running_loop().create_task(handshake)
        self._handshake = task  # the loop itself keeps no reference

    async def _shake_hands(
        self, transport: asyncio.Transport, context: ssl.SSLContext, client: str
    ) -> None:
        if transport.is_closing():
            return
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=self._limits.handshake,
                ssl_shutdown_timeout=self._limits.closing,
            )
        except OSError as error:
            self._others.handshakes.failed(ConnectionError(f"{client}: {_reason(error)}"))
            secured = None
        if secured is None:
            self._others.discard(self)
        else:
            self._stream = secured
            self._establish(secured)

    def _establish(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        # Writing counts as paused while the kernel has not taken every byte.
        transport.set_write_buffer_limits(high=1)
        self.established = self.idle = True
        self.begin_request()
        if self._early:
            super().data_received(self._early)
            self._early = b""

    def data_received(self, data: bytes) -> None:
        """Limit the time of a request from its first byte."""
        if not self.established:  # came with the end of the handshake
            self._early += data
            return
        self.begin_request()
        super().data_received(data)

    def begin_request(self) -> None:
        """Start the time limit of a request; has no effect during one."""
        if self.idle:
            self._be(idle=False)
            self._request_timeout = self._abort_after(self._limits.request)

    @contextlib.contextmanager
    def answering(self) -> Iterator[None]:
        """Mark the connection as busy while a complete request is answered."""
        _cancel(self._request_timeout)
        self._be(idle=False)
        try:
            yield
        finally:
            self._be(idle=True)

    def pause_writing(self) -> None:
        """Limit the time for which the client reads nothing."""
        self._stall_timeout = self._abort_after(self._limits.stalled)
        super().pause_writing()

    def resume_writing(self) -> None:
        """End that limit."""
        _cancel(self._stall_timeout)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection."""
        self._others.discard(self)
        _cancel(self._request_timeout)
        _cancel(self._stall_timeout)
        if self.established:
            super().connection_lost(exc)

    def abort(self) -> None:
        """Close it immediately."""
        self._stream.abort()

    def _be(self, *, idle: bool) -> None:
        self.idle, self.since = idle, time.monotonic()

    def _abort_after(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self.abort)


def _cancel(timeout: asyncio.TimerHandle | None) -> None:
    if timeout is not None:
        timeout.cancel()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_message:
        return str(error.verify_message)
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.lower().replace("_", " ")
    return str(error.strerror or error)
