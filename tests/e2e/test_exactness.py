"""Against an AWS that delays, throttles, fails and pages at random: counted is what happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos import run_chaos


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_are_exact_over_faults_delays_and_sigkill(tmp_path: Path, seed: int) -> None:
    assert run_chaos(tmp_path, seed=seed, restarts=4) > 100
