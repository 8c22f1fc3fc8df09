"""What a web configuration protects, and what another one would no longer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from exporter.web.config import Loaded
from exporter.web.tls import VERSIONS, TlsConfig

_CLIENT_AUTH: Final = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
"""From the weakest to the strictest."""


def refusals(old: Loaded, new: Loaded) -> Iterator[str]:
    """Yield why ``new`` must not take the place of ``old`` while the server runs, if so.

    A file can lose a section by accident: a template that rendered nothing, a half that was
    written, a Secret that is gone. So a reload changes users, certificates and authorities, and
    may ask for more, but never takes authentication or TLS away.
    """
    if (old.tls is None) != (new.tls is None):
        yield f"TLS is switched {'on' if new.tls else 'off'} by a restart only"
    if old.config.users and not new.config.users:
        yield _taken("`basic_auth_users` has no users any more")
    if old.tls and new.tls:
        yield from _weaker(old.tls, new.tls)


def _weaker(old: TlsConfig, new: TlsConfig) -> Iterator[str]:
    if _CLIENT_AUTH.index(new.client_auth) < _CLIENT_AUTH.index(old.client_auth):
        yield _taken(f"`client_auth_type` falls from {old.client_auth} to {new.client_auth}")
    elif old.client_ca is not None and new.client_ca is None:
        yield _taken("without `client_ca_file` any authority of the system would do")
    if old.client_allowed_sans is not None and new.client_allowed_sans is None:
        yield _taken("`client_allowed_sans` is gone, so any verified client could come in")
    if VERSIONS[new.min_version] < VERSIONS[old.min_version]:
        yield _taken(f"`min_version` falls from {old.min_version} to {new.min_version}")
    if old.cipher_suites and not new.cipher_suites:
        yield _taken("`cipher_suites` is gone, so every suite could be used")


def _taken(what: str) -> str:
    return f"{what}: a reload takes no protection away; restart the exporter if that is meant"
