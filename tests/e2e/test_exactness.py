"""In every trouble that there is, in random order: counted is what happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chaos.rounds import QUICK, deal, run_round

SEED = 1
DEALT = deal(SEED)


@pytest.mark.parametrize("half", [0, 1])
def test_counts_are_exact_over_every_trouble(tmp_path: Path, half: int) -> None:
    troubles = DEALT[half::2]
    made = run_round(tmp_path, seed=SEED + half, troubles=troubles, pause=(0.2, 1), unusual=QUICK)
    assert made > 100
