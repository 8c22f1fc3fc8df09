"""Changes of a web configuration that a reload refuses."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.web.config import WebConfig
from exporter.web.sections import CLIENT_AUTH_TYPES, TlsSection


def refusals(old: WebConfig, new: WebConfig) -> Iterator[str]:
    """Yield the reasons why ``new`` must not replace ``old`` while the server runs, if any.

    A file can lose a section by accident: an empty template, a half-written file, a deleted
    Secret. So a reload may change users, certificates and authorities or add requirements, but it
    never removes authentication or TLS.
    """
    if (old.tls is None) != (new.tls is None):
        yield f"TLS can be switched {'on' if new.tls else 'off'} by a restart only"
    if old.users and not new.users:
        yield _removed("`basic_auth_users` no longer has users")
    if old.tls and new.tls:
        yield from _weaker(old.tls, new.tls)


def _weaker(old: TlsSection, new: TlsSection) -> Iterator[str]:
    was, becomes = old.client_auth_type, new.client_auth_type
    if CLIENT_AUTH_TYPES.index(becomes) < CLIENT_AUTH_TYPES.index(was):
        yield _removed(f"`client_auth_type` falls from {was} to {becomes}")
    elif old.client_ca is not None and new.client_ca is None:
        yield _removed("without `client_ca_file` any authority of the system is accepted")
    if old.client_allowed_sans is not None and new.client_allowed_sans is None:
        yield _removed("`client_allowed_sans` is gone, so any verified client is accepted")
    if new.min_version < old.min_version:
        yield _removed(f"`min_version` falls from {old.min_version} to {new.min_version}")
    if old.cipher_suites and not new.cipher_suites:
        yield _removed("`cipher_suites` is gone, so every suite is accepted")


def _removed(change: str) -> str:
    return f"{change}: a reload removes no protection; restart the exporter if this is intended"
