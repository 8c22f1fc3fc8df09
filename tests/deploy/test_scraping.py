"""Every scrape configuration that the project shows is the same where it matters."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from metric_filter_demo import prometheus as demo
from tests.support.helm import CHART
from tests.support.tools import ROOT


def scrape_configurations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each job of the docs, of the compose file and of the demo, and where it is."""
    texts = [("demo", demo.configuration([], "127.0.0.1:1"))]
    files = sorted((ROOT / "deploy").rglob("*.yaml"))
    texts += [(path.name, path.read_text()) for path in files]
    for page in [ROOT / "README.md", CHART / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        texts += [(page.name, block) for block in yaml_blocks(page)]
    for place, text in texts:
        if "scrape_configs:" in text:
            for job in yaml.safe_load(text)["scrape_configs"]:
                yield place, job


def yaml_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^( *)```yaml\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, block in blocks]


def test_every_scrape_configuration_honours_the_labels_of_rules() -> None:
    jobs = list(scrape_configurations())
    assert {place for place, _ in jobs} >= {"demo", "prometheus.yaml", "alerts.md"}
    assert [place for place, job in jobs if job.get("honor_labels") is not True] == []
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for monitor in ("serviceMonitor", "podMonitor"):
        assert values[monitor]["honorLabels"] is True


def test_every_scrape_configuration_calls_the_job_the_same() -> None:
    assert {job["job_name"] for _, job in scrape_configurations()} == {"metric-filter-exporter"}
