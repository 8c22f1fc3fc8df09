"""Certificates for tests: authorities, servers and clients, made on the spot."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificate:
    """Where a certificate (with its chain) and its key are."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ca = trustme.CA(organization_name=name)
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, name: str, *identities: str) -> Certificate:
        """Write ``<name>.pem`` and ``<name>.key`` for identities (DNS, IP, e-mail)."""
        made = self._ca.issue_cert(*identities or ("127.0.0.1", "localhost"))
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return Certificate(certificate, key)

    def client(self, certificate: Certificate | None = None) -> ssl.SSLContext:
        """A client that trusts this authority and shows a certificate, if it has one."""
        context = ssl.create_default_context(cafile=str(self.file))
        if certificate is not None:
            context.load_cert_chain(certificate.certificate, certificate.key)
        return context
