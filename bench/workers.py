"""Trail files from disk by one and by two workers: time, CPU, memory, and equal counts.

    python -m bench.workers [--records 400000] [--rounds 5]

``run --once`` with the 16 rules of bench/rules/ and a new ledger, less the time and the CPU of a
start: a run with as many workers that has a single record to read. The CPU is that of all processes
together; on a busy machine it says more than the time. Exits with 1 if counts differ.
"""

from __future__ import annotations

import argparse
import base64
import ctypes
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.corpus import Corpus, cloudtrail
from bench.files import Counts, exporter, exporter_counts
from bench.measuring import ELSEWHERE, REPOSITORY, machine, ratio, table

SUBREAPER = 36
"""Of prctl(2): orphans of child processes become children, so that their CPU time is known."""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished exporter with its workers."""

    seconds: float
    main: float
    """CPU seconds of the main process."""
    others: float
    """CPU seconds of all other processes."""
    pss: int
    """The most memory of all processes together, bytes; 0 if it was not measured."""
    counts: Counts

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes."""
        return self.main + self.others


def measured(folder: Path, workers: int, *, memory: bool = False) -> Run:
    """Read a folder of trail files."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryFile() as page:
        command = [*exporter(folder, Path(scratch)), f"--workers={workers}"]
        began = time.monotonic()
        environment = {"PYTHONPATH": str(REPOSITORY), **os.environ}
        process = subprocess.Popen(command, stdout=page, cwd=ELSEWHERE, env=environment)
        sampler = Sampler()
        if memory:
            sampler.start()
        main, others, seconds = 0.0, 0.0, 0.0
        while True:
            try:
                pid, status, usage = os.wait4(-1, 0)
            except ChildProcessError:
                break
            if pid == process.pid:
                seconds, main = time.monotonic() - began, usage.ru_utime + usage.ru_stime
                process.returncode = os.waitstatus_to_exitcode(status)
            else:
                others += usage.ru_utime + usage.ru_stime
        sampler.ended.set()
        if process.returncode:
            raise RuntimeError(f"{command} ended with {process.returncode}")
        page.seek(0)
        return Run(seconds, main, others, sampler.most, exporter_counts(page.read()))


class Sampler(threading.Thread):
    """Looks at the memory of all child processes and theirs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.most = 0

    def run(self) -> None:
        """Look until it has ended."""
        while not self.ended.wait(0.1):
            self.most = max(self.most, sum(pss(pid) for pid in descendants(os.getpid())))


def descendants(pid: int) -> Sequence[int]:
    """The processes that a process has started, and theirs."""
    try:
        text = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    except OSError:
        return ()
    children = [int(child) for child in text.split()]
    return [*children, *(each for child in children for each in descendants(child))]


def pss(pid: int) -> int:
    """The share of a process in the memory, bytes; 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def one_record(folder: Path) -> None:
    """Write a file with one record, large enough that workers are started for it."""
    record = {"eventID": "1", "padding": base64.b64encode(os.urandom(8 * 2**20)).decode()}
    (folder / "0.json.gz").write_bytes(gzip.compress(json.dumps({"Records": [record]}).encode(), 1))


def compare(corpus: Corpus, in_file: int, rounds: int) -> bool:
    """Print the table of a corpus; whether both counted the same."""
    runs: dict[int, list[Run]] = {1: [], 2: []}
    starts: dict[int, list[Run]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        one_record(Path(folder))
        for _ in range(rounds):
            for workers, each in runs.items():
                starts[workers].append(measured(Path(folder), workers))
                each.append(measured(corpus.trails, workers))
    files = corpus.events / in_file

    def less_start(value: Callable[[Run], float], workers: int) -> list[float]:
        start = statistics.median(map(value, starts[workers]))
        return [value(run) - start for run in runs[workers]]

    cpu = {workers: less_start(lambda run: run.cpu, workers) for workers in runs}
    took = {workers: less_start(lambda run: run.seconds, workers) for workers in runs}
    main = {workers: less_start(lambda run: run.main, workers) for workers in runs}
    rows = [
        (
            workers,
            f"{statistics.median(took[workers]):.2f}",
            f"{ratio(took[1], took[workers]):.2f}",
            f"{statistics.median(cpu[workers]) / files * 1e6:.0f}",
            f"{ratio(cpu[workers], cpu[1]):.2f}",
            f"{statistics.median(main[workers]) / files * 1e6:.0f}",
            f"{measured(corpus.trails, workers, memory=True).pss / 2**20:.0f}",
        )
        for workers in runs
    ]
    head = ("workers", "s", "speed", "CPU us/file", "to one", "main process", "PSS, MiB")
    print(table(head, rows))
    counts = [run.counts for each in runs.values() for run in each]
    print(f"\n{sum(counts[0].values())} matches in {files:.0f} files.\n")
    return all(each == counts[0] for each in counts)


def main() -> int:
    """Print the tables of small and large files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    print(f"{machine()}\n")
    equal = True
    for in_file in (50, 8000):
        print(f"Files of {in_file:,} records\n")
        corpus = cloudtrail(given.records, in_file=in_file)
        equal &= compare(corpus, in_file, given.rounds)
    return int(not equal)


if __name__ == "__main__":
    sys.exit(main())
