"""The rules of shipped packs, as a source of log groups has them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml

from exporter.configuration import RuleConfig, load


def rules_of(packs: Sequence[str]) -> tuple[RuleConfig, ...]:
    """The rules of packs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        source = {"name": "logs", "type": "log_groups", "log_groups": ["*"], "format": "auto"}
        path.write_text(yaml.safe_dump({"sources": [source], "rule_packs": list(packs)}))
        return load([path]).rules
