"""Ways to measure: CPU time of calls and of whole processes, in rounds that take turns."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ELSEWHERE = tempfile.gettempdir()
"""The working directory of measured processes, so that PYTHONPATH alone decides their imports."""
REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Run:
    """A finished process."""

    cpu: float
    """User and system seconds of the process and of the children it waited for."""
    rss: int
    """The largest resident set of one of these processes, bytes."""
    output: bytes
    """Its standard output."""


def run(command: Sequence[str], *, core: int = 0) -> Run:
    """Run a command on one core.

    Raises:
        RuntimeError: it failed; the message has the last lines that it wrote to standard error.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            ("taskset", "--cpu-list", str(core), *command),
            stdout=output,
            stderr=errors,
            cwd=ELSEWHERE,
            env={"PYTHONPATH": str(REPOSITORY), **os.environ},
        )
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{said}")
        output.seek(0)
        return Run(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.read())


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of a call in this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def in_turns(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """The values of each measure, one a round. All take part in a round, one after the other.

    So a busy moment of the machine affects all of them, and ratios within a round hold.
    """
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def ratio(of: Iterable[float], to: Iterable[float]) -> float:
    """The median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(of, to, strict=True))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def machine() -> str:
    """The processor and how many of it there are."""
    info = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in info.splitlines() if "model name" in line]
    return f"{len(models)} x {models[0] if models else 'unknown processor'}"
