"""The sections of a web configuration file, as they are written.

The format is the Prometheus exporter toolkit's: docs/web-configuration.md of
prometheus/exporter-toolkit.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from exporter.web.tls import CIPHER_SUITES, CURVES, TLS13_CIPHER_SUITES, VERSIONS, ClientAuth
from exporter.yamlfile.durations import parse_duration
from exporter.yamlfile.problems import did_you_mean

_CLIENT_AUTH_TYPES = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_OLD_VERSIONS = ("TLS10", "TLS11")

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
    if text not in _CLIENT_AUTH_TYPES:
        hint = did_you_mean(str(text), _CLIENT_AUTH_TYPES)
        raise ValueError(
            f"must be {', '.join(_CLIENT_AUTH_TYPES[:-1])} or {_CLIENT_AUTH_TYPES[-1]}{hint}"
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
