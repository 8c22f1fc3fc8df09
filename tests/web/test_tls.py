"""TLS as clients see it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from exporter.web import LiveWebConfig
from exporter.web.tls import alternative_names
from tests.support.certificates import Authority
from tests.support.waiting import wait_for

Serve = Callable[..., Any]


@pytest.fixture
def serve_tls(
    serve: Serve, small_app: ASGIApp, write_web_config: Callable[..., Path], authority: Authority
) -> Callable[..., Any]:
    """A server for 127.0.0.1 with these keys in its ``tls_server_config``."""
    made = authority.issue("server")

    def start(**keys: Any) -> Any:
        files = {"cert_file": str(made.certificate), "key_file": str(made.key)}
        path = write_web_config(tls_server_config={**files, **keys})
        return serve(small_app, web_config=LiveWebConfig(path))

    return start


def handshake(running: Any, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A connection over which a request was answered; an OSError where it is refused.

    A client of TLS 1.3 has finished its handshake before the server judges its certificate.
    """
    raw = socket.create_connection(("127.0.0.1", running.port), timeout=10)
    try:
        client = context.wrap_socket(raw, server_hostname="127.0.0.1")
        client.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
        if not client.recv(1):
            raise ConnectionAbortedError
    except OSError:
        raw.close()
        raise
    return client


def test_the_page_comes_over_tls(serve_tls: Serve, authority: Authority) -> None:
    running = serve_tls()
    answer = httpx.get(f"{running.url}/metrics", verify=authority.client(), trust_env=False)
    assert running.url.startswith("https://")
    assert (answer.status_code, answer.text) == (200, "up 1\n")


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_request_in_the_packet_that_ends_the_handshake_is_answered(
    serve_tls: Serve, authority: Authority, version: str
) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(received, to_send, server_hostname="127.0.0.1")
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", serve_tls().port), timeout=10) as raw:

        def until_done(step: Callable[[], Any]) -> Any:
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    raw.sendall(to_send.read())
                    data = raw.recv(65536)
                    assert data, "the connection was closed"
                    received.write(data)

        until_done(client.do_handshake)
        client.write(request)
        raw.sendall(to_send.read())
        assert until_done(lambda: client.read(100)).startswith(b"HTTP/1.1 200")


def test_a_client_that_does_not_know_the_authority_goes_away(serve_tls: Serve) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(serve_tls().url, trust_env=False)


def test_plain_http_gets_no_answer(serve_tls: Serve) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{serve_tls().port}/", trust_env=False)


@pytest.mark.parametrize(
    ("offered", "versions", "negotiated"),
    [
        ({}, "TLS12", "TLSv1.2"),
        ({}, "TLS13", "TLSv1.3"),
        ({"min_version": "TLS13"}, "TLS12", None),
        ({"max_version": "TLS12"}, "TLS13", None),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, "TLS12", None),
        ({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]}, "TLS13", "TLSv1.3"),
    ],
)
def test_versions_are_those_of_the_file(
    serve_tls: Serve,
    authority: Authority,
    offered: dict[str, Any],
    versions: str,
    negotiated: str | None,
) -> None:
    client = authority.client()
    version = ssl.TLSVersion[versions.replace("TLS1", "TLSv1_")]
    client.minimum_version = client.maximum_version = version
    running = serve_tls(**offered)
    if negotiated is None:
        with pytest.raises(OSError, match=r"PROTOCOL_VERSION|HANDSHAKE_FAILURE|EOF|reset"):
            handshake(running, client)
    else:
        with handshake(running, client) as connection:
            assert connection.version() == negotiated


