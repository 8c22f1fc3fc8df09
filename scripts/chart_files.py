"""Copies the alerts and dashboards into the chart, which takes no symbolic links.

``helm package`` follows links, but Flux, Argo CD and Git on Windows may not.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "helm" / "metric-filter-exporter" / "files"
COPIED = {"alerts": "*.yaml", "grafana-dashboards": "*.json"}
"""Folders of the repository, and which of their files the chart has."""


def sources(folder: str) -> dict[str, bytes]:
    """Return the files that the chart must have of a folder, by name."""
    return {path.name: path.read_bytes() for path in (ROOT / folder).glob(COPIED[folder])}


def main() -> None:
    """Write the copies again."""
    for folder in COPIED:
        shutil.rmtree(FILES / folder, ignore_errors=True)
        (FILES / folder).mkdir()
        for name, content in sources(folder).items():
            (FILES / folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
