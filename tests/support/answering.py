"""An endpoint for AWS's SDK that answers whatever it is told to."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs

from tests.support.certificates import Certificate

ACCOUNT = "123456789012"
IDENTITY = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
    f"<GetCallerIdentityResult><Account>{ACCOUNT}</Account></GetCallerIdentityResult>"
    "</GetCallerIdentityResponse>"
).encode()


@dataclass(frozen=True)
class Answer:
    """What goes back; ``pause``: seconds between any two bytes of the body."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


class Answering(ThreadingHTTPServer):
    """Answers each operation with what stands in ``answers``, or else with ``answer``.

    With a certificate it speaks TLS. The endpoint of a context.
    """

    daemon_threads = True

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = Answer(b"{}")
        self.answers: dict[str, Answer] = {"GetCallerIdentity": Answer(IDENTITY)}
        self.next_answers: dict[str, list[Answer]] = {}
        """By operation, those that come first."""
        self.calls: Counter[str] = Counter()
        self.connections = 0
        self._scheme = "https" if certificate else "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead an SDK here."""
        return {
            "AWS_ENDPOINT_URL": f"{self._scheme}://127.0.0.1:{self.server_port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "NO_PROXY": "127.0.0.1",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        assert isinstance(self.server, Answering)
        self.server.connections += 1
        super().setup()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        operation = target or parse_qs(body.decode())["Action"][0]
        server = self.server
        assert isinstance(server, Answering)
        server.calls[operation] += 1
        following = server.next_answers.get(operation)
        answer = following.pop(0) if following else server.answers.get(operation, server.answer)
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/x-amz-json-1.1", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        try:
            if answer.pause:
                for byte in answer.body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(answer.pause)
            else:
                self.wfile.write(answer.body)
        except OSError:
            self.close_connection = True  # the client has enough

    def log_message(self, *_: object) -> None:
        pass
