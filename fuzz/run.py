"""Fuzz the targets in turn: ``python -m fuzz.run --seconds 900 --seed 1``.

Needs the dependency group `fuzz` (``make fuzz`` installs it). Exits with 1 if an input broke an
invariant, took too long, or memory grew; such inputs are written to ``dist/fuzz/findings``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from fuzz import targets

_ROOT = Path(__file__).parents[1]
_WORK = _ROOT / "dist" / "fuzz"
_UNIT_SECONDS = 20
"""Longer is a hang: the slowest honest input takes a hundredth of it on an idle machine."""
_RSS_LIMIT = 1024
"""MiB for the whole process."""
_GROWTH_LIMIT = 32
"""MiB by which replaying the same inputs may grow: memory that allocators keep, not a leak."""

_STATUS = re.compile(r"^#\d+\s+\S+\s+cov: (\d+) .*?corp: (\d+)/.*?rss: (\d+)Mb", re.MULTILINE)
_STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_REPLAY = re.compile(r"^replayed (\d+) inputs (\d+) times: (\d+) KiB, then (\d+) KiB", re.MULTILINE)


@dataclass
class Outcome:
    """The result of one target."""

    target: str
    seconds: int
    seed: int
    executions: int = 0
    corpus: int = 0
    coverage: int = 0
    rss_start: int = 0
    """MiB, when the seeds were read."""
    rss_peak: int = 0
    slowest: int = 0
    """Seconds."""
    replayed: int = 0
    growth: float = 0.0
    """MiB from the second replay of the corpus to the last."""
    findings: list[str] = field(default_factory=list)

    def row(self) -> str:
        """As a row of README.md's table."""
        cells = (
            self.target,
            self.seed,
            f"{self.seconds / 60:.3g} min",
            f"{self.executions:,}",
            f"{self.corpus:,}",
            f"{self.coverage:,}",
            f"{self.slowest} s",
            f"{self.rss_start} → {self.rss_peak} MiB",
            f"{self.growth:+.1f} MiB in {self.replayed:,} runs",
            len(self.findings) or "none",
        )
        return f"| {' | '.join(map(str, cells))} |"


HEADER = (
    "| target | seed | time | executions | corpus | branches | slowest | memory, start → peak"
    " | growth over replays | findings |\n|" + " --- |" * 10
)


def main() -> int:
    """Run the targets of the command line."""
    arguments = _arguments()
    print(HEADER, flush=True)
    outcomes = []
    for name in arguments.targets or targets.NAMES:
        outcome = _fuzz(name, arguments.seconds, arguments.seed)
        _replay(outcome)
        outcomes.append(outcome)
        print(outcome.row(), flush=True)
    print(f"{sum(outcome.executions for outcome in outcomes):,} executions")
    for outcome in outcomes:
        for finding in outcome.findings:
            print(f"{outcome.target}: {finding}")
    return 1 if any(outcome.findings for outcome in outcomes) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(targets.NAMES))
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    unknown = set(arguments.targets) - set(targets.NAMES)
    if unknown:
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    return arguments


def _fuzz(name: str, seconds: int, seed: int) -> Outcome:
    corpus, findings = _WORK / "corpus" / name, _WORK / "findings" / name
    shutil.rmtree(findings, ignore_errors=True)
    for folder in (corpus, findings):
        folder.mkdir(parents=True, exist_ok=True)
    result = _worker(
        name,
        str(corpus),  # new inputs go here, and are used again by the next run
        str(targets.CORPUS / name),
        f"-dict={targets.DICTIONARIES / name}.dict",
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-timeout={_UNIT_SECONDS}",
        f"-rss_limit_mb={_RSS_LIMIT}",
        f"-artifact_prefix={findings}/",
        "-max_len=8192",
        "-len_control=20",
        "-use_value_profile=1",
        "-print_final_stats=1",
        "-verbosity=1",
    )
    (_WORK / f"{name}.log").write_text(result.stdout)
    outcome = Outcome(name, seconds, seed)
    statistics = {key: int(value) for key, value in _STATISTIC.findall(result.stdout)}
    outcome.executions = statistics.get("number_of_executed_units", 0)
    outcome.slowest = statistics.get("slowest_unit_time_sec", 0)
    outcome.rss_peak = statistics.get("peak_rss_mb", 0)
    statuses = _STATUS.findall(result.stdout)
    if statuses:
        outcome.rss_start = int(statuses[0][2])
        outcome.coverage, outcome.corpus = int(statuses[-1][0]), int(statuses[-1][1])
    # slow-unit files are not findings: the limit is _UNIT_SECONDS.
    found = sorted(path for path in findings.iterdir() if not path.name.startswith("slow-unit"))
    outcome.findings += [str(path.relative_to(_ROOT)) for path in found]
    if result.returncode and not found:
        outcome.findings.append(f"ended with {result.returncode}: see dist/fuzz/{name}.log")
    return outcome


def _replay(outcome: Outcome) -> None:
    """Replay the corpus repeatedly in a new process: memory must not grow."""
    result = _worker(outcome.target, "--replay", str(_WORK / "corpus" / outcome.target))
    measured = _REPLAY.search(result.stdout)
    if measured is None:
        if not outcome.findings:
            outcome.findings.append(f"replay failed: {result.stdout[-500:]}")
        return
    inputs, times, before, after = map(int, measured.groups())
    outcome.replayed = inputs * times
    outcome.growth = (after - before) / 1024
    if outcome.growth > _GROWTH_LIMIT:
        outcome.findings.append(f"memory grows by {outcome.growth:.1f} MiB in {times} replays")


def _worker(*arguments: str) -> subprocess.CompletedProcess[str]:
    # libFuzzer exits without cleaning up: files of the targets are deleted with this folder.
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        return subprocess.run(
            [sys.executable, "-m", "fuzz.worker", *arguments],
            cwd=_ROOT,
            env=os.environ | {"TMPDIR": folder},
            stdin=subprocess.DEVNULL,  # an input may name /dev/stdin
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )


if __name__ == "__main__":
    sys.exit(main())
