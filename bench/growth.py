"""The cost of a record by the number of rules: whole processes, ``run --once`` with a ledger.

    python -m bench.growth [--rules 16 100 1000 5000] [--records 96000] [--rounds 3]

All rules name an event, or a fifth names none. The ledger has the series of as many other records
already, and the cost of a run for a single record is taken off. So neither the start nor series
that appear for the first time count much. CPU time, one core.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.corpus import Corpus, cloudtrail
from bench.files import exporter, exporter_counts
from bench.many_rules import rule_file
from bench.measuring import in_turns, machine, ratio, run, table

KINDS = {False: "all name an event", True: "a fifth names none"}


def cost(earlier: Corpus, corpus: Corpus, rules: Path, found: dict[Path, int]) -> float:
    """CPU seconds for a record, on a ledger that has counted other records."""
    with tempfile.TemporaryDirectory() as scratch:
        ledger, copy = Path(scratch, "ledger"), Path(scratch, "copy")
        ledger.mkdir()
        before = run(exporter(earlier.trails, ledger, rules))
        shutil.copytree(ledger, copy)
        start = run(exporter(corpus.one, copy, rules))
        whole = run(exporter(corpus.trails, ledger, rules))
    counts = [sum(exporter_counts(one.output).values()) for one in (before, whole)]
    found[rules] = counts[1] - counts[0]
    return (whole.cpu - start.cpu) / corpus.events


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, nargs="+", default=[16, 100, 1000, 5000])
    parser.add_argument("--records", type=int, default=96_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    earlier, corpus = (cloudtrail(given.records, seed=seed) for seed in (2, 1))
    with tempfile.TemporaryDirectory() as scratch:
        found: dict[Path, int] = {}
        measures: dict[str, Callable[[], float]] = {}
        paths = {}
        for rules in given.rules:
            for mixed, kind in KINDS.items():
                if rules > 16 or not mixed:
                    name = f"{rules:,} | {kind if rules > 16 else 'those of the comparison'}"
                    paths[name] = rule_file(Path(scratch), rules, mixed=mixed)
                    measures[name] = partial(cost, earlier, corpus, paths[name], found)
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
