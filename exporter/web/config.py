"""A web configuration file (``--web.config.file``): TLS, headers, users, rate limit.

Each problem has its place; the lines themselves are never shown, for they hold secrets.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
from exporter.web.tls import VERSIONS, Part, TlsConfig, TlsError, make_context
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.problems import Findings, Location, Problem
from exporter.yamlfile.validation import Fields, fill, reject_unknown

_LARGEST_FILE = 1 << 20
_SLOW_COST = 14
"""bcrypt's: some seconds a check."""
_ADVICE = "add client_auth_type: RequireAndVerifyClientCert"

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A token bucket over all requests."""

    interval: float
    """Seconds in which one more request is allowed."""
    burst: int
    """Requests that are allowed at once."""


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What a file says, but for TLS."""

    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[bytes, bytes] = field(default_factory=dict)
    """Bcrypt hashes by name; empty: everybody may come in."""
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A file that can be used."""

    config: WebConfig
    tls: TlsConfig | None
    """None: plain HTTP."""
    context: ssl.SSLContext | None
    """Made of ``tls``."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to load a file."""

    loaded: Loaded | None
    """None: ``problems`` say why."""
    problems: tuple[Problem, ...]
    files: Mapping[Path, bytes | None]
    """Every file that was read, as it was; None: it could not be read."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why it cannot be used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def read_file(path: Path) -> bytes | None:
    """A file's bytes, or None where it cannot be read; a huge one is cut."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except (OSError, ValueError):  # ValueError: the path holds a NUL, which YAML can write
        return None


def load_web_config(path: Path) -> Attempt:
    """Read a file and the certificates that it names."""
    return _Loader(path).load()


