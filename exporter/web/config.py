"""A web configuration file (``--web.config.file``): TLS, headers, users, rate limit.

Problems have a location, but never show the file's lines, which contain secrets.
"""

from __future__ import annotations

import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

from pydantic import BaseModel

from exporter.web.sections import (
    SECTIONS,
    HttpSection,
    RateLimitSection,
    TlsSection,
    bcrypt_cost,
    header_problem,
)
from exporter.web.tls import Part, TlsError, make_context
from exporter.yamlfile.contents import read_contents
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.footprint import Footprint
from exporter.yamlfile.problems import Findings, Location, Problem, errors_in
from exporter.yamlfile.validation import Fields, fill, reject_unknown

_NOT_REGULAR = "it is not a regular file, and every connection reads it again"
_SLOW_COST = 14
"""bcrypt cost above which a check takes seconds."""
_ADVICE = "add client_auth_type: RequireAndVerifyClientCert"

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A valid file."""

    headers: Mapping[str, str]
    users: Mapping[bytes, bytes]
    """Bcrypt hashes by user name. If empty, requests are not authenticated."""
    rate_limit: RateLimitSection | None
    tls: TlsSection | None
    """With the contents of its files in ``cert``, ``key`` and ``client_ca``."""
    context: ssl.SSLContext | None
    """Made from ``tls``; None for plain HTTP."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to load a file."""

    loaded: WebConfig | None
    """None if there are errors."""
    problems: tuple[Problem, ...]
    footprint: Footprint
    """All files that were read."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that are errors."""
        return errors_in(self.problems)


def load_web_config(path: Path) -> Attempt:
    """Read a file and the certificates that it names."""
    return _WebConfigLoader(path).load()


