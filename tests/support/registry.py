"""An OCI registry on loopback that keeps what is pushed in memory (distribution-spec 1.1)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

_UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>\d*)")
_BLOB = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_MANIFEST = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")


def digest_of(content: bytes) -> str:
    """Return the digest by which a registry knows a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Registry:
    """What was pushed."""

    host: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    """By digest."""
    manifests: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """By name and tag or digest."""
    types: dict[str, str] = field(default_factory=dict)
    """Media types of manifests by digest."""
    uploads: list[bytes] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    registry: Registry

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v2/":
            self._answer(200)
        elif found := _MANIFEST.fullmatch(path):
            self._send(self.registry.manifests.get((found["name"], found["reference"])))
        elif found := _BLOB.fullmatch(path):
            self._send(self.registry.blobs.get(found["digest"]))
        else:
            self._answer(404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._body()
        found = _UPLOADS.fullmatch(urlsplit(self.path).path)
        if found is None:
            self._answer(404)
            return
        self.registry.uploads.append(b"")
        number = len(self.registry.uploads) - 1
        self._answer(202, Location=f"/v2/{found['name']}/blobs/uploads/{number}")

    def do_PATCH(self) -> None:
        number = self._upload()
        size = len(self.registry.uploads[number])
        self._answer(202, Location=urlsplit(self.path).path, Range=f"0-{size - 1}")

    def do_PUT(self) -> None:
        url = urlsplit(self.path)
        found = _MANIFEST.fullmatch(url.path)
        if found is None:
            content = self.registry.uploads[self._upload()]
            digest = digest_of(content)
            if parse_qs(url.query)["digest"] != [digest]:
                self._answer(400)
                return
            self.registry.blobs[digest] = content
        else:
            content = self._body()
            digest = digest_of(content)
            self.registry.types[digest] = self.headers["Content-Type"]
            for reference in (found["reference"], digest):
                self.registry.manifests[found["name"], reference] = content
        self._answer(201, b"", **{"Location": url.path, "Docker-Content-Digest": digest})

    def _upload(self) -> int:
        """Add the body to the upload that the path names; return its number."""
        found = _UPLOADS.fullmatch(urlsplit(self.path).path)
        assert found is not None
        number = int(found["id"])
        self.registry.uploads[number] += self._body()
        return number

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, content: bytes | None) -> None:
        if content is None:
            self._answer(404)
            return
        digest = digest_of(content)
        kind = self.registry.types.get(digest, "application/octet-stream")
        self._answer(200, content, **{"Docker-Content-Digest": digest, "Content-Type": kind})

    def _answer(self, status: int, content: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serving() -> Iterator[Registry]:
    """Run an empty registry, without TLS, on a free port."""
    registry = Registry()
    handler = type("_Bound", (_Handler,), {"registry": registry})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        registry.host = f"127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            server.shutdown()
            thread.join()
