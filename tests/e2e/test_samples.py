"""Real CloudTrail records through ``run --once``: the counts of an independent evaluation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.cis import INDEPENDENT, PATTERNS
from tests.support.expositions import parse_exposition
from tests.support.processes import clean_environment
from tests.support.tools import ROOT

SAMPLES = ROOT.parent / "shared" / "samples" / "cloudtrail"


@pytest.fixture
def samples() -> list[Path]:
    files = sorted(SAMPLES.glob("*.jsonl"))
    if not files:
        pytest.skip(f"no CloudTrail samples in {SAMPLES}")
    return files


def expected(files: list[Path]) -> Counter[str]:
    """What each rule matches, each eventID once."""
    seen: set[str] = set()
    counts: Counter[str] = Counter()
    for file in files:
        for line in file.read_text().splitlines():
            record = json.loads(line)
            event_id = record.get("eventID")
            if event_id in seen:
                continue
            if event_id:
                seen.add(event_id)
            counts.update(rule for rule, matches in INDEPENDENT.items() if matches(record))
    return counts


def configuration(folder: Path, files: list[Path]) -> Path:
    rules = [
        {"name": name, "pattern": pattern, "metric": f"aws_{name}_total"}
        for name, pattern in PATTERNS.items()
    ]
    source = {
        "name": "replay",
        "type": "files",
        "paths": [str(file) for file in files],
        "format": "cloudtrail",
    }
    path = folder / "exporter.yaml"
    path.write_text(yaml.safe_dump({"sources": [source], "rules": rules}))
    return path


def run_once(config: Path, storage: Path) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "exporter",
            "run",
            "--once",
            f"--config.file={config}",
            f"--storage.path={storage}",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=clean_environment({}),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_cis_filters_count_what_plain_python_counts(tmp_path: Path, samples: list[Path]) -> None:
    config = configuration(tmp_path, samples)
    page = parse_exposition(run_once(config, tmp_path / "data"))
    counted = {name: page.value(f"aws_{name}_total") for name in PATTERNS}
    wanted = expected(samples)
    assert counted == {name: float(wanted[name]) for name in PATTERNS}
    assert wanted["unauthorized_api_calls"] > 0
    assert wanted["root_usage"] > 0


def test_a_second_run_counts_nothing_again(tmp_path: Path, samples: list[Path]) -> None:
    config = configuration(tmp_path, samples)
    first = parse_exposition(run_once(config, tmp_path / "data"))
    second = parse_exposition(run_once(config, tmp_path / "data"))
    for name in PATTERNS:
        assert second.series(f"aws_{name}_total") == first.series(f"aws_{name}_total")
