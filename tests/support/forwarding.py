"""TCP connections passed on from another loopback address: a second machine, for a server."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Self


class Forwarder:
    """Passes what comes to a port of its own on to a server on 127.0.0.1.

    The server sees the connections come from ``source``. Linux lets any address of 127.0.0.0/8
    be used. Use as a context manager.
    """

    def __init__(self, port: int, *, source: str = "127.0.0.2") -> None:
        self._target = ("127.0.0.1", port)
        self._source = (source, 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        """Where it listens, from the start on."""

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept; close alone does not
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        # A server that is down refuses: the client finds its connection closed.
        with (
            client,
            contextlib.suppress(OSError),
            socket.create_connection(self._target, source_address=self._source) as server,
        ):
            other = {client: server, server: client}
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(65536)
                    if not data:
                        return
                    other[ready].sendall(data)
