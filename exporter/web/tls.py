"""An OpenSSL context from a ``tls_server_config``."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn

from exporter.web.sections import CIPHER_SUITES, CURVES, VERSIONS, TlsSection

Part = Literal["cert", "key", "client_ca", "curve_preferences"]


class TlsError(Exception):
    """The context cannot be made; the message continues a sentence that begins with ``part``."""

    def __init__(self, part: Part, message: str) -> None:
        super().__init__(message)
        self.part: Part = part


def make_context(section: TlsSection) -> ssl.SSLContext:
    """Return a server's context; raises TlsError.

    ``cert``, ``key`` and ``client_ca`` contain PEM; the files of ``…_file`` are not read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, section.cert or "", section.key or "")
    _set_versions_and_suites(context, section)
    _set_curves(context, section.curve_preferences)
    if section.client_auth_type != "NoClientCert":
        _ask_for_certificate(context, section)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str) -> None:
    if "-----BEGIN CERTIFICATE-----" not in certificate:
        raise TlsError("cert", "contains no certificate in PEM (-----BEGIN CERTIFICATE-----)")
    if "PRIVATE KEY-----" not in key:
        raise TlsError("key", "contains no private key in PEM (-----BEGIN PRIVATE KEY-----)")

    def refuse_password() -> NoReturn:
        raise TlsError("key", "is encrypted, and the exporter has no password: decrypt it")

    # Python only reads files. These are in memory, because the file system may be read-only.
    with _in_memory(certificate) as certificate_file, _in_memory(key) as key_file:
        try:
            context.load_cert_chain(certificate_file, key_file, password=refuse_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise TlsError("key", "is not the key of the certificate") from None
            reason = (error.reason or "no valid PEM").lower().replace("_", " ")
            part: Part = "cert" if error.reason or not _is_certificate(certificate) else "key"
            raise TlsError(part, f"cannot be used: {reason}") from None


def _is_certificate(pem: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True


@contextlib.contextmanager
def _in_memory(pem: str) -> Iterator[str]:
    descriptor = os.memfd_create("pem")
    try:
        with open(descriptor, "w", encoding="ascii", errors="replace", closefd=False) as file:
            file.write(pem)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _set_versions_and_suites(context: ssl.SSLContext, section: TlsSection) -> None:
    names = [CIPHER_SUITES[name] for name in section.cipher_suites if name in CIPHER_SUITES]
    if names:
        context.set_ciphers(":".join(names))
    context.minimum_version = VERSIONS[section.min_version]
    context.maximum_version = VERSIONS[section.max_version]
    if section.cipher_suites and not names:
        # Suites of TLS 1.3 only: TLS 1.2 has none.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    if section.prefer_server_cipher_suites:
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


def _ask_for_certificate(context: ssl.SSLContext, section: TlsSection) -> None:
    required = section.client_auth_type == "RequireAndVerifyClientCert"
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    # As in Go, an authority in the file is trusted even if it is not a root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if section.client_ca is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    else:
        try:
            context.load_verify_locations(cadata=section.client_ca)
        except (ssl.SSLError, ValueError):
            raise TlsError(
                "client_ca", "contains no certificate in PEM (-----BEGIN CERTIFICATE-----)"
            ) from None
    if section.client_allowed_sans is not None:
        context.sslobject_class = _checked_object(frozenset(section.client_allowed_sans))


def _checked_object(allowed: frozenset[str]) -> type[ssl.SSLObject]:
    """Return a class that refuses other names in the handshake, as the toolkit does."""

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
    """Return the DNS names, addresses, e-mail addresses and URIs of ``getpeercert``'s result."""
    names = set()
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            names.add(value)
        elif kind == "IP Address":
            names.add(str(ipaddress.ip_address(value.strip())))
    return names
