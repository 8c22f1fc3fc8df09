"""Rounds of every trouble in random order, until the time is up; every count exact or it stops.

    python -m bench.soak [--minutes 60] [--seed N]

A seed names a round: with ``--seed`` the rounds begin with that one. Without, it is the time's.
A folder whose round failed is kept.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.chaos.rounds import deal, run_round


def main() -> int:
    """Run rounds and print a line each; 1 if one was not exact."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", nargs="*", default=[], help="troubles to leave the others out")
    options = parser.parse_args()
    deadline = time.monotonic() + options.minutes * 60
    seed, made = options.seed, 0
    while True:
        troubles = [t for t in deal(seed) if not options.only or t.__name__ in options.only]
        print(f"seed {seed}: {' '.join(trouble.__name__ for trouble in troubles)}", flush=True)
        folder, began = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-")), time.monotonic()
        try:
            events = run_round(folder, seed=seed, troubles=troubles)
        except Exception as error:
            took = time.monotonic() - began
            print(f"seed {seed}: {type(error).__name__} after {took:.0f} s: {error}")
            print(f"Again: python -m bench.soak --seed {seed}. Log and ledger are in {folder}.")
            return 1
        shutil.rmtree(folder)
        made += events
        took = time.monotonic() - began
        print(f"seed {seed}: exact, {events} events in {took:.0f} s; {made} so far", flush=True)
        if time.monotonic() > deadline:
            return 0
        seed += 1


if __name__ == "__main__":
    sys.exit(main())
