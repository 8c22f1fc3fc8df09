"""A trail in S3 to counts: objects a second, CPU an object, memory and state; and exactness.

    python -m bench.trail [--objects 20000] [--mode queue|listing] [--workers 1 2] [--records 50]
    python -m bench.trail --objects 100 --records 8000
    python -m bench.trail --faults --minutes 10 [--seed 1]

The exporter runs as a process, with the 16 rules of bench/rules/, against an S3 and SQS on
loopback in a separate process, whose CPU is not counted. Every count must be exact, or the exit
code is 1. ``--workers`` needs an exporter with this flag; without it, its default is measured.

``--faults``: calls fail and end in the middle, messages come in any order, repeatedly and to
several readers, objects are damaged, empty, missing, huge, copies or in another bucket, listings
are late, and the exporter is killed. A seed names a round, and rounds follow until the time is up.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import httpx
import yaml

from bench.measuring import REPOSITORY, machine, table
from bench.trail_aws import ACCOUNT, QUEUE
from bench.trail_objects import BUCKET, PREFIX, TrailObjects
from bench.workers import descendants, pss
from exporter.ledger.storage import LEDGER_FILE
from tests.support.expositions import Exposition
from tests.support.http import PLAIN_HTTP
from tests.support.processes import Exporter

_RULES: Final = REPOSITORY / "bench" / "rules" / "sixteen.yaml"
_SPAN: Final = 6 * 3600
"""Seconds over which the times of all objects are spread, up to now."""
_GIVE_UP_AFTER: Final = 120.0
"""Seconds without progress."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_FAULTS: Final = {
    "fail": 0.02,
    "cut": 0.01,
    "expire": 0.02,
    "repeat": 0.02,
    "late": 5.0,
    "reorder": True,
}


class Emulated:
    """The S3 and SQS, in a process."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.trail_aws", json.dumps(options)],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        port = int(cast("IO[bytes]", self._process.stdout).readline())
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, action: str, **given: Any) -> dict[str, Any]:
        """Make it do something; returns its state."""
        answer = PLAIN_HTTP.post(f"{self.url}/-/{action}", json=given, timeout=60)
        state: dict[str, Any] = answer.json()
        return state

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make the exporter call it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIABENCH",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def emulated(options: Mapping[str, Any]) -> Iterator[Emulated]:
    """An Emulated, which is stopped at the end."""
    aws = Emulated(options)
    try:
        yield aws
    finally:
        aws.stop()


def configuration(url: str, mode: str, interval: float) -> dict[str, Any]:
    """One source and the 16 rules."""
    source: dict[str, Any] = {"name": "trail", "type": "trail_bucket", "interval": f"{interval:g}s"}
    if mode == "queue":
        source |= {"queue_url": f"{url}/{ACCOUNT}/{QUEUE}", "buckets": [BUCKET]}
    else:
        source |= {"bucket": BUCKET, "prefix": PREFIX, "start": "1d"}
    return {"sources": [source], "rule_files": [str(_RULES)]}


def cpu(pid: int) -> float:
    """CPU seconds of a process and its children, those that ended included."""
    total = 0
    for each in (pid, *descendants(pid)):
        with suppress(OSError):  # it has ended, and is its parent's now
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15] if each == pid else fields[11:13]))
    return total / _TICKS


def memory(pid: int) -> int:
    """PSS of a process and its children, bytes."""
    return sum(map(pss, (pid, *descendants(pid))))


def matches(page: Exposition) -> dict[str, int]:
    """Matches by rule, of the rules that matched."""
    counts: dict[str, int] = {}
    for labels, value in page.series("metric_filter_matches_total").items():
        rule = dict(labels)["rule"]
        counts[rule] = counts.get(rule, 0) + int(value)
    return {rule: count for rule, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A measured run."""

    objects: int
    """That were read meanwhile."""
    seconds: float
    cpu: float
    first_memory: int
    """PSS once a tenth was read, bytes."""
    memory: int
    """The highest PSS, bytes."""
    ledger: int
    """Bytes of the ledger."""
    state: int
    """Bytes of the checkpoints in it."""
    calls: Mapping[str, int]
    exact: bool


