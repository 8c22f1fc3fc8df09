"""The cost of a record by the number of rules: whole processes, ``run --once`` with a ledger.

    python -m bench.growth [--rules 16 100 1000 5000] [--records 96000] [--rounds 3]

All rules name an event, or a fifth names none. The cost is the difference between a run with all
trail files and one with the first third of them, so that neither the start nor series that appear
for the first time count much. CPU time, one core.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.corpus import cloudtrail
from bench.files import exporter, exporter_counts, files
from bench.many_rules import rule_file
from bench.measuring import Run, in_turns, machine, ratio, run, table

TRAIL_FILES = 12
KINDS = {False: "all name an event", True: "a fifth names none"}


def once(folder: Path, rules: Path) -> Run:
    """A run over a folder of trail files."""
    with tempfile.TemporaryDirectory() as scratch:
        return run(exporter(folder, Path(scratch), rules))


def cost(some: Path, whole: Path, further: int, rules: Path, found: dict[Path, int]) -> float:
    """CPU seconds for a record, with that many more in ``whole`` than in ``some``."""
    first, last = once(some, rules), once(whole, rules)
    found[rules] = sum(exporter_counts(last.output).values())
    return (last.cpu - first.cpu) / further


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, nargs="+", default=[16, 100, 1000, 5000])
    parser.add_argument("--records", type=int, default=96_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    corpus = cloudtrail(given.records, in_file=given.records // TRAIL_FILES)
    with tempfile.TemporaryDirectory() as scratch:
        some = Path(scratch, "some")
        some.mkdir()
        for path in files(corpus.trails)[: TRAIL_FILES // 3]:
            (some / Path(path).name).symlink_to(path)
        further = given.records * 2 // 3
        found: dict[Path, int] = {}
        measures: dict[str, Callable[[], float]] = {}
        paths = {}
        for rules in given.rules:
            for mixed, kind in KINDS.items():
                if rules > 16 or not mixed:
                    name = f"{rules:,} | {kind if rules > 16 else 'those of the comparison'}"
                    paths[name] = rule_file(Path(scratch), rules, mixed=mixed)
                    measures[name] = partial(cost, some, corpus.trails, further, paths[name], found)
        costs = in_turns(given.rounds, measures)
    least = costs[next(iter(costs))]
    rows = [
        (
            name,
            f"{found[paths[name]] / corpus.events:.2f}",
            f"{statistics.median(each) * 1e6:.2f}",
            f"{ratio(each, least):.2f}",
        )
        for name, each in costs.items()
    ]
    print(f"{machine()}; {corpus.events} records\n")
    print(table(("rules", "kind", "matches/record", "us/record", "to the first"), rows))


if __name__ == "__main__":
    main()
