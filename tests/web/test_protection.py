"""No change of the file takes authentication or TLS away from a server that runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from exporter.web import LiveWebConfig
from tests.support.certificates import Authority

Write = Callable[..., Path]

HASH = "$2y$10$" + "a" * 53
NONE = "-"
"""Stands for a key that is taken away."""


def strict(authority: Authority) -> dict[str, Any]:
    """A configuration that asks for all that can be asked for."""
    made = authority.issue("server")
    return {
        "tls_server_config": {
            "cert_file": str(made.certificate),
            "key_file": str(made.key),
            "client_ca_file": str(authority.file),
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_allowed_sans": ["prometheus.example", "backup.example"],
            "min_version": "TLS13",
            "cipher_suites": ["TLS_AES_128_GCM_SHA256"],
        },
        "basic_auth_users": {"alice": HASH, "bob": HASH},
    }


def changed(sections: dict[str, Any], **tls: Any) -> str:
    """The configuration as text, with other values in ``tls_server_config``."""
    values = {**sections["tls_server_config"], **tls}
    kept = {key: value for key, value in values.items() if value != NONE}
    return yaml.safe_dump({**sections, "tls_server_config": kept})


WEAKER = {
    "TLS can be switched off by a restart only": "no tls",
    "`basic_auth_users` no longer has users": "no users",
    "falls from RequireAndVerifyClientCert to VerifyClientCertIfGiven": {
        "client_auth_type": "VerifyClientCertIfGiven",
        "client_allowed_sans": NONE,
    },
    "falls from RequireAndVerifyClientCert to NoClientCert": {
        "client_auth_type": NONE,
        "client_ca_file": NONE,
        "client_allowed_sans": NONE,
    },
    "without `client_ca_file` any authority": {"client_ca_file": NONE},
    "`client_allowed_sans` is gone": {"client_allowed_sans": NONE},
    "`min_version` falls from TLS13 to TLS12": {"min_version": NONE},
    "`cipher_suites` is gone": {"cipher_suites": NONE},
}


@pytest.mark.parametrize(("message", "change"), WEAKER.items(), ids=WEAKER)
def test_what_would_protect_less_is_refused_with_the_reason(
    write_web_config: Write, authority: Authority, message: str, change: Any
) -> None:
    sections = strict(authority)
    path = write_web_config(**sections)
    loads: list[bool] = []
    live = LiveWebConfig(path, on_load=loads.append)
    before = live.current()
    if isinstance(change, dict):
        path.write_text(changed(sections, **change))
    else:
        del sections["basic_auth_users" if change == "no users" else "tls_server_config"]
        path.write_text(yaml.safe_dump(sections))
    with capture_logs() as logs:
        assert live.current() is before
        assert live.current() is before
    assert loads == [False]
    (entry,) = logs
    assert entry["event"] == "web configuration not reloaded, the previous one stays in use"
    assert entry["error"].startswith(f"{path}: error: ")
    assert message in entry["error"]
    assert "restart" in entry["error"]


@pytest.mark.parametrize("order", [1, -1], ids=["tls first", "users first"])
def test_a_file_cut_at_any_line_keeps_every_protection(
    write_web_config: Write, authority: Authority, order: int
) -> None:
    sections = dict(list(strict(authority).items())[::order])
    text = yaml.safe_dump(sections, sort_keys=False)
    live = LiveWebConfig(write_web_config(text))
    for cut in range(len(lines := text.splitlines(keepends=True))):
        path = write_web_config("".join(lines[:cut]))
        loaded = live.current()
        assert loaded.context is not None
        assert loaded.tls is not None
        assert loaded.tls.client_auth_type == "RequireAndVerifyClientCert"
        assert loaded.tls.client_ca is not None
        assert loaded.tls.client_allowed_sans
        assert loaded.tls.min_version == "TLS13"
        assert loaded.users
        path.write_text(text)
        assert set(live.current().users) == {b"alice", b"bob"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"client_allowed_sans": ["another.example"]},
        {"cipher_suites": ["TLS_AES_256_GCM_SHA384"]},
    ],
)
def test_other_users_names_and_suites_hold_at_once(
    write_web_config: Write, authority: Authority, change: dict[str, Any]
) -> None:
    sections = strict(authority)
    path = write_web_config(**sections)
    loads: list[bool] = []
    live = LiveWebConfig(path, on_load=loads.append)
    sections["basic_auth_users"] = {"carol": HASH}
    path.write_text(changed(sections, **change))
    assert set(live.current().users) == {b"carol"}
    assert loads == [True]


def test_what_a_reload_added_is_kept_by_the_next(write_web_config: Write) -> None:
    path = write_web_config("{}")
    live = LiveWebConfig(path)
    write_web_config(basic_auth_users={"alice": HASH})
    assert live.current().users
    for text in ("{}", "basic_auth_users: {}", "basic_auth_users:", ""):
        path.write_text(text)
        assert set(live.current().users) == {b"alice"}
    path.unlink()
    assert set(live.current().users) == {b"alice"}