def measure(objects: int, records: int, mode: str, workers: int | None) -> Outcome:
    """Let an exporter read a backlog."""
    step = _SPAN / objects
    options: dict[str, Any] = {"records": records, "begin": int(time.time()) - _SPAN, "step": step}
    expected = dict(TrailObjects(**options).expected(range(objects)))
    with tempfile.TemporaryDirectory() as scratch, emulated(options) as aws:
        folder = Path(scratch)
        config = folder / "exporter.yaml"
        config.write_text(yaml.safe_dump(configuration(aws.url, mode, 5)))
        arguments = () if workers is None else (f"--workers={workers}",)
        exporter = Exporter(
            config, folder / "data", arguments=arguments, environment=aws.environment
        )
        # A bucket that is listed has its backlog at the start: late objects are found at growing
        # ages only.
        first_ones = min(objects, 50) if mode == "queue" else objects
        aws.ask("put", first=0, count=first_ones, messages=mode == "queue")
        with exporter:
            exporter.wait_until_ready()
            if mode == "queue":
                _wait_for_some(aws, first_ones)
                aws.ask("put", first=first_ones, count=objects - first_ones, messages=True)
            began, spent = time.monotonic(), cpu(exporter.pid)
            rest = _left(aws.ask("state"), objects, mode)
            most, first = 0, 0
            left, moved = objects, began
            while left and time.monotonic() - moved < _GIVE_UP_AFTER:
                time.sleep(0.5)
                state = aws.ask("state")
                before, left = left, _left(state, objects, mode)
                if left != before:
                    moved = time.monotonic()
                most = max(most, memory(exporter.pid))
                if not first and left < 0.9 * objects:
                    first = most
            seconds, used = time.monotonic() - began, cpu(exporter.pid) - spent
            counted = _settled(exporter, expected)
            exporter.terminate()
        ledger, checkpoints = _sizes(folder / "data")
    if counted != expected:
        print(f"counted {counted}\nexpected {expected}", file=sys.stderr)
    return Outcome(
        rest,
        seconds,
        used,
        first,
        most,
        ledger,
        checkpoints,
        state["calls"],
        counted == expected,
    )


def _wait_for_some(aws: Emulated, objects: int) -> None:
    """Wait until so many objects were read."""
    deadline = time.monotonic() + _GIVE_UP_AFTER
    while aws.ask("state")["calls"].get("GetObject", 0) < objects:
        if time.monotonic() > deadline:
            raise RuntimeError("the first objects were not read")
        time.sleep(0.1)


def _left(state: Mapping[str, Any], objects: int, mode: str) -> int:
    """Objects that were not read yet."""
    if mode == "queue":
        return int(state["left"])
    return max(0, objects - int(state["calls"].get("GetObject", 0)))


def _settled(exporter: Exporter, expected: Mapping[str, int]) -> dict[str, int]:
    """What the page shows, at the latest after some seconds: new series are shown at 0 first."""
    deadline = time.monotonic() + 15
    while True:
        counted = matches(exporter.scrape())
        if counted == expected or time.monotonic() > deadline:
            return counted
        time.sleep(0.5)


def _sizes(folder: Path) -> tuple[int, int]:
    """Bytes of the ledger, and of its checkpoints."""
    path = folder / LEDGER_FILE
    with closing(sqlite3.connect(path)) as ledger:
        (checkpoints,) = ledger.execute(
            "SELECT sum(length(checkpoint)) FROM checkpoints"
        ).fetchone()
    return path.stat().st_size, int(checkpoints or 0)


class Watch:
    """Scrapes, and finds series that went down or were not at 0 when they were new."""

    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter
        self._seen: dict[Any, float] = {}
        self.wrong: list[str] = []

    def look(self) -> dict[str, int] | None:
        """Matches by rule; None if the exporter does not answer."""
        try:
            page = self._exporter.scrape()
        except httpx.HTTPError:
            return None
        for labels, value in page.series("metric_filter_matches_total").items():
            before = self._seen.get(labels, 0.0)
            if labels not in self._seen and value:
                self.wrong.append(f"{labels} is new at {value:g}")
            if value < before:
                self.wrong.append(f"{labels} went down from {before:g} to {value:g}")
            self._seen[labels] = value
        return matches(page)


