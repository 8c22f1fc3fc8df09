"""Real CloudTrail records through ``run --once``: the counts of an independent evaluation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.cis import INDEPENDENT, PATTERNS
from tests.support.samples import cloudtrail_files, count_once, distinct_records

RULES: list[dict[str, Any]] = [
    {"name": name, "pattern": pattern, "metric": f"aws_{name}_total"}
    for name, pattern in PATTERNS.items()
]


@pytest.fixture
def samples() -> list[Path]:
    return cloudtrail_files()


def test_cis_filters_count_what_plain_python_counts(tmp_path: Path, samples: list[Path]) -> None:
    page = count_once(tmp_path, samples, rules=RULES)
    wanted = Counter(
        rule
        for record in distinct_records(samples)
        for rule, matches in INDEPENDENT.items()
        if matches(record)
    )
    counted = {name: page.value(f"aws_{name}_total") for name in PATTERNS}
    assert counted == {name: float(wanted[name]) for name in PATTERNS}
    assert wanted["unauthorized_api_calls"] > 0
    assert wanted["root_usage"] > 0


def test_a_second_run_counts_nothing_again(tmp_path: Path, samples: list[Path]) -> None:
    first = count_once(tmp_path, samples, rules=RULES)
    second = count_once(tmp_path, samples, rules=RULES)
    for name in PATTERNS:
        assert second.series(f"aws_{name}_total") == first.series(f"aws_{name}_total")
