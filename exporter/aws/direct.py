"""Reads objects of S3 by libcurl, with requests like those of botocore.

botocore takes 0.7 ms of CPU time for a GetObject, this less than 0.1 ms (``bench/objects.py``).
"""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pycurl
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.utils import get_environ_proxies

from exporter.aws.calls import Call
from exporter.aws.errors import AWS_ERRORS, code_reason, source_error
from exporter.aws.objects import too_large
from exporter.aws.quotas import stopping_error
from exporter.aws.transport import too_slow
from exporter.model import SourceError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest
    from botocore.client import BaseClient
    from botocore.credentials import ReadOnlyCredentials
    from botocore.session import Session

    from exporter.aws.client import Conduct

_OPERATION: Final = "GetObject"
_MOST_WAYS: Final = 1000
"""Buckets whose address is kept."""
_SIGNATURE = re.compile("AWS4-HMAC-SHA256 Credential=[^/]+/[0-9]{8}/([^/]+)/([^/]+)/aws4_request,")
_SIGNATURES: Final = frozenset({"v4", "s3v4"})
_CODE = re.compile(rb"<Code>([A-Za-z.]+)</Code>")


@dataclass(frozen=True, slots=True)
class _Way:
    """How botocore asked for an object of a bucket."""

    base: str
    """The URL before the key."""
    region: str
    service: str
    user_agent: str
    proxy: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


class DirectReader:
    """Reads the objects that a botocore client can read. Thread-safe.

    It repeats a request of the client with another key. So endpoint, bucket address, region, proxy
    and certificates are the client's. Whatever is not an object is left to the client:
    it retries, follows a bucket to its region, and names errors.
    """

    def __init__(self, client: BaseClient, session: Session, conduct: Conduct) -> None:
        """``session``: the client's."""
        self._conduct = conduct
        self._endpoint = client.meta.endpoint_url
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE")
        self._certificates = bundle or get_cert_path(verify=True)
        self._ways: dict[tuple[object, object], _Way] = {}
        """By bucket and its expected owner."""
        self._idle: list[pycurl.Curl] = []
        """Each has its connections."""
        self._signing = threading.local()
        client.meta.events.register(f"before-sign.s3.{_OPERATION}", self._note)

    def read(
        self,
        call: Call,
        parameters: Mapping[str, str],
        most_bytes: int,
        credentials: Callable[[], ReadOnlyCredentials],
    ) -> bytes | None:
        """The bytes of an object, or None if the client has to be asked.

        ``parameters``: of GetObject. ``credentials`` returns the current ones. Raises SourceError
        if the call was ended, or the object has more than ``most_bytes``.
        """
        where = _where(parameters)
        way = self._ways.get(where)
        # libcurl resolves these segments of a URL, which would be another object.
        if way is None or not {".", ".."}.isdisjoint(parameters["Key"].split("/")):
            return None
        try:
            keys = credentials()
        except AWS_ERRORS:
            return None
        conduct = self._conduct
        conduct.quotas.wait(call.operation, call.account_id, call.region, conduct.stop)
        sent = conduct.clock.sending()
        outcome, answer = "error", None
        try:
            answer = self._send(way, keys, call, parameters, most_bytes)
            outcome = _outcome(answer)
        except SourceError as error:
            outcome = "success" if error.reason == "too_large" else outcome
            raise
        finally:
            conduct.observe(call, outcome)
        if answer is None or outcome != "success":
            self._ways.pop(where, None)
            return None
        conduct.clock.learn(answer.headers.get("date", ""), sent)
        return answer.body

    def learn(self, parameters: Mapping[str, str]) -> None:
        """Repeat the client's last request of this thread, which succeeded, for other keys."""
        last, self._signing.last = getattr(self._signing, "last", None), None
        if last is None:
            return  # another client made it: the configuration files have changed
        request, signature = last
        signed = _SIGNATURE.match(_text(request.headers.get("Authorization", "")))
        url, _, _ = request.url.partition("?")
        key = "/" + _quoted(parameters["Key"])
        if signed is None or signature not in _SIGNATURES or not url.endswith(key):
            return
        proxies = ProxyConfiguration(proxies=get_environ_proxies(self._endpoint))
        if len(self._ways) >= _MOST_WAYS:
            self._ways.clear()
        self._ways[_where(parameters)] = _Way(
            base=url.removesuffix(key),
            region=signed[1],
            service=signed[2],
            user_agent=_text(request.headers["User-Agent"]),
            proxy=proxies.proxy_url_for(url) or "",
        )

    def _note(self, request: AWSRequest, signature_version: str, **_: Any) -> None:
        self._signing.last = request, signature_version

    def _send(
        self,
        way: _Way,
        keys: ReadOnlyCredentials,
        call: Call,
        parameters: Mapping[str, str],
        most_bytes: int,
    ) -> _Answer | None:
        """The answer, or None without an answer; raises SourceError if the call was ended."""
        try:
            curl = self._idle.pop()
        except IndexError:
            curl = pycurl.Curl()
        body = io.BytesIO()
        lines: list[bytes] = []
        self._set_limits(curl, most_bytes)
        _set_request(curl, way, keys, parameters)
        curl.setopt(pycurl.CAINFO, self._certificates)
        curl.setopt(pycurl.PROXY_CAINFO, self._certificates)
        curl.setopt(pycurl.WRITEFUNCTION, body.write)
        curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        try:
            curl.perform()
            status = curl.getinfo(pycurl.RESPONSE_CODE)
        except pycurl.error as error:
            took = curl.getinfo(pycurl.TOTAL_TIME)
            status = curl.getinfo(pycurl.RESPONSE_CODE)
            curl.close()
            if self._conduct.stop.is_set():
                raise stopping_error() from None
            if error.args[0] == pycurl.E_FILESIZE_EXCEEDED and status == HTTPStatus.OK:
                raise too_large(call, most_bytes) from None
            late = error.args[0] == pycurl.E_OPERATION_TIMEDOUT
            if late and took >= self._conduct.call_seconds:
                raise source_error(too_slow(self._conduct.call_seconds), call) from None
            return None
        curl.reset()  # keeps the connections
        self._idle.append(curl)
        return _Answer(status, _headers(lines), body.getvalue())

    def _set_limits(self, curl: pycurl.Curl, most_bytes: int) -> None:
        conduct = self._conduct
        # These are the client's timeouts (``client.py: _CONFIG``).
        curl.setopt(pycurl.NOSIGNAL, 1)
        curl.setopt(pycurl.CONNECTTIMEOUT, 10)
        curl.setopt(pycurl.LOW_SPEED_LIMIT, 1)
        curl.setopt(pycurl.LOW_SPEED_TIME, 30)
        curl.setopt(pycurl.TIMEOUT_MS, round(conduct.call_seconds * 1000))
        curl.setopt(pycurl.MAXFILESIZE_LARGE, most_bytes)
        curl.setopt(pycurl.NOPROGRESS, 0)
        # libcurl calls it once a second at least; any value but 0 ends the transfer.
        curl.setopt(pycurl.XFERINFOFUNCTION, lambda *_: int(conduct.stop.is_set()))