def disturbed(objects: int, records: int, mode: str, workers: int | None, seed: int) -> list[str]:
    """A round with faults and kills; returns what is wrong."""
    rng = random.Random(seed)
    step = _SPAN / objects
    begin = int(time.time()) - _SPAN
    options: dict[str, Any] = {"records": records, "begin": begin, "step": step, "troubles": True}
    expected = dict(TrailObjects(**options).expected(range(objects)))
    with tempfile.TemporaryDirectory() as scratch, emulated({**options, "seed": seed}) as aws:
        folder = Path(scratch)
        config = folder / "exporter.yaml"
        config.write_text(yaml.safe_dump(configuration(aws.url, mode, 2)))
        arguments = () if workers is None else (f"--workers={workers}",)
        exporter = Exporter(
            config, folder / "data", arguments=arguments, environment=aws.environment
        )
        watch = Watch(exporter)
        put = min(objects, 50)
        aws.ask("put", first=0, count=put, messages=mode == "queue")
        aws.ask("faults", **_FAULTS)
        with exporter:
            while put < objects:
                count = min(objects - put, rng.randint(1, max(2, objects // 8)))
                aws.ask("put", first=put, count=count, messages=mode == "queue")
                put += count
                until = time.monotonic() + rng.uniform(1, 6)
                while time.monotonic() < until:
                    watch.look()
                    time.sleep(0.3)
                exporter.kill()
                exporter.start()
                aws.ask("show")
            wrong = _drain(aws, watch, expected, mode)
        wrong += watch.wrong
        if wrong:
            print(exporter.logs()[-5000:], file=sys.stderr)
        return wrong


def _drain(aws: Emulated, watch: Watch, expected: Mapping[str, int], mode: str) -> list[str]:
    """Wait until everything was read and counted; returns what is wrong."""
    moved, counted = time.monotonic(), None
    while time.monotonic() - moved < _GIVE_UP_AFTER:
        time.sleep(0.5)
        # In place of the visibility timeout of what was left.
        state = aws.ask("show" if random.random() < 0.05 else "state")
        before, counted = counted, watch.look()
        if counted != before:
            moved = time.monotonic()
        is_read = not state["left"] and not state["hidden"]
        if counted == expected and is_read:
            return []
        if mode == "queue" and is_read and time.monotonic() - moved > 10:
            break
    return [f"counted {counted}, expected {expected}"]


def _row(workers: int | None, objects: int, found: Outcome) -> tuple[object, ...]:
    mebibyte = 2**20
    requests = ", ".join(f"{name} {count:,}" for name, count in sorted(found.calls.items()))
    return (
        "default" if workers is None else workers,
        f"{found.objects / found.seconds:,.0f}",
        f"{1000 * found.cpu / found.objects:.2f}",
        f"{found.first_memory / mebibyte:.0f} / {found.memory / mebibyte:.0f}",
        f"{found.ledger / objects:.0f} / {found.state / objects:.2f}",
        requests,
        "exact" if found.exact else "NOT EXACT",
    )


def main() -> int:
    """Print the table, or run rounds with faults; 1 if a count is not exact."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--objects", type=int)
    parser.add_argument("--records", type=int, default=50, help="in each object")
    parser.add_argument("--mode", choices=("queue", "listing"), default="queue")
    parser.add_argument("--workers", type=int, nargs="*", help="numbers of worker processes")
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    numbers: list[int | None] = list(given.workers or [None])
    if given.faults:
        return _rounds(given, numbers)
    objects = given.objects or 20_000
    print(f"{machine()}; {objects:,} objects of {given.records:,} records, {given.mode}\n")
    found = [(each, measure(objects, given.records, given.mode, each)) for each in numbers]
    head = (
        *("workers", "objects/s", "CPU an object, ms", "PSS after a tenth / most, MiB"),
        *("ledger / its checkpoints, bytes an object", "calls", "counts"),
    )
    print(table(head, [_row(each, objects, outcome) for each, outcome in found]))
    return int(not all(outcome.exact for _, outcome in found))


def _rounds(given: argparse.Namespace, numbers: list[int | None]) -> int:
    deadline, seed = time.monotonic() + given.minutes * 60, given.seed
    objects = given.objects or 1_000
    while time.monotonic() < deadline:
        workers = numbers[seed % len(numbers)]
        began = time.monotonic()
        wrong = disturbed(objects, given.records, given.mode, workers, seed)
        print(f"seed {seed}: {'; '.join(wrong) or 'exact'}, {time.monotonic() - began:.0f} s")
        if wrong:
            return 1
        seed += 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
