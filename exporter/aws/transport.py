"""Limits of an HTTP call: its duration, the size of its answer, and a stop."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_LOOK_AROUND = 0.5
"""Seconds after which a waiting read checks the limits."""
_READ_AHEAD = 256 * 1024
"""Bytes that are requested of a socket at once: a page of 1 MB comes in few reads."""


class CutOffError(Exception):
    """The exporter ended an HTTP call; the message completes "it …"."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
        """As of a SourceError."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of an HTTP call."""

    seconds: float
    """From the request to the last byte of the answer. botocore's read_timeout applies to each read
    of the socket, so an answer that comes byte by byte never reaches it."""
    most_bytes: int
    """Maximum size of the answer, headers included."""
    stop: threading.Event
    """Ends the call."""


def too_slow(seconds: float) -> CutOffError:
    """The error that ends a call after its time."""
    return CutOffError(f"was not answered in full within {seconds:g} s", reason="unreachable")


def bind(client: Any, bounds: Bounds) -> None:
    """Limit every HTTP call of a botocore client; calls beyond a limit raise CutOffError.

    botocore wraps it in an HTTPClientError. It has no setting for its connection classes, so
    ``_endpoint`` and ``_pool_classes_by_scheme``, which are private, are used.
    """

    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
            super().__init__(_Bounded(sock, bounds), *arguments, **options)  # type: ignore[arg-type]

    class Connection(AWSHTTPConnection):
        response_class = Response  # type: ignore[assignment]

    class TlsConnection(AWSHTTPSConnection):
        response_class = Response  # type: ignore[assignment]

    class Pool(AWSHTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(AWSHTTPSConnectionPool):
        ConnectionCls = TlsConnection

    client._endpoint.http_session._pool_classes_by_scheme.update(http=Pool, https=TlsPool)


class _Bounded:
    """A connected socket, from which http.client reads one answer."""

    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        self._sock = sock
        self._bounds = bounds

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The answer as a binary file."""
        return io.BufferedReader(_Reader(self._sock, self._bounds), _READ_AHEAD)


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, bounds: Bounds) -> None:
        # Keeps the socket open until the answer is read: http.client relies on that.
        self._held = sock.makefile("rb", buffering=0)
        self._sock = sock
        self._silence = sock.gettimeout()
        self._bounds = bounds
        self._deadline = time.monotonic() + bounds.seconds
        self._received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        silent_until = time.monotonic() + (self._silence or self._bounds.seconds)
        while True:
            now = time.monotonic()
            if self._bounds.stop.is_set():
                raise CutOffError("was ended because the exporter is stopping", reason="stopping")
            if now >= self._deadline:
                raise too_slow(self._bounds.seconds)
            if now >= silent_until:
                raise TimeoutError("timed out")
            self._sock.settimeout(min(_LOOK_AROUND, self._deadline - now, silent_until - now))
            try:
                received = self._sock.recv_into(buffer)
            except TimeoutError:
                continue
            finally:
                # It is not only this answer's: a proxy's is followed by the handshake of TLS.
                self._sock.settimeout(self._silence)
            self._received += received
            if self._received > self._bounds.most_bytes:
                raise CutOffError(
                    f"was answered with more than {self._bounds.most_bytes // 2**20} MiB",
                    reason="unreadable",
                )
            return received

    def close(self) -> None:
        self._held.close()
        super().close()
