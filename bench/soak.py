"""The exactness test for longer: kills and faults with ever new seeds, until the time is up.

python bench/soak.py [minutes]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.support.chaos import run_chaos

RESTARTS = 12


def main() -> None:
    """Run rounds and print a line each; the first inexact count ends it with an AssertionError."""
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    deadline = time.monotonic() + minutes * 60
    seed = made = 0
    while time.monotonic() < deadline:
        seed += 1
        with tempfile.TemporaryDirectory() as folder:
            made += run_chaos(Path(folder), seed=seed, restarts=RESTARTS)
        print(f"round {seed}: exact; {made} matches over {seed * RESTARTS} restarts so far")


if __name__ == "__main__":
    main()
