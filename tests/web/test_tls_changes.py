"""Every change of ``tls_server_config`` holds for the next connection.

Each test runs with TLS 1.2 and 1.3, with and without SNI, and with clients that offer the session
of their last connection or none: none of these may bring back the previous configuration.
"""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from exporter.web import LiveWebConfig
from tests.support.certificates import Authority, Certificate

REFUSED = pytest.raises(OSError, match=r"CERTIFICATE|ALERT|EOF|reset|HANDSHAKE_FAILURE|VERSION|^$")


@dataclass(frozen=True)
class Manner:
    """How clients connect."""

    version: ssl.TLSVersion
    name: str
    """Python sends a host name as SNI, and an address not at all."""
    resumes: bool


MANNERS = [
    Manner(*manner)
    for manner in itertools.product(
        (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3), ("localhost", "127.0.0.1"), (True, False)
    )
]


@dataclass
class Client:
    """A client with connections one after the other."""

    port: int
    context: ssl.SSLContext
    manner: Manner
    session: ssl.SSLSession | None = None

    def connect(self) -> ssl.SSLSocket:
        """A closed connection on which a request was answered; raises OSError if it is refused."""
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        with (
            raw,
            self.context.wrap_socket(
                raw, server_hostname=self.manner.name, session=self.session
            ) as connection,
        ):
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := connection.recv(1000):
                answer += data
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ConnectionAbortedError
            self.certificate = connection.getpeercert(binary_form=True)
            self.cipher = (connection.cipher() or ("",))[0]
            self.resumed = connection.session_reused
            self.session = connection.session if self.manner.resumes else None
        return connection


class Site:
    """A running server whose ``tls_server_config`` changes, and its clients."""

    def __init__(
        self, serve: Callable[..., Any], app: ASGIApp, write: Callable[..., Path], folder: Path
    ) -> None:
        self._serve, self._app, self._write = serve, app, write
        self.authority = Authority(folder / "pki")
        self.clients = Authority(folder / "pki", "clients")
        made = self.authority.issue("server")
        self.keys = {"cert_file": str(made.certificate), "key_file": str(made.key)}

    def start(self, **keys: Any) -> None:
        """Start a server."""
        self.change(**keys)
        path = self._write(tls_server_config=self.keys)
        self.port = self._serve(self._app, web_config=LiveWebConfig(path)).port

    def change(self, **keys: Any) -> None:
        """Write other values; None: without the key."""
        self.keys = {k: v for k, v in {**self.keys, **keys}.items() if v is not None}
        self._write(tls_server_config=self.keys)

    def client(self, manner: Manner, shown: Certificate | None = None) -> Client:
        """A client that shows a certificate, or none."""
        context = self.authority.client(shown)
        context.minimum_version = context.maximum_version = manner.version
        return Client(self.port, context, manner)

    def required(self) -> dict[str, str]:
        """The keys that make a client's certificate necessary."""
        return {
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": str(self.clients.file),
        }


@pytest.fixture
def site(
    serve: Callable[..., Any],
    small_app: ASGIApp,
    write_web_config: Callable[..., Path],
    tmp_path: Path,
) -> Site:
    return Site(serve, small_app, write_web_config, tmp_path)


@pytest.fixture(
    params=MANNERS,
    ids=lambda m: f"{m.version.name}-{m.name}-{'resumes' if m.resumes else 'new session'}",
)
def manner(request: pytest.FixtureRequest) -> Manner:
    chosen: Manner = request.param
    return chosen


def test_without_a_change_sessions_are_resumed(site: Site, manner: Manner) -> None:
    site.start(**site.required())
    client = site.client(manner, site.clients.issue("prometheus", "prometheus.example"))
    client.connect()
    client.connect()
    assert client.resumed == manner.resumes


def test_a_client_certificate_is_required_from_the_next_connection_on(
    site: Site, manner: Manner
) -> None:
    site.start()
    without = site.client(manner)
    holder = site.client(manner, site.clients.issue("prometheus", "prometheus.example"))
    without.connect()
    holder.connect()
    site.change(**site.required())
    with REFUSED:
        without.connect()
    holder.connect()
    with REFUSED:
        without.connect()


def test_a_certificate_stays_required_until_a_restart(site: Site, manner: Manner) -> None:
    site.start(**site.required())
    holder = site.client(manner, site.clients.issue("prometheus", "prometheus.example"))
    holder.connect()
    site.change(client_auth_type=None, client_ca_file=None)
    with capture_logs() as logs:
        with REFUSED:
            site.client(manner).connect()
        holder.connect()
    assert "falls from RequireAndVerifyClientCert to NoClientCert" in logs[0]["error"]
    site.start()
    site.client(manner).connect()


def test_certificates_of_another_authority_take_over(
    site: Site, manner: Manner, tmp_path: Path
) -> None:
    site.start(**site.required())
    others = Authority(tmp_path / "pki", "others")
    old = site.client(manner, site.clients.issue("old", "prometheus.example"))
    new = site.client(manner, others.issue("new", "prometheus.example"))
    old.connect()
    with REFUSED:
        new.connect()
    site.change(client_ca_file=str(others.file))
    with REFUSED:
        old.connect()
    new.connect()


def test_the_lowest_version_is_raised(site: Site, manner: Manner) -> None:
    site.start(min_version="TLS12")
    client = site.client(manner)
    client.connect()
    site.change(min_version="TLS13")
    if manner.version == ssl.TLSVersion.TLSv1_2:
        with REFUSED:
            client.connect()
    else:
        client.connect()


def test_a_replaced_certificate_is_shown(site: Site, manner: Manner) -> None:
    site.start()
    client = site.client(manner)
    client.connect()
    before = client.certificate
    made = site.authority.issue("renewed")
    site.change(cert_file=str(made.certificate), key_file=str(made.key))
    client.connect()
    assert client.certificate != before
    pem = ssl.DER_cert_to_PEM_cert(client.certificate or b"")
    assert made.certificate.read_text().replace("\r", "").startswith(pem.strip())


def test_other_cipher_suites_are_used(site: Site, manner: Manner) -> None:
    site.start(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])
    client = site.client(manner)
    client.connect()
    before = client.cipher
    site.change(cipher_suites=["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"])
    client.connect()
    if manner.version == ssl.TLSVersion.TLSv1_2:
        assert (before, client.cipher) == (
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        )
    site.change(cipher_suites=["TLS_AES_128_GCM_SHA256"])  # of TLS 1.3 only
    if manner.version == ssl.TLSVersion.TLSv1_2:
        with REFUSED:
            client.connect()
    else:
        client.connect()
