"""The sections of a web configuration file.

Prometheus: docs/web-configuration.md of prometheus/exporter-toolkit.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from exporter.yamlfile.durations import parse_duration
from exporter.yamlfile.problems import did_you_mean

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
CLIENT_AUTH_TYPES: tuple[ClientAuth, ...] = get_args(ClientAuth)
"""From the weakest to the strictest."""

VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}

CIPHER_SUITES: Mapping[str, str] = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
"""Go's ``tls.CipherSuites()`` for TLS 1.2, and their names in OpenSSL."""

TLS13_CIPHER_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
"""Go's names; with TLS 1.3 they are always enabled, as in Go."""

CURVES: Mapping[str, str] = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}

HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that the toolkit allows, and their values if it restricts them."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


def _one_of(known: Iterable[str], kind: str) -> AfterValidator:
    names = tuple(known)

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"{name!r} is not {kind}{did_you_mean(name, names)}")
        return name

    return AfterValidator(check)


def _refused(names: tuple[str, ...], why: str) -> BeforeValidator:
    """Refuse values that the toolkit accepts, with a reason."""

    def check(value: object) -> object:
        if value in names:
            raise ValueError(f"{value} {why}")
        return value

    return BeforeValidator(check)


def _interval(text: object) -> object:
    return parse_duration(text) if isinstance(text, str) else text


_ClientAuth = Annotated[
    ClientAuth,
    _refused(
        ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert"),
        "requests a certificate without verifying it, which keeps no one out. It is not"
        " supported: write RequireAndVerifyClientCert or VerifyClientCertIfGiven",
    ),
]
_Version = Annotated[
    Literal["TLS12", "TLS13"],
    _refused(
        ("TLS10", "TLS11"),
        "is broken and obsolete (RFC 8996) and is not supported: write TLS12 or TLS13",
    ),
]
_CipherSuite = Annotated[
    str, _one_of((*CIPHER_SUITES, *TLS13_CIPHER_SUITES), "one of Go's secure cipher suites")
]
_Curve = Annotated[str, _one_of(CURVES, f"one of {', '.join(CURVES)}")]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TlsSection(_Section):
    """``tls_server_config``."""

    cert: str | None = None
    key: str | None = None
    client_ca: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    client_auth_type: _ClientAuth = "NoClientCert"
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: tuple[_CipherSuite, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[_Curve, ...] = ()


class HttpSection(_Section):
    """``http_server_config``."""

    http2: bool = True
    """Has no effect, because this server only supports HTTP/1.1."""
    headers: dict[str, str | None] = Field(default_factory=dict)


class RateLimitSection(_Section):
    """``rate_limit``."""

    interval: Annotated[float, BeforeValidator(_interval)] = 0.0
    """Seconds; 0 for no limit."""
    burst: int = 0


SECTIONS: dict[str, type[BaseModel] | None] = {
    "tls_server_config": TlsSection,
    "http_server_config": HttpSection,
    "basic_auth_users": None,
    "rate_limit": RateLimitSection,
}


def header_problem(name: str, value: str | None) -> str | None:
    """Return why a header is invalid, or None; a header without a value is not sent."""
    if name not in HEADERS:
        hint = did_you_mean(name, HEADERS) or f"; these can: {', '.join(HEADERS)}"
        return f"the header {name} cannot be set{hint}"
    if not value:
        return None
    if HEADERS[name] and value not in HEADERS[name]:
        return f"{name} must be {' or '.join(HEADERS[name])}, not {value!r}"
    if not value.isascii() or not value.isprintable():
        return f"{name} must be printable ASCII, in one line"
    return None


def bcrypt_cost(text: str) -> int | None:
    """Return the cost of a bcrypt hash, or None if the text is not one."""
    match = _BCRYPT.fullmatch(text)
    return int(match[1]) if match else None
