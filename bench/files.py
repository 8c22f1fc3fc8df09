"""Trail files to counts: the exporter beside mtail, jq, a Python loop, and the least possible.

    python -m bench.files [--files 12] [--rounds 5] [--mtail mtail --mtail /another/mtail]

The 16 rules of bench/rules/. Each one is a whole process on one core, in CPU time, less its own
time for a single record. The exporter is ``run --once`` with a ledger in a fresh folder. mtail
reads lines, so the inflation of its input by zcat is added. Exits with 1 if counts differ.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from bench.corpus import Corpus, cloudtrail
from bench.floor import inflater
from bench.measuring import Run, in_turns, machine, ratio, run, table

RULES = Path(__file__).with_name("rules")
SMALL = 24_000
"""Records of the files with 50 each."""

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Program:
    """Something that counts the records of a folder of trail files."""

    name: str
    command: Callable[[Path, Path], Sequence[str]]
    """The command, by the folder to read and an empty folder."""
    counts: Callable[[bytes], Counts] | None
    """Matches by rule, from its output; None if it evaluates no rules."""


def exporter(folder: Path, scratch: Path, rules: Path = RULES / "sixteen.yaml") -> list[str]:
    """``run --once`` with a new ledger."""
    source = {"name": "trail", "type": "files", "format": "cloudtrail"}
    config = scratch / "exporter.yaml"
    content = {
        "sources": [{**source, "paths": [f"{folder}/*.json.gz"]}],
        "rule_files": [str(rules)],
    }
    config.write_text(yaml.safe_dump(content))
    run_once = [sys.executable, "-m", "exporter", "run", "--once", "--log.level", "error"]
    return [*run_once, "--config.file", str(config), "--storage.path", str(scratch / "data")]


def exporter_counts(page: bytes) -> Counts:
    """Matches by rule from the exporter's page, over accounts and regions."""
    counts: Counter[str] = Counter()
    for line in page.decode().splitlines():
        found = re.match(r'metric_filter_matches_total\{.*\brule="(\w+)".*\} (\S+)', line)
        if found:
            counts[found[1]] += int(float(found[2]))
    return nonzero(counts)


def nonzero(counts: Counts) -> Counts:
    """Without the rules that matched nothing."""
    return {rule: count for rule, count in counts.items() if count}


def mtail(program: str) -> Program:
    """An mtail at a path, with its version in the name."""
    said = subprocess.run((program, "--version"), capture_output=True, text=True, check=True).stdout
    version = said.split()[2]

    def command(folder: Path, scratch: Path) -> list[str]:
        lines = scratch / "records.jsonl"
        script = (
            f"zcat {folder / 'records.jsonl.gz'} > {lines} && exec {program} --one_shot "
            f"--one_shot_format json --progs {RULES / 'sixteen.mtail'} --logs {lines}"
        )
        return ["sh", "-c", script]

    def counts(output: bytes) -> Counts:
        (metric,) = json.loads(output)["matches"]
        return {each["Labels"][0]: each["Value"]["Value"] for each in metric["LabelValues"]}

    return Program(f"mtail {version}, a regex a rule", command, counts)


def programs(mtails: Sequence[str]) -> list[Program]:
    """All that take part; the exporter first, the least possible last."""

    def jq(folder: Path, _: Path) -> list[str]:
        return ["sh", "-c", f"zcat {folder}/*.json.gz | jq -cn -f {RULES / 'sixteen.jq'}"]

    def by_hand(folder: Path, _: Path) -> list[str]:
        return [sys.executable, str(RULES / "by_hand.py"), *files(folder)]

    return [
        Program("exporter, run --once", exporter, exporter_counts),
        *(mtail(program) for program in mtails),
        Program(f"{version('jq')}, an if a rule", jq, lambda output: nonzero(json.loads(output))),
        Program("Python: json and ifs", by_hand, json.loads),
        Program(f"inflate ({inflater()[0]}) and typed decoding alone", floor, None),
    ]


def floor(folder: Path, _: Path) -> list[str]:
    """See bench/floor.py."""
    return [sys.executable, "-m", "bench.floor", *files(folder)]


def files(folder: Path) -> list[str]:
    """The trail files of a folder."""
    return sorted(str(path) for path in folder.glob("*.json.gz"))


def version(program: str) -> str:
    """A line with the version of a program."""
    return subprocess.run(
        (program, "--version"), capture_output=True, text=True, check=True
    ).stdout.strip()


def measured(program: Program, folder: Path) -> Run:
    """One run in an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        return run(program.command(folder, Path(scratch)))


def cost(program: Program, corpus: Corpus, counts: dict[str, Counts]) -> float:
    """CPU seconds for a record, a start taken off; ``counts`` takes its matches."""
    start = measured(program, corpus.one)
    whole = measured(program, corpus.trails)
    if program.counts is not None:
        counts[program.name] = program.counts(whole.output)
    return (whole.cpu - start.cpu) / (corpus.events - 1)


def compare(corpus: Corpus, taking_part: Sequence[Program], rounds: int) -> bool:
    """Print the table of a corpus; whether all counted the same."""
    counts: dict[str, Counts] = {}
    costs = in_turns(
        rounds,
        {program.name: partial(cost, program, corpus, counts) for program in taking_part},
    )
    ours, *_, least = costs.values()
    rows = [
        (
            name,
            f"{statistics.median(each) * 1e6:.2f}",
            f"{ratio(each, ours):.2f}",
            f"{ratio(each, least):.2f}",
        )
        for name, each in costs.items()
    ]
    print(table(("program", "us/record", "to the exporter", "to the least"), rows))
    expected = next(iter(counts.values()))
    for name, each in counts.items():
        if each != expected:
            print(f"{name} counted {each}, the exporter {expected}", file=sys.stderr)
    print(f"\n{sum(expected.values())} matches in {corpus.events} records.\n")
    return all(each == expected for each in counts.values())


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=12, help="of 8,000 records")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mtail", action="append", help="may be given several times")
    given = parser.parse_args()
    taking_part = programs(given.mtail or [path for path in [shutil.which("mtail")] if path])
    print(f"{machine()}; files of 8,000 records\n")
    equal = compare(cloudtrail(8000 * given.files), taking_part, given.rounds)
    print("Files of 50 records\n")
    equal &= compare(
        cloudtrail(SMALL, in_file=50), [taking_part[0], *taking_part[-2:]], given.rounds
    )
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
