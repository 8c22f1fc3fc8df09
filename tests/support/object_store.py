"""S3 on loopback: a few objects, and answers that S3 gives now and then."""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from tests.support.certificates import Certificate

SECRET = "testing"
"""Of every access key."""
_AUTHORIZATION = re.compile(
    "AWS4-HMAC-SHA256 Credential=([^/]+)/([0-9]{8})/([^/]+)/s3/aws4_request,"
    " ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})"
)


@dataclass(frozen=True)
class Answer:
    """An answer; ``pause``: seconds between any two bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request that came."""

    host: str
    bucket: str
    key: str
    query: Mapping[str, str]
    access_key: str
    region: str
    """Which it was signed for."""
    by_botocore: bool
    headers: Mapping[str, str]


def error(code: str, status: int, *, more: str = "", **headers: str) -> Answer:
    """An error of S3."""
    body = f"<Error><Code>{code}</Code><Message>no</Message>{more}</Error>"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(body.encode(), status, {"Content-Type": "application/xml", **names})


class ObjectStore(ThreadingHTTPServer):
    """Answers with ``next_answers`` first, then with ``objects``. The endpoint of a context.

    It checks signatures and the region of ``region``. With a certificate it speaks TLS.
    """

    daemon_threads = True

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[tuple[str, str, str], bytes] = {}
        """By bucket, key and version; the current version is empty."""
        self.next_answers: deque[Answer] = deque()
        self.requests: list[Request] = []
        self.page_size = 1000
        self.region = "us-east-1"
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that has enough is no error."""

    def answer(self, request: Request, *, signed: bool) -> Answer:
        """The answer to a request."""
        if self.next_answers:
            return self.next_answers.popleft()
        if not signed:
            return error("SignatureDoesNotMatch", 403)
        if request.region != self.region:
            more = f"<Region>{self.region}</Region>"
            return error("AuthorizationHeaderMalformed", 400, more=more)
        if "list-type" in request.query:
            return self._list(request.bucket, request.query)
        body = self.objects.get((request.bucket, request.key, request.query.get("versionId", "")))
        if body is None:
            return error("NoSuchKey", 404)
        return Answer(body, headers={"ETag": f'"{hashlib.sha256(body).hexdigest()}"'})

    def _list(self, bucket: str, query: Mapping[str, str]) -> Answer:
        """ListObjectsV2, in pages of ``page_size``."""
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        token = query.get("continuation-token")
        after = bytes.fromhex(token).decode() if token else query.get("start-after", "")
        found: dict[str, str] = {}
        for name, key, version in sorted(self.objects):
            if name == bucket and not version and key.startswith(prefix):
                rest, separator, _ = key[len(prefix) :].partition(delimiter or "\0")
                common = prefix + rest + separator if separator else ""
                if (common or key) > after:
                    found[common or key] = _entry(key, len(self.objects[name, key, ""]), common)
        names = sorted(found)
        page, more = names[: self.page_size], names[self.page_size :]
        last = page[-1].encode().hex() if more else ""
        following = f"<NextContinuationToken>{last}</NextContinuationToken>"
        body = (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated><KeyCount>{len(page)}</KeyCount>"
            f"<EncodingType>url</EncodingType>{following}{''.join(found[one] for one in page)}"
            "</ListBucketResult>"
        )
        return Answer(body.encode(), headers={"Content-Type": "application/xml"})


def _entry(key: str, size: int, common: str) -> str:
    if common:
        return f"<CommonPrefixes><Prefix>{quote_plus(common, safe='/')}</Prefix></CommonPrefixes>"
    return (
        f"<Contents><Key>{quote_plus(key, safe='/')}</Key><Size>{size}</Size>"
        "<LastModified>2026-11-20T12:00:00.000Z</LastModified></Contents>"
    )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        store = self.server
        assert isinstance(store, ObjectStore)
        request, signed = self._read()
        store.requests.append(request)
        answer = store.answer(request, signed=signed)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(answer.body)))
        else:
            self.close_connection = True
        self.end_headers()
        pieces = [bytes([one]) for one in answer.body] if answer.pause else [answer.body]
        for piece in pieces:
            self.wfile.write(piece)
            time.sleep(answer.pause)

    def _read(self) -> tuple[Request, bool]:
        """The request, and whether its signature is right."""
        path, query = self._target()
        host = self.headers["Host"]
        names = path.removeprefix("/")
        bucket, _, key = names.partition("/")
        if not host.startswith(("127.0.0.1", "s3", "bucket.vpce")):
            bucket, key = host.partition(".")[0], names
        parsed = _AUTHORIZATION.fullmatch(self.headers.get("Authorization", ""))
        access_key, day, region, signed, signature = parsed.groups() if parsed else [""] * 5
        request = Request(
            host,
            bucket,
            unquote(key),
            dict(parse_qsl(query, keep_blank_values=True)),
            access_key,
            region,
            "amz-sdk-invocation-id" in self.headers,
            dict(self.headers.items()),
        )
        expected = self._signature(path, query, day, region, signed.split(";"))
        return request, hmac.compare_digest(signature, expected)

    def _target(self) -> tuple[str, str]:
        """Path and query as they were sent: the standard library changes leading slashes."""
        target = urlsplit(self.requestline.split(" ")[1])
        return target.path, target.query

    def _signature(self, path: str, query: str, day: str, region: str, names: list[str]) -> str:
        """The signature that AWS computes: Signature Version 4."""
        pairs = sorted(parse_qsl(query, keep_blank_values=True))
        queries = "&".join(f"{quote(k, safe='-._~')}={quote(v, safe='-._~')}" for k, v in pairs)
        headers = "".join(f"{name}:{self.headers.get(name, '').strip()}\n" for name in names)
        body = self.headers.get("x-amz-content-sha256", "")
        canonical = "\n".join(["GET", path, queries, headers, ";".join(names), body])
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        scope = f"{day}/{region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{self.headers.get('X-Amz-Date')}\n{scope}\n{digest}"
        key = f"AWS4{SECRET}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    def log_message(self, *_: object) -> None:
        pass
