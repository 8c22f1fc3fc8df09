"""What may stand in a web configuration file, and what is said of what may not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from exporter.web.config import load_web_config
from exporter.web.sections import HEADERS, SECTIONS, RateLimitSection
from tests.support.certificates import Authority
from tests.support.tools import ROOT, PrometheusBinaries

Write = Callable[..., Path]

HASH = "$2y$10$" + "a" * 53
TLS = "tls_server_config: {cert_file: pki/server.pem, key_file: pki/server.key"

GOOD = {
    "nothing": "{}",
    "empty sections": "tls_server_config:\nbasic_auth_users:\nhttp_server_config:\n",
    "tls": TLS + "}",
    "tls with everything": TLS
    + """,
  client_ca_file: pki/ca.pem, client_auth_type: RequireAndVerifyClientCert,
  min_version: TLS12, max_version: TLS13, prefer_server_cipher_suites: false,
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256],
  curve_preferences: [CurveP256], client_allowed_sans: [prometheus.example]}""",
    "optional certificate": TLS
    + ", client_ca_file: pki/ca.pem, client_auth_type: VerifyClientCertIfGiven}",
    "the system's authorities": TLS + ", client_auth_type: RequireAndVerifyClientCert}",
    "no certificate of clients": TLS + ", client_auth_type: NoClientCert}",
    "values that are not given": TLS + ", client_ca_file: '', client_auth_type: }",
    "every header": """
http_server_config:
  http2: false
  headers:
    Content-Security-Policy: default-src 'none'
    Strict-Transport-Security: max-age=31536000
    X-Content-Type-Options: nosniff
    X-Frame-Options: deny
    X-XSS-Protection: ''