def _set_request(
    curl: pycurl.Curl, way: _Way, keys: ReadOnlyCredentials, parameters: Mapping[str, str]
) -> None:
    version = parameters.get("VersionId")
    query = f"?versionId={quote(version, safe='-._~')}" if version else ""
    headers = []
    if "ExpectedBucketOwner" in parameters:
        headers.append(f"x-amz-expected-bucket-owner: {parameters['ExpectedBucketOwner']}")
    if keys.token:
        headers.append(f"X-Amz-Security-Token: {keys.token}")
    curl.setopt(pycurl.URL, f"{way.base}/{_quoted(parameters['Key'])}{query}")
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    curl.setopt(pycurl.TCP_KEEPALIVE, 1)
    curl.setopt(pycurl.BUFFERSIZE, 256 * 1024)
    curl.setopt(pycurl.AWS_SIGV4, f"aws:amz:{way.region}:{way.service}")
    curl.setopt(pycurl.USERNAME, keys.access_key)
    curl.setopt(pycurl.PASSWORD, keys.secret_key)
    curl.setopt(pycurl.HTTPHEADER, headers)
    # As an option, because libcurl signs all headers, and proxies may change this one.
    curl.setopt(pycurl.USERAGENT, way.user_agent)
    # botocore has evaluated NO_PROXY; libcurl must not read the environment.
    curl.setopt(pycurl.PROXY, way.proxy)
    curl.setopt(pycurl.NOPROXY, "")


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    """The headers of the last answer, by name in lower case. A proxy's may come before it."""
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers = {}
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _outcome(answer: _Answer | None) -> str:
    """See ``ApiObserver``."""
    if answer is None:
        return "error"
    if answer.status == HTTPStatus.OK:
        # Another one's answer is left to the client too, and so is one without a length.
        is_whole = answer.headers.get("content-length") == str(len(answer.body))
        return "success" if is_whole and "etag" in answer.headers else "error"
    code = _CODE.search(answer.body)
    reason = code_reason(code[1].decode()) if code else "error"
    return reason if reason in ("throttled", "access_denied") else "error"


def _where(parameters: Mapping[str, str]) -> tuple[object, object]:
    return parameters["Bucket"], parameters.get("ExpectedBucketOwner")


def _quoted(key: str) -> str:
    """A key in a URL, as botocore writes it."""
    return quote(key, safe="/~")


def _text(header: str | bytes) -> str:
    return header.decode("latin-1") if isinstance(header, bytes) else header