class _WebConfigLoader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._findings = Findings()
        self._footprint = Footprint()

    def load(self) -> Attempt:
        self._footprint.add_files([self._path])
        item = loaded = None
        if _is_regular(self._path):
            item = read_document(self._path, self._findings)
        else:
            message = f"the file cannot be used: {_NOT_REGULAR}"
            self._findings.error(Location(str(self._path)), message)
        if item is not None and not isinstance(item.data, dict):
            message = f"the file must be a mapping with {', '.join(SECTIONS)}"
            self._findings.error(item.location, message)
        elif item is not None:
            reject_unknown(item, SECTIONS, self._findings)
            tls, context = self._tls(item)
            loaded = WebConfig(
                self._headers(item), self._users(item), self._rate_limit(item), tls, context
            )
        problems = tuple(
            replace(problem, location=replace(problem.location, source_line=None))
            for problem in self._findings.problems
        )
        return Attempt(None if self._findings.errors else loaded, problems, self._footprint)

    def _section(self, item: Item, name: str, kind: type[Section]) -> tuple[Fields, Section] | None:
        """Return a section's model, or None if the section is missing or invalid."""
        mapping = self._mapping(item, name)
        # As in Go, a key with no value or an empty one counts as missing.
        values = {key: value for key, value in mapping.items() if value not in (None, "")}
        fields = Fields(item.child(name), values)
        filled = fill(kind, fields, self._findings, stand_ins={}) if mapping else None
        return None if filled is None or filled.rejected else (fields, filled.model)

    def _mapping(self, item: Item, name: str) -> dict[str, Value]:
        data = item.mapping.get(name)
        if isinstance(data, dict):
            return data
        if data not in (None, ""):
            self._findings.error(item.value_of(name), f"`{name}` must be a mapping")
        return {}

    def _tls(self, item: Item) -> tuple[TlsSection | None, ssl.SSLContext | None]:
        found = self._section(item, "tls_server_config", TlsSection)
        if found is None:
            return None, None
        fields, section = found
        before = len(self._findings.errors)
        self._check_tls(fields, section)
        parts: tuple[Part, ...] = ("cert", "key", "client_ca")
        section = section.model_copy(update={part: self._pem(fields, part) for part in parts})
        if len(self._findings.errors) > before:
            return None, None
        try:
            return section, make_context(section)
        except TlsError as error:
            name = _key(fields, error.part)
            self._findings.error(fields.value_of(name), f"`{name}` {error}")
            return None, None

    def _check_tls(self, fields: Fields, section: TlsSection) -> None:
        error = self._findings.error
        auth, sans = section.client_auth_type, section.client_allowed_sans
        for part in ("cert", "key"):
            if _key(fields, part) not in fields.values:
                message = f"TLS needs `{part}_file` (or `{part}`, in the file itself)"
                error(fields.item.location, message)
        ca = _key(fields, "client_ca")
        if ca in fields.values and auth == "NoClientCert":
            error(fields.key_of(ca), f"clients are not asked for certificates: {_ADVICE}")
        if ca not in fields.values and auth != "NoClientCert":
            self._findings.warning(
                fields.value_of("client_auth_type"),
                "without `client_ca_file`, a certificate of any of the system's authorities is"
                " accepted",
            )
        if sans is not None and auth != "RequireAndVerifyClientCert":
            message = f"a name needs a verified certificate: {_ADVICE}"
            error(fields.key_of("client_allowed_sans"), message)
        if sans == ():
            message = "an empty list lets no one in: remove the key"
            error(fields.value_of("client_allowed_sans"), message)
        if section.min_version > section.max_version:
            message = f"max_version {section.max_version} is below min_version"
            error(fields.value_of("max_version"), f"{message} {section.min_version}")

    def _pem(self, fields: Fields, part: Part) -> str | None:
        inline, file = fields.values.get(part), fields.values.get(f"{part}_file")
        if file is None:
            return cast("str | None", inline)
        if inline is not None:
            self._findings.error(fields.key_of(part), f"give `{part}` or `{part}_file`, not both")
            return None
        path = self._path.parent / cast("str", file)
        self._footprint.add_files([path])
        try:
            if _is_regular(path):
                return read_contents(path).decode("ascii", "ignore")
            reason = _NOT_REGULAR
        except (OSError, ValueError) as error:  # ValueError: too large, or a NUL in the path
            reason = getattr(error, "strerror", None) or str(error)
        message = f"`{part}_file` {path} cannot be read: {reason}"
        self._findings.error(fields.value_of(f"{part}_file"), message)
        return None

    def _headers(self, item: Item) -> dict[str, str]:
        found = self._section(item, "http_server_config", HttpSection)
        if found is None:
            return {}
        fields, section = found
        for name, value in section.headers.items():
            if problem := header_problem(name, value):
                self._findings.error(fields.key_of("headers", name), problem)
        return {name: value for name, value in section.headers.items() if value}

    def _users(self, item: Item) -> dict[bytes, bytes]:
        users = {}
        for name, text in self._mapping(item, "basic_auth_users").items():
            location = item.key_of("basic_auth_users", name)
            cost = bcrypt_cost(text) if isinstance(text, str) else None
            if cost is None:
                self._findings.error(
                    location,
                    f"the password of the user {name!r} must be a bcrypt hash"
                    " ($2y$10$ and 53 more characters), such as htpasswd -nBC 10 prints",
                )
                continue
            if ":" in name:
                self._findings.error(location, "a user name must not contain a colon")
            if cost > _SLOW_COST:
                message = f"bcrypt with a cost of {cost} takes seconds per check: use 10"
                self._findings.warning(location, message)
            users[name.encode()] = str(text).encode()
        return users

    def _rate_limit(self, item: Item) -> RateLimitSection | None:
        found = self._section(item, "rate_limit", RateLimitSection)
        if found is None or found[1].interval == 0:
            return None
        fields, section = found
        if section.burst < 1:
            message = "`burst` must be at least 1: with 0 no request is answered"
            self._findings.error(fields.value_of("burst"), message)
        return section


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # reading it says why
        return True


def _key(fields: Fields, part: str) -> str:
    """Return ``cert_file`` or ``cert``, whichever the file has."""
    return f"{part}_file" if f"{part}_file" in fields.values else part