""",
    "users": f"basic_auth_users: {{alice: {HASH}, bob: '$2a$04${'b' * 53}', Zoë: '{HASH}'}}",
    "an anchor": f"basic_auth_users: {{alice: &it {HASH}, bob: *it}}",
}

BAD = {
    "no yaml": "tls_server_config: [",
    "a list": "[]",
    "an unknown section": "tls_config: {}",
    "an unknown key": TLS + ", certfile: x}",
    "a duplicate key": "http_server_config: {http2: true, http2: false}",
    "no key": "tls_server_config: {cert_file: pki/server.pem}",
    "no certificate": "tls_server_config: {key_file: pki/server.key}",
    "an empty certificate": "tls_server_config: {cert_file: '', key_file: pki/server.key}",
    "a missing file": "tls_server_config: {cert_file: nowhere.pem, key_file: pki/server.key}",
    "a path with a NUL": 'tls_server_config: {cert_file: "a\\0", key_file: pki/server.key}',
    "another's key": "tls_server_config: {cert_file: pki/server.pem, key_file: pki/other.key}",
    "no pem": "tls_server_config: {cert_file: web.yml, key_file: pki/server.key}",
    "a version of tomorrow": TLS + ", min_version: TLS14}",
    "an unknown cipher": TLS + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM]}",
    "a cipher without forward secrecy": TLS + ", cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]}",
    "an unknown curve": TLS + ", curve_preferences: [X448]}",
    "an unknown client auth": TLS + ", client_auth_type: Required}",
    "an authority nobody is asked for": TLS + ", client_ca_file: pki/ca.pem}",
    "a missing authority": TLS
    + ", client_ca_file: nowhere.pem, client_auth_type: VerifyClientCertIfGiven}",
    "a header of choice": "http_server_config: {headers: {Server: me}}",
    "a header in lower case": "http_server_config: {headers: {x-frame-options: deny}}",
    "a frame option": "http_server_config: {headers: {X-Frame-Options: allow}}",
    "a content type option": "http_server_config: {headers: {X-Content-Type-Options: 'yes'}}",
    "http2 of neither kind": "http_server_config: {http2: perhaps}",
    "a plain password": "basic_auth_users: {alice: secret}",
    "no password": "basic_auth_users: {alice: }",
    "a list of users": "basic_auth_users: [alice]",
    "a cut hash": f"basic_auth_users: {{alice: {HASH[:40]}}}",
    "a cost of 3": f"basic_auth_users: {{alice: '$2y$03${'a' * 53}'}}",
}

STRICTER = {
    "an empty file": ("", "the file is empty"),
    "tls without a certificate": (
        "tls_server_config: {min_version: TLS13}",
        "web.yml:1:20: error: TLS needs `cert_file` (or `cert`, in the file itself)",
    ),
    "a certificate twice": (TLS + ", cert: x}", "give `cert` or `cert_file`, not both"),
    "obsolete tls": (
        TLS + ", min_version: TLS10}",
        "`min_version` is wrong: TLS10 is broken and obsolete (RFC 8996)",
    ),
    "versions the wrong way round": (
        TLS + ", min_version: TLS13, max_version: TLS12}",
        "max_version TLS12 is below min_version TLS13",
    ),
    "an unverified certificate": (
        TLS + ", client_auth_type: RequestClientCert}",
        "`client_auth_type` is wrong: RequestClientCert requests a certificate without"
        " verifying it, which keeps no one out. It is not supported: write"
        " RequireAndVerifyClientCert",
    ),
    "any certificate": (TLS + ", client_auth_type: RequireAnyClientCert}", "without verifying it"),
    "an authority that is none": (
        TLS + ", client_ca_file: web.yml, client_auth_type: VerifyClientCertIfGiven}",
        "`client_ca_file` contains no certificate in PEM",
    ),
    "names of nobody": (
        TLS + ", client_auth_type: RequireAndVerifyClientCert, client_allowed_sans: []}",
        "an empty list lets no one in",
    ),
    "names without a certificate": (
        TLS + ", client_allowed_sans: [a.example]}",
        "add client_auth_type: RequireAndVerifyClientCert",
    ),
    "several curves": (
        TLS + ", curve_preferences: [X25519, CurveP256]}",
        "`curve_preferences` must name one curve: this Python",
    ),
    "a header of two lines": (
        'http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}',
        "X-XSS-Protection must be printable ASCII",
    ),
    "a hash that bcrypt has no name for": (
        f"basic_auth_users: {{alice: '$2k$10${'a' * 53}'}}",
        "must be a bcrypt hash",
    ),
    "a colon in a name": (f"basic_auth_users: {{'a:b': {HASH}}}", "must not contain a colon"),
}


@pytest.fixture(autouse=True)
def _certificates(authority: Authority) -> None:
    authority.issue("server")
    authority.issue("other")


def promtool_accepts(binaries: PrometheusBinaries, path: Path) -> bool:
    command = [str(binaries.promtool), "check", "web-config", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_promtool_accepts_is_accepted(
    write_web_config: Write, prometheus_binaries: PrometheusBinaries, text: str
) -> None:
    path = write_web_config(text)
    assert promtool_accepts(prometheus_binaries, path)
    assert load_web_config(path).errors == ()


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_promtool_refuses_is_refused(
    write_web_config: Write, prometheus_binaries: PrometheusBinaries, text: str
) -> None:
    path = write_web_config(text)
    assert not promtool_accepts(prometheus_binaries, path)
    assert load_web_config(path).errors


@pytest.mark.parametrize(("text", "message"), STRICTER.values(), ids=STRICTER)
def test_what_cannot_be_meant_or_done_is_refused_though_promtool_accepts_it(
    write_web_config: Write, prometheus_binaries: PrometheusBinaries, text: str, message: str
) -> None:
    path = write_web_config(text)
    assert promtool_accepts(prometheus_binaries, path)
    attempt = load_web_config(path)
    assert attempt.loaded is None
    assert message in "\n".join(problem.render() for problem in attempt.errors)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{interval: 500ms, burst: 20}", RateLimitSection(interval=0.5, burst=20)),
        ("{interval: 0, burst: 20}", None),
        ("", None),
    ],
)
def test_a_rate_limit_is_an_interval_and_a_burst(
    write_web_config: Write, text: str, expected: RateLimitSection | None
) -> None:
    loaded = load_web_config(write_web_config(f"rate_limit: {text}")).loaded
    assert loaded is not None
    assert loaded.rate_limit == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{interval: 1s}", "`burst` must be at least 1: with 0 no request is answered"),
        ("{interval: 10, burst: 1}", "'10' is not a duration; write 10s for seconds"),
        ("{interval: 1s, burst: many}", "`burst` must be a whole number"),
    ],
)
def test_a_rate_limit_that_would_refuse_everything_is_refused(
    write_web_config: Write, text: str, message: str
) -> None:
    attempt = load_web_config(write_web_config(f"rate_limit: {text}"))
    assert [message in problem.render() for problem in attempt.errors] == [True]


def test_all_problems_are_told_at_once_with_their_places(write_web_config: Write) -> None:
    path = write_web_config(
        "tls_server_config:\n  cert_file: nowhere.pem\n  key_file: pki/server.key\n"
        "  min_version: TLS9\nbasic_auth_users:\n  alice: secret\nrate_limits: {}\n"
    )
    places = [str(problem.location) for problem in load_web_config(path).errors]
    assert places == [f"{path}:7:1", f"{path}:4:16", f"{path}:6:3"]


def test_a_problem_never_shows_a_line_for_it_may_hold_secrets(write_web_config: Write) -> None:
    path = write_web_config("basic_auth_users: {alice: hunter2, bob: hunter3}\nx: {key: hunter4}\n")
    text = "\n".join(problem.render() for problem in load_web_config(path).problems)
    assert "alice" in text
    assert "hunter" not in text


def test_paths_are_relative_to_the_file_wherever_the_process_is(
    write_web_config: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_web_config(TLS + "}")
    monkeypatch.chdir("/")
    assert load_web_config(path).loaded is not None


def test_certificate_and_key_may_stand_in_the_file(
    write_web_config: Write, authority: Authority
) -> None:
    made = authority.issue("inline")
    path = write_web_config(
        tls_server_config={
            "cert": made.certificate.read_text(),
            "key": made.key.read_text(),
            "client_ca": authority.file.read_text(),
            "client_auth_type": "RequireAndVerifyClientCert",
        }
    )
    loaded = load_web_config(path).loaded
    assert loaded is not None
    assert loaded.context is not None


def test_an_encrypted_key_is_named_and_nothing_waits_for_a_password(
    write_web_config: Write, authority: Authority
) -> None:
    made = authority.issue("server")
    key = load_pem_private_key(made.key.read_bytes(), None)
    made.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    (problem,) = load_web_config(write_web_config(TLS + "}")).errors
    assert "`key_file` is encrypted, and the exporter has no password" in problem.message


def test_warnings_tell_what_works_but_is_unwise(write_web_config: Write) -> None:
    path = write_web_config(
        TLS + ", client_auth_type: RequireAndVerifyClientCert}\n"
        f"basic_auth_users: {{alice: '$2y$15${'a' * 53}'}}\n"
    )
    attempt = load_web_config(path)
    assert attempt.errors == ()
    assert ["any of the system's authorities" in p.message for p in attempt.problems] == [
        True,
        False,
    ]
    assert "a cost of 15 takes seconds" in attempt.problems[1].message


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    (problem,) = load_web_config(tmp_path / "nowhere.yml").errors
    assert problem.render() == f"{tmp_path}/nowhere.yml: error: there is no such file"


def test_a_pipe_is_refused_at_once(tmp_path: Path, write_web_config: Write) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (problem,) = load_web_config(pipe).errors
    assert problem.render() == (
        f"{pipe}: error: the file cannot be used: it is not a regular file, and every connection"
        " reads it again"
    )
    path = write_web_config(TLS.replace("pki/server.key", "pipe") + "}")
    (problem,) = load_web_config(path).errors
    assert f"`key_file` {pipe} cannot be read: it is not a regular file" in problem.message


def test_every_key_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "web-configuration.md").read_text()
    for name, section in SECTIONS.items():
        assert f"`{name}`" in text
        for key in section.model_fields if section else ():
            assert f"`{key}`" in text
    for header in HEADERS:
        assert f"`{header}`" in text
