"""Headers and rate limit of a web configuration, and what happens when its files change."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from exporter.web import LiveWebConfig
from exporter.web.page import CONTENT_SECURITY_POLICY
from exporter.yamlfile.problems import ConfigurationError
from tests.support.certificates import Authority, Certificate
from tests.support.http import PLAIN_HTTP
from tests.support.waiting import wait_for

Serve = Callable[..., Any]
Write = Callable[..., Path]


def get(url: str, **options: Any) -> httpx.Response:
    return PLAIN_HTTP.get(url, **options)


def get_with_certificates(url: str, certificates: ssl.SSLContext) -> httpx.Response:
    return httpx.get(url, verify=certificates, trust_env=False, timeout=10)


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


def test_headers_are_on_every_answer(
    serve: Serve, small_app: ASGIApp, write_web_config: Write
) -> None:
    path = write_web_config(
        http_server_config={
            "headers": {"Strict-Transport-Security": "max-age=60", "X-XSS-Protection": ""}
        },
        basic_auth_users={"alice": hashed("secret")},
    )
    running = serve(small_app, web_config=LiveWebConfig(path))
    for place, auth in (("/", None), ("/", ("alice", "secret")), ("/x", ("alice", "secret"))):
        answer = get(f"{running.url}{place}", auth=auth)
        assert answer.headers["Strict-Transport-Security"] == "max-age=60"
        assert "X-XSS-Protection" not in answer.headers


def test_a_header_of_the_file_takes_the_place_of_the_exporters_own(
    serve: Serve, small_app: ASGIApp, write_web_config: Write
) -> None:
    path = write_web_config(
        http_server_config={"headers": {"Content-Security-Policy": "default-src 'self'"}}
    )
    running = serve(small_app, web_config=LiveWebConfig(path))
    assert get(running.url).headers.get_list("Content-Security-Policy") == ["default-src 'self'"]
    path.write_text("{}")
    assert get(running.url).headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


def test_past_the_rate_limit_requests_are_refused_until_the_file_says_otherwise(
    serve: Serve, small_app: ASGIApp, write_web_config: Write
) -> None:
    path = write_web_config("rate_limit: {interval: 1h, burst: 3}")
    running = serve(small_app, web_config=LiveWebConfig(path))
    answers = [get(f"{running.url}/-/healthy") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[-1].headers["Retry-After"] == "3600"
    path.write_text("rate_limit: {interval: 20ms, burst: 1}")
    wait_for("the bucket to fill", lambda: get(f"{running.url}/-/healthy").status_code == 200)
    path.write_text("{}")
    assert {get(f"{running.url}/-/healthy").status_code for _ in range(10)} == {200}


def test_users_are_those_that_the_file_has_now(
    serve: Serve, small_app: ASGIApp, write_web_config: Write
) -> None:
    path = write_web_config(basic_auth_users={"alice": hashed("old")})
    running = serve(small_app, web_config=LiveWebConfig(path))
    with httpx.Client(base_url=running.url, trust_env=False, timeout=10) as client:
        assert client.get("/", auth=("alice", "old")).status_code == 200
        write_web_config(basic_auth_users={"alice": hashed("new")})
        assert client.get("/", auth=("alice", "old")).status_code == 401
        assert client.get("/", auth=("alice", "new")).status_code == 200
        write_web_config(basic_auth_users={"bob": hashed("new")})
        assert client.get("/", auth=("alice", "new")).status_code == 401


class Secured:
    """A TLS server whose certificates change."""

    def __init__(self, serve: Serve, app: ASGIApp, folder: Path, authority: Authority) -> None:
        self.authority = authority
        self.certificate = folder / "tls.crt"
        self.key = folder / "tls.key"
        self.path = folder / "web.yml"
        self.loads: list[bool] = []
        self.install(authority.issue("first"))
        self.path.write_text("tls_server_config: {cert_file: tls.crt, key_file: tls.key}\n")
        self.web_config = LiveWebConfig(self.path, on_load=self.loads.append)
        self.running = serve(app, web_config=self.web_config)

    def install(self, made: Certificate) -> None:
        """Put a certificate and its key in place."""
        self.certificate.write_bytes(made.certificate.read_bytes())
        self.key.write_bytes(made.key.read_bytes())

    def shown(self) -> str:
        """The certificate that a new connection is shown, in PEM."""
        return ssl.get_server_certificate(("127.0.0.1", self.running.port), timeout=10).strip()


def first_of(certificate: Path) -> str:
    end = "-----END CERTIFICATE-----"
    return certificate.read_text().partition(end)[0] + end


@pytest.fixture
def secured(serve: Serve, small_app: ASGIApp, tmp_path: Path, authority: Authority) -> Secured:
    return Secured(serve, small_app, tmp_path, authority)


def test_a_rotated_certificate_is_shown_to_the_next_connection(secured: Secured) -> None:
    client = httpx.Client(verify=secured.authority.client(), trust_env=False)
    with client:
        assert client.get(secured.running.url).status_code == 200
        assert secured.shown() == first_of(secured.certificate)
        renewed = secured.authority.issue("second")
        secured.install(renewed)
        assert secured.shown() == first_of(renewed.certificate)
        assert client.get(secured.running.url).status_code == 200  # on the connection from before
    assert secured.loads == [True]


def test_between_the_certificate_and_its_key_the_old_ones_hold(secured: Secured) -> None:
    old, renewed = secured.shown(), secured.authority.issue("second")
    secured.certificate.write_bytes(renewed.certificate.read_bytes())
    assert secured.shown() == old
    secured.key.write_bytes(renewed.key.read_bytes())
    assert secured.shown() == first_of(renewed.certificate)
    assert secured.loads == [False, True]


@pytest.mark.parametrize("broken", ["", "tls_server_config: [", "x: y", "{}", None])
def test_a_file_that_cannot_be_used_changes_nothing_and_is_told_once(
    secured: Secured, broken: str | None
) -> None:
    good, old = secured.path.read_text(), secured.shown()
    with capture_logs() as logs:
        if broken is None:
            secured.path.unlink()
        else:
            secured.path.write_text(broken)
        for _ in range(3):
            assert secured.shown() == old
        secured.path.write_text(good)
        assert secured.shown() == old
    assert secured.loads == [False, True]
    errors = [entry for entry in logs if entry["log_level"] == "error"]
    assert [entry["event"] for entry in errors] == [
        "web configuration not reloaded, the previous one stays in use"
    ]
    assert errors[0]["error"].startswith(f"{secured.path}")


def test_tls_is_never_switched_off_by_a_file(secured: Secured) -> None:
    secured.path.write_text("{}")
    with capture_logs() as logs:
        secured.shown()
    assert "TLS can be switched off by a restart only" in logs[0]["error"]


def test_tls_is_not_switched_on_by_a_file(
    serve: Serve, small_app: ASGIApp, write_web_config: Write, authority: Authority
) -> None:
    path = write_web_config("{}")
    running = serve(small_app, web_config=LiveWebConfig(path))
    made = authority.issue("server")
    write_web_config(
        tls_server_config={"cert_file": str(made.certificate), "key_file": str(made.key)}
    )
    assert get(f"{running.url}/-/healthy").status_code == 200


def test_an_authority_that_is_taken_away_lets_nobody_in_any_more(
    secured: Secured, tmp_path: Path
) -> None:
    old, new = (Authority(tmp_path / name, name) for name in ("old", "new"))
    bundle = tmp_path / "clients.pem"
    bundle.write_text(old.file.read_text() + new.file.read_text())
    secured.path.write_text(
        "tls_server_config: {cert_file: tls.crt, key_file: tls.key, client_ca_file: clients.pem,"
        " client_auth_type: RequireAndVerifyClientCert}\n"
    )
    clients = []
    for authority in (old, new):
        made = authority.issue("client")
        clients.append(secured.authority.client(made))
    for client in clients:
        assert get_with_certificates(secured.running.url, client).status_code == 200
    bundle.write_text(new.file.read_text())
    with pytest.raises(httpx.TransportError):
        get_with_certificates(secured.running.url, clients[0])
    assert get_with_certificates(secured.running.url, clients[1]).status_code == 200


def test_kubernetes_swaps_a_whole_folder_by_a_link(
    serve: Serve, small_app: ASGIApp, tmp_path: Path, authority: Authority
) -> None:
    mount = tmp_path / "mount"
    mount.mkdir()

    def publish(version: str) -> str:
        folder = mount / version
        folder.mkdir()
        made = authority.issue(version)
        (folder / "tls.crt").write_bytes(made.certificate.read_bytes())
        (folder / "tls.key").write_bytes(made.key.read_bytes())
        (mount / "next").symlink_to(version)
        os.replace(mount / "next", mount / "..data")  # noqa: PTH105 - of a link itself
        return first_of(made.certificate)

    first = publish("v1")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(f"..data/{name}")
    path = tmp_path / "web.yml"
    path.write_text("tls_server_config: {cert_file: mount/tls.crt, key_file: mount/tls.key}\n")
    running = serve(small_app, web_config=LiveWebConfig(path))
    address = ("127.0.0.1", running.port)
    assert ssl.get_server_certificate(address).strip() == first
    second = publish("v2")
    assert ssl.get_server_certificate(address).strip() == second


def test_a_file_that_becomes_a_pipe_delays_no_request(
    serve: Serve, small_app: ASGIApp, write_web_config: Write
) -> None:
    path = write_web_config(basic_auth_users={"alice": hashed("secret")})
    running = serve(small_app, web_config=LiveWebConfig(path))
    path.unlink()
    os.mkfifo(path)
    with capture_logs() as logs:
        for _ in range(2):
            assert get(running.url, auth=("alice", "secret")).status_code == 200
    (line,) = logs
    assert "it is not a regular file" in line["error"]
    path.unlink()
    write_web_config(basic_auth_users={"alice": hashed("other")})
    assert get(running.url, auth=("alice", "other")).status_code == 200


def test_certificates_beyond_a_linked_folder_are_watched(
    tmp_path: Path, serve: Serve, small_app: ASGIApp, authority: Authority
) -> None:
    """``..`` after a symbolic link is the parent of the folder that it leads to."""
    home = tmp_path / "home"
    (home / "web").mkdir(parents=True)
    (tmp_path / "link").symlink_to(home / "web")
    first, second = authority.issue("first"), authority.issue("second")

    def publish(certificate: Certificate) -> str:
        (home / "tls.key").write_bytes(certificate.key.read_bytes())
        (home / "tls.crt").write_bytes(certificate.certificate.read_bytes())
        return certificate.certificate.read_text().strip()

    publish(first)
    path = tmp_path / "link" / "web.yml"
    path.write_text("tls_server_config: {cert_file: ../tls.crt, key_file: ../tls.key}\n")
    running = serve(small_app, web_config=LiveWebConfig(path))
    shown = publish(second)
    assert ssl.get_server_certificate(("127.0.0.1", running.port)).strip() == shown


def test_a_file_that_is_wrong_at_the_start_is_an_error(write_web_config: Write) -> None:
    path = write_web_config("tls_server_config: {cert_file: tls.crt}")
    with pytest.raises(ConfigurationError) as caught:
        LiveWebConfig(path)
    assert str(caught.value).splitlines() == [
        f"{path}:1:20: error: TLS needs `key_file` (or `key`, in the file itself)",
        f"{path}:1:32: error: `cert_file` {path.parent}/tls.crt cannot be read:"
        " No such file or directory",
    ]
