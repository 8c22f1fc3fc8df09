"""A WSGI server on loopback whose connections end when it does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server

from metric_filter_demo.protocol import Response


class LoopbackServer:
    """Serves a WSGI application on 127.0.0.1, quietly, a thread a connection.

    ``port`` 0 takes a free one. ``stop`` also closes connections that clients keep alive: a
    server that is gone must look gone. ``clock``: seconds since the epoch, for the header Date.
    """

    def __init__(self, application: Any, port: int, clock: Callable[[], float]) -> None:
        connections: set[socket.socket] = set()
        lock = threading.Lock()

        class Handler(MotoRequestHandler):
            # Clients see small answers at once, not after the kernel's delayed acknowledgement.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                with lock:
                    connections.add(self.request)
                super().setup()

            def finish(self) -> None:
                with lock:
                    connections.discard(self.request)
                super().finish()

            def date_time_string(self, timestamp: float | None = None) -> str:
                return formatdate(clock() if timestamp is None else timestamp, usegmt=True)

            def log(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._connections = connections
        self._lock = lock
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", port, application, threaded=True, request_handler=Handler
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="embedded-aws",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_port)

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def send_dripping(
    environ: dict[str, Any], response: Response, *, now: float, headers: bool
) -> None:
    """Send an answer one byte a second, then close the connection.

    ``now``: the time for the header Date. ``headers``: from the first byte on; else the body only.
    Returns early if the client closes the connection or the server stops.
    """
    connection: socket.socket = environ["werkzeug.socket"]
    sent = [*response.headers, ("Date", formatdate(now, usegmt=True))]
    lines = [f"HTTP/1.1 {response.status_line}", *(f"{n}: {v}" for n, v in sent)]
    head = "\r\n".join([*lines, "", ""]).encode()
    with contextlib.suppress(OSError):
        if not headers:
            connection.sendall(head)
        for byte in (head if headers else b"") + response.body:
            connection.sendall(bytes([byte]))
            time.sleep(1)
        connection.shutdown(socket.SHUT_RDWR)
