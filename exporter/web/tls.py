"""TLS as the web configuration asks for it, as a context of OpenSSL."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

ClientAuth = Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"]
Part = Literal["cert", "key", "client_ca", "curve_preferences"]

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


class TlsError(Exception):
    """No context can be made; the message continues a sentence that begins with ``part``."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part: Part = part


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """A checked ``tls_server_config``, its files read."""

    certificate: bytes
    """PEM: the server's certificate, then those of authorities up to the client's."""
    key: bytes
    """PEM, not encrypted."""
    client_ca: bytes | None = None
    """PEM; None: the system's authorities."""
    client_auth: ClientAuth = "NoClientCert"
    client_allowed_sans: frozenset[str] | None = None
    """None: every verified client may come in."""
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: Sequence[str] = ()
    """Go's names; empty: OpenSSL's choice of those with forward secrecy."""
    prefer_server_cipher_suites: bool = True
    curves: Sequence[str] = ()


def make_context(config: TlsConfig) -> ssl.SSLContext:
    """Return a server's context; raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, config)
    _set_versions_and_suites(context, config)
    _set_curves(context, config.curves)
    if config.client_auth != "NoClientCert":
        _ask_for_certificate(context, config)
    return context


def _load_certificate(context: ssl.SSLContext, config: TlsConfig) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in config.certificate:
        raise TlsError("cert", "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    if b"PRIVATE KEY-----" not in config.key:
        raise TlsError("key", "holds no private key in PEM (-----BEGIN PRIVATE KEY-----)")

    def refuse_password() -> NoReturn:
        raise TlsError("key", "is encrypted, and nobody is here to type a password: decrypt it")

    # Python takes files only; these exist in memory, so a read-only file system will do.
    with _in_memory(config.certificate) as certificate, _in_memory(config.key) as key:
        try:
            context.load_cert_chain(certificate, key, password=refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise TlsError("key", "is not the key of the certificate") from None
            reason = (error.reason or "no valid PEM").lower().replace("_", " ")
            part: Part = "cert" if _is_about_certificate(config, error) else "key"
            raise TlsError(part, f"cannot be used: {reason}") from None


def _is_about_certificate(config: TlsConfig, error: ssl.SSLError) -> bool:
    if error.reason is not None:
        return True
    try:
        probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        probe.load_verify_locations(cadata=config.certificate.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError):
        return True
    return False


@contextlib.contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("pem")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _set_versions_and_suites(context: ssl.SSLContext, config: TlsConfig) -> None:
    names = [CIPHER_SUITES[name] for name in config.cipher_suites if name in CIPHER_SUITES]
    if names:
        context.set_ciphers(":".join(names))
    context.minimum_version = VERSIONS[config.min_version]
    context.maximum_version = VERSIONS[config.max_version]
    if config.cipher_suites and not names:
        # Suites of TLS 1.3 alone leave none for TLS 1.2.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if config.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _set_curves(context: ssl.SSLContext, curves: Sequence[str]) -> None:
    if not curves:
        return
    if len(curves) == 1:
        context.set_ecdh_curve(CURVES[curves[0]])
        return
    set_groups = getattr(context, "set_groups", None)
    if set_groups is None:  # before Python 3.15
        raise TlsError(
            "curve_preferences",
            "must name one curve: this Python can offer one or, without curve_preferences, all",
        )
    set_groups(":".join(CURVES[curve] for curve in curves))


def _ask_for_certificate(context: ssl.SSLContext, config: TlsConfig) -> None:
    required = config.client_auth == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    # As in Go, an authority in the file is trusted though it is not a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if config.client_ca is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    else:
        try:
            context.load_verify_locations(cadata=config.client_ca.decode("ascii", "replace"))
        except (ssl.SSLError, ValueError):
            raise TlsError(
                "client_ca", "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
            ) from None
    if config.client_allowed_sans is not None:
        context.sslobject_class = _checked_object(config.client_allowed_sans)


def _checked_object(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    """Refuse within the handshake, as the toolkit does: such a client sends no request."""

    class Checked(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            if allowed.isdisjoint(alternative_names(self.getpeercert() or {})):
                refusal = ssl.SSLCertVerificationError(1, "client_allowed_sans")
                refusal.verify_message = (
                    "the client's certificate has no name of client_allowed_sans"
                )
                raise refusal

    return Checked


def alternative_names(certificate: Mapping[str, Any]) -> set[str]:
    """DNS names, addresses, e-mail addresses and URIs of what ``getpeercert`` returned."""
    names = set()
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            names.add(value)
        elif kind == "IP Address":
            names.add(str(ipaddress.ip_address(value.strip())))
    return names
