"""Web configuration files (``--web.config.file``)."""

from __future__ import annotations

import re

import trustme

from exporter.web.config import load_web_config
from fuzz.folders import own_folder

_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_FOLDER = own_folder("web")
_BCRYPT = re.compile(rb"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}")


def _write_certificates() -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(_FOLDER / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(_FOLDER / "server.pem"))


_write_certificates()


def check(data: bytes) -> None:
    """Any file results in problems at existing positions, or in values that HTTP and TLS accept."""
    path = _FOLDER / "web.yaml"
    path.write_bytes(data)
    attempt = load_web_config(path)
    assert (attempt.loaded is None) == bool(attempt.errors)
    for problem in attempt.problems:
        assert problem.message
        assert problem.render()
        assert problem.location.source_line is None, "the lines contain secrets"
        if problem.location.line is not None and problem.location.column is not None:
            lines = _LINE_BREAK.split(data.decode("utf-8-sig"))
            assert 1 <= problem.location.line <= len(lines), problem
            assert 1 <= problem.location.column <= len(lines[problem.location.line - 1]) + 1, (
                problem
            )
    if attempt.loaded is None:
        return
    config = attempt.loaded
    for name, value in config.headers.items():
        assert f"{name}{value}".isascii()
        assert f"{name}{value}".isprintable()
    for user, password in config.users.items():
        assert b":" not in user
        assert _BCRYPT.fullmatch(password)
    limit = config.rate_limit
    assert limit is None or (limit.interval > 0 and limit.burst >= 1)
