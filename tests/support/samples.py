"""Public CloudTrail records beside the repository, and the exporter run over them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.expositions import Exposition, parse_exposition
from tests.support.processes import clean_environment
from tests.support.shared import shared_files
from tests.support.tools import ROOT


def cloudtrail_files() -> list[Path]:
    """The files with one record a line; skips the test as ``shared_files`` does."""
    return shared_files("samples/cloudtrail", "*.jsonl")


def log_files() -> list[Path]:
    """The files of systems' and applications' logs; skips the test as ``shared_files`` does."""
    return shared_files("samples/logs")


def distinct_records(files: list[Path]) -> Iterator[dict[str, Any]]:
    """Give the records, each eventID once."""
    seen: set[str] = set()
    for file in files:
        for line in file.read_text().splitlines():
            record = json.loads(line)
            event_id = record.get("eventID")
            if event_id in seen:
                continue
            if event_id:
                seen.add(event_id)
            yield record


def count_once(folder: Path, files: list[Path], **rules: Any) -> Exposition:
    """Run ``run --once`` over files of CloudTrail records; its page, parsed.

    ``rules``: the configuration's keys ``rules`` or ``rule_packs``. The ledger stays in ``folder``.
    """
    source = {
        "name": "replay",
        "type": "files",
        "paths": [str(file) for file in files],
        "format": "cloudtrail",
    }
    config = folder / "exporter.yaml"
    config.write_text(yaml.safe_dump({"sources": [source], **rules}))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "exporter",
            "run",
            "--once",
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment({}),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return parse_exposition(done.stdout)
