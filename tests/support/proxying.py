"""A proxy for TLS, as companies have them, behind which AWS is far away."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType

_MOST = 65536


class TunnelProxy:
    """Answers CONNECT and passes bytes on; what the server says first comes ``pause`` s later.

    ``to``: a port of this machine that is connected, whatever host is asked for.
    """

    def __init__(self, pause: float = 0.0, *, to: int | None = None) -> None:
        self._pause = pause
        self.to = to
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listening]
        self.tunnels = 0
        self.hosts: list[str] = []

    @property
    def url(self) -> str:
        """For ``HTTPS_PROXY``."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> TunnelProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in self._sockets:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += client.recv(_MOST)
        host, _, port = request.split()[1].decode().partition(":")
        self.hosts.append(host)
        server = socket.create_connection(("127.0.0.1", self.to) if self.to else (host, int(port)))
        self._sockets += client, server
        self.tunnels += 1
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pump, args=(client, server, 0.0), daemon=True).start()
        _pump(server, client, self._pause)


def _pump(source: socket.socket, sink: socket.socket, pause: float) -> None:
    try:
        while read := source.recv(_MOST):
            time.sleep(pause)
            pause = 0.0
            sink.sendall(read)
    except OSError:
        pass
    finally:
        sink.close()
