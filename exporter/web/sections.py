"""The sections of a web configuration file.

Prometheus: docs/web-configuration.md of prometheus/exporter-toolkit.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from exporter.configuration.durations import parse_duration
from exporter.yamlfile.problems import did_you_mean

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
CLIENT_AUTH_TYPES: tuple[ClientAuth, ...] = get_args(ClientAuth)
"""From the weakest to the strictest."""
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_OLD_VERSIONS = ("TLS10", "TLS11")

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
"""Go's ``tls.CipherSuites()`` for TLS 1.2, and OpenSSL's names of the same."""

TLS13_CIPHER_SUITES = (
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
)
"""Go's names; always on with TLS 1.3, in Go as here."""

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
"""The headers that the toolkit lets a user set, and their values where it knows them."""

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")


def _client_auth(text: object) -> object:
    if text in _UNVERIFIED:
        raise ValueError(
            f"{text} asks for a certificate that nobody verifies, which keeps nobody out, and is"
            " not supported: write RequireAndVerifyClientCert or VerifyClientCertIfGiven"
        )
    if text not in CLIENT_AUTH_TYPES:
        hint = did_you_mean(str(text), CLIENT_AUTH_TYPES)
        raise ValueError(
            f"must be {', '.join(CLIENT_AUTH_TYPES[:-1])} or {CLIENT_AUTH_TYPES[-1]}{hint}"
        )
    return text


def _version(text: str) -> str:
    if text in _OLD_VERSIONS:
        raise ValueError(
            f"{text} is broken and obsolete (RFC 8996) and is not supported: write TLS12 or TLS13"
        )
    if text not in VERSIONS:
        raise ValueError(f"must be TLS12 or TLS13, not {text!r}")
    return text


def _cipher_suite(name: str) -> str:
    known = (*CIPHER_SUITES, *TLS13_CIPHER_SUITES)
    if name not in known:
        raise ValueError(
            f"{name!r} is none of Go's secure cipher suites{did_you_mean(name, known)}"
        )
    return name


def _curve(name: str) -> str:
    if name not in CURVES:
        raise ValueError(f"must be one of {', '.join(CURVES)}, not {name!r}")
    return name


def _interval(text: object) -> object:
    return parse_duration(text) if isinstance(text, str) else text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Version = Annotated[str, AfterValidator(_version)]


class TlsSection(_Section):
    """``tls_server_config``."""

    cert: str | None = None
    key: str | None = None
    client_ca: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_ca_file: str | None = None
    client_auth_type: Annotated[ClientAuth, BeforeValidator(_client_auth)] = "NoClientCert"
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: _Version = "TLS12"
    max_version: _Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_cipher_suite)], ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Annotated[str, AfterValidator(_curve)], ...] = ()


class HttpSection(_Section):
    """``http_server_config``."""

    http2: bool = True
    """Allows HTTP/2 and does not promise it: HTTP/1.1 is what is served."""
    headers: dict[str, str | None] = Field(default_factory=dict)


class RateLimitSection(_Section):
    """``rate_limit``."""

    interval: Annotated[float, BeforeValidator(_interval)] = 0.0
    """Seconds; 0: no limit."""
    burst: int = 0


SECTIONS: dict[str, type[BaseModel] | None] = {
    "tls_server_config": TlsSection,
    "http_server_config": HttpSection,
    "basic_auth_users": None,
    "rate_limit": RateLimitSection,
}


def header_problem(name: str, value: str | None) -> str | None:
    """What is wrong with a header that the file sets, if anything; without a value it sets none."""
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
    """The cost of a bcrypt hash; None where the text is none."""
    match = _BCRYPT.fullmatch(text)
    return int(match[1]) if match else None