class _Loader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._findings = Findings()
        self._files: dict[Path, bytes | None] = {path: read_file(path)}

    def load(self) -> Attempt:
        item = read_document(self._path, self._findings)
        loaded = None
        if item is not None and not isinstance(item.data, dict):
            self._findings.error(item.location, f"the file must hold {', '.join(SECTIONS)}")
        elif item is not None:
            loaded = self._sections(item)
        problems = tuple(
            replace(problem, location=replace(problem.location, source_line=None))
            for problem in self._findings.problems
        )
        return Attempt(None if self._findings.errors else loaded, problems, self._files)

    def _sections(self, item: Item) -> Loaded:
        reject_unknown(item, SECTIONS, self._findings, hints={})
        tls = self._tls(item)
        context = None if tls is None else self._context(*tls)
        config = WebConfig(self._headers(item), self._users(item), self._rate_limit(item))
        return Loaded(config, tls and tls[1], context)

    def _section(self, item: Item, name: str, kind: type[Section]) -> tuple[Fields, Section] | None:
        """Fill a section's model; None where there is no section, or where it is wrong."""
        mapping = self._mapping(item, name)
        if not mapping:
            return None
        # As in Go, a key without a value, or with an empty one, is not given.
        values = {key: value for key, value in mapping.items() if value not in (None, "")}
        fields = Fields(item.child(name), values, {})
        filled = fill(kind, fields, self._findings, stand_ins={})
        if filled is None or filled.rejected:
            return None
        return fields, filled.model

    def _mapping(self, item: Item, name: str) -> dict[str, Value]:
        data = cast("dict[str, Value]", item.data).get(name)
        if data is None or data == "":
            return {}
        if not isinstance(data, dict):
            self._findings.error(item.value_of(name), f"`{name}` must be a mapping")
            return {}
        return data

    def _tls(self, item: Item) -> tuple[Fields, TlsConfig] | None:
        found = self._section(item, "tls_server_config", TlsSection)
        if found is None:
            return None
        fields, section = found
        before = len(self._findings.errors)
        self._check_tls(fields, section)
        certificate = self._pem(fields, "cert", section.cert, section.cert_file)
        key = self._pem(fields, "key", section.key, section.key_file)
        client_ca = self._pem(fields, "client_ca", section.client_ca, section.client_ca_file)
        if certificate is None or key is None or len(self._findings.errors) > before:
            return None
        sans = section.client_allowed_sans
        return fields, TlsConfig(
            certificate=certificate,
            key=key,
            client_ca=client_ca,
            client_auth=section.client_auth_type,
            client_allowed_sans=None if sans is None else frozenset(sans),
            min_version=section.min_version,
            max_version=section.max_version,
            cipher_suites=section.cipher_suites,
            prefer_server_cipher_suites=section.prefer_server_cipher_suites,
            curves=section.curve_preferences,
        )

    def _context(self, fields: Fields, config: TlsConfig) -> ssl.SSLContext | None:
        try:
            return make_context(config)
        except TlsError as error:
            name = _spelling(fields, error.part)
            self._findings.error(fields.value_of(name), f"`{name}` {error}")
            return None

    def _check_tls(self, fields: Fields, section: TlsSection) -> None:
        auth, sans = section.client_auth_type, section.client_allowed_sans
        for part in ("cert", "key"):
            if not {part, f"{part}_file"} & fields.values.keys():
                self._findings.error(
                    fields.item.location,
                    f"TLS needs `{part}_file` (or `{part}`, in the file itself)",
                )
        has_ca = {"client_ca", "client_ca_file"} & fields.values.keys()
        if has_ca and auth == "NoClientCert":
            self._findings.error(
                fields.key_of(_spelling(fields, "client_ca")),
                f"no client is asked for a certificate: {_ADVICE}",
            )
        if not has_ca and auth != "NoClientCert":
            self._findings.warning(
                fields.value_of("client_auth_type"),
                "without `client_ca_file` a certificate of any of the system's authorities will do",
            )
        if sans is not None and auth != "RequireAndVerifyClientCert":
            self._findings.error(
                fields.key_of("client_allowed_sans"),
                f"a name needs a verified certificate: {_ADVICE}",
            )
        if sans == ():
            self._findings.error(
                fields.value_of("client_allowed_sans"), "an empty list lets nobody in: leave it out"
            )
        if VERSIONS[section.min_version] > VERSIONS[section.max_version]:
            self._findings.error(
                fields.value_of("max_version"),
                f"max_version {section.max_version} is below min_version {section.min_version}",
            )

    def _pem(
        self, fields: Fields, part: Part, inline: str | None, file: str | None
    ) -> bytes | None:
        if inline is not None and file is not None:
            self._findings.error(fields.key_of(part), f"give `{part}` or `{part}_file`, not both")
            return None
        if inline is not None:
            return inline.encode()
        return None if file is None else self._read(fields.value_of(f"{part}_file"), part, file)

    def _read(self, location: Location, part: Part, file: str) -> bytes | None:
        path = self._path.parent / file
        data = self._files[path] = read_file(path)
        if data is None:
            self._findings.error(location, f"`{part}_file` {path} cannot be read: {_why_not(path)}")
        return data

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
            place = item.key_of("basic_auth_users", name)
            cost = bcrypt_cost(text) if isinstance(text, str) else None
            if cost is None:
                self._findings.error(
                    place,
                    f"the password of the user {name!r} must be a bcrypt hash"
                    " ($2y$10$ and 53 characters more), as htpasswd -nBC 10 makes it",
                )
                continue
            if ":" in name:
                self._findings.error(place, "a user's name must not hold a colon")
            if cost > _SLOW_COST:
                self._findings.warning(
                    place, f"bcrypt with a cost of {cost} takes seconds or more: make it with 10"
                )
            users[name.encode()] = str(text).encode()
        return users

    def _rate_limit(self, item: Item) -> RateLimit | None:
        found = self._section(item, "rate_limit", RateLimitSection)
        if found is None or found[1].interval == 0:
            return None
        fields, section = found
        if section.burst < 1:
            place = fields.value_of("burst") if "burst" in fields.values else fields.item.location
            self._findings.error(place, "`burst` must be at least 1: with 0 no request is answered")
        return RateLimit(section.interval, section.burst)


def _spelling(fields: Fields, part: str) -> str:
    """``cert_file`` or ``cert``: whichever the file has."""
    return f"{part}_file" if f"{part}_file" in fields.values else part


def _why_not(path: Path) -> str:
    try:
        path.open("rb").close()
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:
        return str(error)
    return "it changed just now"
