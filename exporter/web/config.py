"""A web configuration file (``--web.config.file``): TLS, headers, users, rate limit.

Problems have their place in the file. Its lines are never shown, because they hold secrets.
"""

from __future__ import annotations

import ssl
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
from exporter.yamlfile.documents import Item, Value, read_document
from exporter.yamlfile.problems import Findings, Problem
from exporter.yamlfile.validation import Fields, fill, reject_unknown

_LARGEST_FILE = 1 << 20
_SLOW_COST = 14
"""bcrypt's: a check takes a second or more."""
_ADVICE = "add client_auth_type: RequireAndVerifyClientCert"

Section = TypeVar("Section", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class WebConfig:
    """A file that can be used."""

    headers: Mapping[str, str]
    users: Mapping[bytes, bytes]
    """Bcrypt hashes by name; empty: no authentication."""
    rate_limit: RateLimitSection | None
    tls: TlsSection | None
    """With its files in ``cert``, ``key`` and ``client_ca``; None: plain HTTP."""
    context: ssl.SSLContext | None
    """Made from ``tls``."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to load a file."""

    loaded: WebConfig | None
    """None: ``errors`` say why."""
    problems: tuple[Problem, ...]
    files: Mapping[Path, bytes | str]
    """Every file that was read (``read_file``)."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Why the file cannot be used."""
        return tuple(problem for problem in self.problems if problem.severity == "error")


def read_file(path: Path) -> bytes | str:
    """Return a file's bytes, at most 1 MiB, or the reason why it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_FILE)
    except OSError as error:
        return error.strerror or str(error)
    except ValueError as error:  # the path holds a NUL, which YAML can write
        return str(error)


def load_web_config(path: Path) -> Attempt:
    """Read a file and the certificates that it names."""
    return _Loader(path).load()


class _Loader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._findings = Findings()
        self._files: dict[Path, bytes | str] = {path: read_file(path)}

    def load(self) -> Attempt:
        item = read_document(self._path, self._findings)
        loaded = None
        if item is not None and not isinstance(item.data, dict):
            self._findings.error(item.location, f"the file must hold {', '.join(SECTIONS)}")
        elif item is not None:
            reject_unknown(item, SECTIONS, self._findings, hints={})
            tls, context = self._tls(item)
            loaded = WebConfig(
                self._headers(item), self._users(item), self._rate_limit(item), tls, context
            )
        problems = tuple(
            replace(problem, location=replace(problem.location, source_line=None))
            for problem in self._findings.problems
        )
        return Attempt(None if self._findings.errors else loaded, problems, self._files)

    def _section(self, item: Item, name: str, kind: type[Section]) -> tuple[Fields, Section] | None:
        """Fill a section's model; None if the section is missing or wrong."""
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
            name = _spelling(fields, error.part)
            self._findings.error(fields.value_of(name), f"`{name}` {error}")
            return None, None

    def _check_tls(self, fields: Fields, section: TlsSection) -> None:
        error = self._findings.error
        auth, sans = section.client_auth_type, section.client_allowed_sans
        for part in ("cert", "key"):
            if _spelling(fields, part) not in fields.values:
                message = f"TLS needs `{part}_file` (or `{part}`, in the file itself)"
                error(fields.item.location, message)
        ca = _spelling(fields, "client_ca")
        if ca in fields.values and auth == "NoClientCert":
            error(fields.key_of(ca), f"no client is asked for a certificate: {_ADVICE}")
        if ca not in fields.values and auth != "NoClientCert":
            self._findings.warning(
                fields.value_of("client_auth_type"),
                "without `client_ca_file`, a certificate of any of the system's authorities is"
                " accepted",
            )
        if sans is not None and auth != "RequireAndVerifyClientCert":
            place = fields.key_of("client_allowed_sans")
            error(place, f"a name needs a verified certificate: {_ADVICE}")
        if sans == ():
            place = fields.value_of("client_allowed_sans")
            error(place, "an empty list lets nobody in: remove the key")
        if section.min_version > section.max_version:
            error(
                fields.value_of("max_version"),
                f"max_version {section.max_version} is below min_version {section.min_version}",
            )

    def _pem(self, fields: Fields, part: Part) -> str | None:
        inline, file = fields.values.get(part), fields.values.get(f"{part}_file")
        if file is None:
            return cast("str | None", inline)
        if inline is not None:
            self._findings.error(fields.key_of(part), f"give `{part}` or `{part}_file`, not both")
            return None
        path = self._path.parent / cast("str", file)
        data = self._files[path] = read_file(path)
        if isinstance(data, str):
            place = fields.value_of(f"{part}_file")
            self._findings.error(place, f"`{part}_file` {path} cannot be read: {data}")
            return None
        return data.decode("ascii", "ignore")

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
                self._findings.error(place, "a user name must not contain a colon")
            if cost > _SLOW_COST:
                message = f"bcrypt with a cost of {cost} takes seconds per check: use 10"
                self._findings.warning(place, message)
            users[name.encode()] = str(text).encode()
        return users

    def _rate_limit(self, item: Item) -> RateLimitSection | None:
        found = self._section(item, "rate_limit", RateLimitSection)
        if found is None or found[1].interval == 0:
            return None
        fields, section = found
        if section.burst < 1:
            place = fields.value_of("burst") if "burst" in fields.values else fields.item.location
            self._findings.error(place, "`burst` must be at least 1: with 0 no request is answered")
        return section


def _spelling(fields: Fields, part: str) -> str:
    """``cert_file`` or ``cert``: whichever the file has."""
    return f"{part}_file" if f"{part}_file" in fields.values else part
