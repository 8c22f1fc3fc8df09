"""A large ledger of the version before is migrated while the process answers that it is alive."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import httpx
import yaml

from tests.support.http import PLAIN_HTTP
from tests.support.processes import Exporter

DUMP = Path(__file__).parents[1] / "ledger" / "v1.sql"
SERIES = 30_000


def test_the_process_answers_while_a_large_ledger_is_migrated(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with closing(sqlite3.connect(data / "ledger.sqlite3", isolation_level=None)) as connection:
        connection.executescript(DUMP.read_text())
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO series (metric, labels, total, created) VALUES ('f_total', ?, 1.0, 0)",
            ((json.dumps([["user", f"user-{n}"]], separators=(",", ":")),) for n in range(SERIES)),
        )
        connection.execute("COMMIT")
    rule = {"name": "f", "sources": ["f"], "pattern": "x", "labels": {"user": "$.user"}}
    rule["metric"] = "f_total"
    files = {"name": "f", "type": "files", "paths": [str(tmp_path / "none")]}
    answers: set[tuple[str, int]] = set()
    slowest = 0.0
    config = tmp_path / "exporter.yaml"
    config.write_text(yaml.safe_dump({"sources": [files], "rules": [rule]}))
    with Exporter(config, data) as exporter:
        end = time.monotonic() + 60
        while ("/-/ready", 200) not in answers and time.monotonic() < end:
            for path in ("/-/healthy", "/-/ready"):
                began = time.monotonic()
                try:
                    answers.add(
                        (path, PLAIN_HTTP.get(f"{exporter.url}{path}", timeout=5).status_code)
                    )
                except httpx.TransportError:
                    continue  # before it listens, and between its two servers
                slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        assert answers == {("/-/healthy", 200), ("/-/ready", 503), ("/-/ready", 200)}
        assert slowest < 2.0
        assert "ledger migrated" in exporter.logs()
        assert exporter.scrape().value("f_total", user=f"user-{SERIES - 1}") in (0.0, 1.0)