@pytest.mark.parametrize(
    ("prefer_server", "negotiated"),
    [(True, "ECDHE-ECDSA-AES256-SHA"), (False, "ECDHE-ECDSA-AES128-GCM-SHA256")],
)
def test_cipher_suites_are_those_of_the_file_in_the_order_of_whom_it_prefers(
    serve_tls: Serve, authority: Authority, prefer_server: bool, negotiated: str
) -> None:
    running = serve_tls(
        max_version="TLS12",
        cipher_suites=[
            "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        ],
        prefer_server_cipher_suites=prefer_server,
    )
    client = authority.client()
    client.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA")
    with handshake(running, client) as connection:
        assert connection.cipher() is not None
        assert connection.cipher()[0] == negotiated  # type: ignore[index]
    client.set_ciphers("ECDHE-ECDSA-CHACHA20-POLY1305")
    with pytest.raises(OSError, match=r"HANDSHAKE_FAILURE|EOF|reset"):
        handshake(running, client)


def test_the_curve_is_the_one_of_the_file(serve_tls: Serve, authority: Authority) -> None:
    running = serve_tls(curve_preferences=["CurveP384"])
    client = authority.client()
    client.set_ecdh_curve("secp384r1")
    handshake(running, client).close()
    client.set_ecdh_curve("prime256v1")
    with pytest.raises(OSError, match=r"HANDSHAKE_FAILURE|EOF|reset"):
        handshake(running, client)


def test_a_client_must_show_a_certificate_of_the_authority(
    serve_tls: Serve, authority: Authority, tmp_path: Path
) -> None:
    running = serve_tls(
        client_ca_file=str(authority.file), client_auth_type="RequireAndVerifyClientCert"
    )
    handshake(running, authority.client(authority.issue("prometheus", "prom.example"))).close()
    stranger = Authority(tmp_path / "pki", "stranger").issue("mallory", "prom.example")
    for certificate in (None, stranger):
        with pytest.raises(OSError, match=r"CERTIFICATE|ALERT|EOF|reset|^$"):
            handshake(running, authority.client(certificate))


def test_a_certificate_that_is_shown_freely_must_be_of_the_authority_too(
    serve_tls: Serve, authority: Authority, tmp_path: Path
) -> None:
    running = serve_tls(
        client_ca_file=str(authority.file), client_auth_type="VerifyClientCertIfGiven"
    )
    for certificate in (None, authority.issue("prometheus", "prom.example")):
        handshake(running, authority.client(certificate)).close()
    stranger = Authority(tmp_path / "pki", "stranger").issue("mallory", "prom.example")
    with pytest.raises(OSError, match=r"CERTIFICATE|ALERT|EOF|reset|^$"):
        handshake(running, authority.client(stranger))


@pytest.mark.parametrize(
    "identity", ["prom.example", "10.1.2.3", "2001:db8::1", "sre@prom.example"]
)
@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_of_the_authoritys_clients_only_those_with_an_allowed_name_come_in(
    serve_tls: Serve, authority: Authority, identity: str, version: str
) -> None:
    running = serve_tls(
        client_ca_file=str(authority.file),
        client_auth_type="RequireAndVerifyClientCert",
        client_allowed_sans=["unused.example", identity],
        max_version=version,
    )
    handshake(
        running, authority.client(authority.issue("prometheus", "x.example", identity))
    ).close()
    with capture_logs() as logs:
        other = authority.issue("other", "other.example", "10.1.2.4", "mallory@prom.example")
        with pytest.raises(OSError, match=r"ALERT|EOF|reset|^$"):
            handshake(running, authority.client(other))
        wait_for("the refusal to be logged", lambda: logs)
    assert [entry["error"] for entry in logs] == [
        "127.0.0.1: the client's certificate has no name of client_allowed_sans"
    ]


def test_failed_handshakes_are_logged_once_and_then_counted(
    serve_tls: Serve, authority: Authority
) -> None:
    running = serve_tls(
        client_ca_file=str(authority.file), client_auth_type="RequireAndVerifyClientCert"
    )
    with capture_logs() as logs:
        for _ in range(5):
            with pytest.raises(OSError, match=r"CERTIFICATE|ALERT|EOF|reset|^$"):
                handshake(running, authority.client())
        wait_for("a refusal to be logged", lambda: logs)
    assert [(entry["event"], entry["error"][:11]) for entry in logs] == [
        ("TLS handshake failed", "127.0.0.1: ")
    ]


def test_names_of_a_certificate_are_compared_as_go_writes_them() -> None:
    certificate = {
        "subjectAltName": (
            ("DNS", "a.example"),
            ("IP Address", "2001:DB8:0:0:0:0:0:1"),
            ("URI", "spiffe://example/prometheus"),
            ("email", "sre@example.com"),
            ("DirName", ((("commonName", "nobody"),),)),
        )
    }
    assert alternative_names(certificate) == {
        "a.example",
        "2001:db8::1",
        "spiffe://example/prometheus",
        "sre@example.com",
    }
