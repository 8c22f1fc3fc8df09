"""Writes the dashboards' JSON; ``--check`` only lists the files that differ."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from generator import explorer, health, logs, security

FOLDER: Final = Path(__file__).resolve().parent.parent


def render(dashboard: Dashboard) -> str:
    """The dashboard as JSON: sorted keys, not indented, since it must fit an annotation."""
    content = json.loads(JSONEncoder().encode(dashboard))
    return (
        json.dumps(content, indent=0, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        + "\n"
    )


def files() -> dict[Path, str]:
    """The content of each file."""
    return {
        FOLDER / "aws-security-overview.json": render(security.build()),
        FOLDER / "rule-explorer.json": render(explorer.build()),
        FOLDER / "application-and-infrastructure-logs.json": render(logs.build()),
        FOLDER / "exporter-health-and-cost.json": render(health.build()),
    }


def main() -> int:
    """Write or check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m generator", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if files differ")
    check = parser.parse_args().check
    differing = [
        (path, text)
        for path, text in files().items()
        if not path.exists() or path.read_text() != text
    ]
    for path, text in differing:
        if not check:
            path.write_text(text)
        print(f"{path.name}: {'out of date, run make dashboards' if check else 'written'}")
    return int(check and bool(differing))


if __name__ == "__main__":
    sys.exit(main())
