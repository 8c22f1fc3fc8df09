"""How long a backlog takes, with and without refused calls, and how late fresh events are seen.

    python -m bench.backlog [--pairs 3] [--only day|hour] [--interval 2]

The exporter is run once with a wall clock (and an AWS) of some hours ago, is stopped, and is
started again now: it finds the backlog of a stop of that length. Fresh events come at 10/s
meanwhile. The embedded AWS runs in a separate process. Every count must be exact; the exit code
is 1 where it is not, or where a bound is broken.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any, cast

import httpx
import yaml

from metric_filter_demo.aws import EmbeddedAws
from metric_filter_demo.faults import Faults
from tests.support.expositions import Exposition
from tests.support.processes import Exporter
from tests.support.wall_clock import WallClock

REGION = "us-east-1"
FRESH_PER_SECOND = 10
MOST_RATIO = 1.3
MOST_DELAY = 3.0
"""Intervals."""
GIVE_UP_AFTER = 300.0
"""Seconds that a backlog may take."""
STUCK_AFTER = 60.0
"""Seconds without one further event of the backlog."""


@dataclass(frozen=True)
class Case:
    """A backlog in two log groups."""

    name: str
    hours: float
    events: int
    page: int
    """Events a page: the number of such events in 1 MB."""


CASES = (
    Case("day", hours=12, events=432_000, page=1000),
    Case("hour", hours=1, events=24_000, page=75),
)
REFUSED = 0.01
HOLLOW = 0.01
"""Together one call in fifty: these fail in a way that no SDK tries again."""


class BacklogAws:
    """The embedded AWS with its backlog, in a separate process (see ``aws_process``)."""

    def __init__(self) -> None:
        self._ahead = 0.0
        quotas = {"FilterLogEvents": math.inf}
        self._aws = EmbeddedAws(quotas=quotas, clock=lambda: time.time() + self._ahead).start()
        self._made: dict[str, list[float]] = {}
        self._ended = threading.Event()
        self._maker: threading.Thread | None = None

    def environment(self) -> dict[str, str]:
        """Variables that make an SDK talk to it."""
        return self._aws.environment(REGION)

    def shift(self, seconds: float) -> None:
        """Let its clock be that far ahead of the right time."""
        self._ahead = seconds

    def disturb(self, faults: Faults) -> None:
        """Let calls go wrong."""
        self._aws.faults = faults

    def create(self, groups: list[str]) -> None:
        """Make empty log groups."""
        for group in groups:
            self._aws.log_group_create(REGION, group)

    def fill(self, groups: list[str], events: int, start: float, end: float) -> None:
        """Spread events evenly over the groups and over the time from ``start`` to ``end``."""
        for number in range(events):
            stamp = start + (end - start) * number / events
            group = groups[number % len(groups)]
            self._aws.put_log_event(
                REGION, group, f"BACKLOG {number}", timestamp=round(stamp * 1000)
            )

    def start_fresh(self, groups: list[str]) -> None:
        """Make fresh events from now on."""
        self._made = {group: [] for group in groups}
        self._ended.clear()
        self._maker = threading.Thread(target=self._make, args=(groups,), daemon=True)
        self._maker.start()

    def end_fresh(self) -> dict[str, list[float]]:
        """Stop making events; return the time of each, by group."""
        self._ended.set()
        if self._maker is not None:
            self._maker.join()
        return self._made

    def calls(self) -> tuple[int, int]:
        """FilterLogEvents calls so far, and how many of them failed; starts again at none."""
        done = self._aws.calls.count("FilterLogEvents")
        failed = done - self._aws.calls.count("FilterLogEvents", outcome="ok")
        self._aws.calls.reset()
        return done, failed

    def _make(self, groups: list[str]) -> None:
        number = 0
        while not self._ended.wait(1 / FRESH_PER_SECOND):
            group = groups[number % len(groups)]
            self._made[group].append(time.time())
            self._aws.put_log_event(REGION, group, f"FRESH {number}")
            number += 1


class _Processes(BaseManager):
    """Runs a BacklogAws in a process."""


_Processes.register("aws", BacklogAws)


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    seconds: float
    """From the start of the process until the backlog was counted."""
    worst_delay: float
    """The longest time from a fresh event until it was on the page, in seconds."""
    calls: int
    failed: int
    wrong: str
    """Inexact counts; empty if all were exact."""


def run(case: Case, aws: BacklogAws, folder: Path, faults: Faults, interval: float) -> Outcome:
    """Let an exporter catch up with a case's backlog."""
    groups = [f"/{folder.name}/{name}" for name in ("a", "b")]
    aws.create(groups)
    configuration = folder / "exporter.yaml"
    configuration.write_text(yaml.safe_dump(_configuration(groups, interval)))
    clock = WallClock(folder)
    exporter = Exporter(
        configuration, folder / "data", environment=aws.environment(), wall_clock=clock
    )
    stopped = -case.hours * 3600
    aws.disturb(Faults())
    aws.shift(stopped)
    clock.shift(stopped)
    with exporter:
        exporter.wait_until_ready()
        began = time.time() + stopped
        exporter.terminate()
        aws.shift(0)
        clock.shift(0)
        aws.fill(groups, case.events, began + 1, time.time() - 1)
        aws.disturb(faults)
        aws.calls()
        started = time.monotonic()
        exporter.start()
        exporter.wait_until_listening()
        aws.start_fresh(groups)
        return _watch(case, aws, exporter, groups, started)


def _watch(
    case: Case, aws: BacklogAws, exporter: Exporter, groups: list[str], began: float
) -> Outcome:
    backlog_done: float | None = None
    made: dict[str, list[float]] | None = None
    seen: dict[str, list[tuple[float, int]]] = {group: [] for group in groups}
    backlog, moved = 0, began
    while time.monotonic() < min(began + GIVE_UP_AFTER, moved + STUCK_AFTER):
        time.sleep(0.1)  # how exactly a delay is measured
        try:
            page = exporter.scrape()
        except httpx.HTTPError:
            continue
        before, backlog = backlog, _value(page, "backlog_total")
        if backlog != before:
            moved = time.monotonic()
        for number, group in enumerate(groups):
            seen[group].append((time.time(), _value(page, f"fresh_{number}_total")))
        if backlog_done is None and backlog >= case.events:
            backlog_done = time.monotonic() - began
            made = aws.end_fresh()
        if made is not None and all(seen[g][-1][1] >= len(made[g]) for g in groups):
            break
    if made is None:
        made = aws.end_fresh()
    calls, failed = aws.calls()
    delays = [delay for group in groups for delay in _delays(made[group], seen[group])]
    fresh = sum(seen[group][-1][1] for group in groups)
    expected = sum(len(times) for times in made.values())
    wrong = [
        f"{what}: {shown} of {right}"
        for what, shown, right in (
            ("backlog", backlog, case.events),
            ("fresh", fresh, expected),
        )
        if shown != right
    ]
    return Outcome(backlog_done or math.inf, max(delays), calls, failed, ", ".join(wrong))


def _delays(made: list[float], seen: list[tuple[float, int]]) -> list[float]:
    """Seconds from each event until the page counted as many; those never seen: until the end."""
    delays, scrapes = [], iter(seen)
    at, count = next(scrapes)
    for number, time_made in enumerate(made, start=1):
        while count < number:
            following = next(scrapes, None)
            if following is None:
                break
            at, count = following
        delays.append(at - time_made)
    return delays


def _value(page: Exposition, metric: str) -> int:
    return int(page.value(metric) or 0)


def _configuration(groups: list[str], interval: float) -> dict[str, Any]:
    """A rule for the backlog, and one for the fresh events of each group."""
    sources = [
        {
            "name": f"group_{number}",
            "type": "log_groups",
            "regions": [REGION],
            "log_groups": [group],
            "interval": f"{interval:g}s",
            "lookback": "60s",
        }
        for number, group in enumerate(groups)
    ]
    fresh = [
        {
            "name": f"fresh_{number}",
            "sources": [f"group_{number}"],
            "pattern": "FRESH",
            "metric": f"fresh_{number}_total",
        }
        for number in range(len(groups))
    ]
    backlog = {
        "name": "backlog",
        "sources": [source["name"] for source in sources],
        "pattern": "BACKLOG",
        "metric": "backlog_total",
    }
    return {"sources": sources, "rules": [backlog, *fresh]}


def _row(*cells: str) -> None:
    print("|", " | ".join(cells), "|", flush=True)


def compare(case: Case, pairs: int, interval: float) -> bool:
    """Print a row for each pair of runs and one of medians; return whether every bound is met."""
    pairs_made: list[tuple[Outcome, Outcome]] = []
    for number in range(pairs):
        outcomes = []
        pages = Faults(
            page_size=(case.page, case.page), operations=["FilterLogEvents"], seed=number
        )
        for faults in (pages, replace(pages, refuse=REFUSED, hollow=HOLLOW)):
            with _Processes() as processes, tempfile.TemporaryDirectory() as folder:
                aws = cast("Any", processes).aws()
                outcomes.append(run(case, aws, Path(folder), faults, interval))
        clean, refused = outcomes
        pairs_made.append((clean, refused))
        _row(
            case.name,
            f"{clean.seconds:.1f}",
            f"{refused.seconds:.1f}",
            f"{refused.seconds / clean.seconds:.2f}",
            f"{clean.worst_delay / interval:.1f} / {refused.worst_delay / interval:.1f}",
            f"{clean.calls} / {refused.calls} ({refused.failed} failed)",
            "; ".join(filter(None, (clean.wrong, refused.wrong))) or "exact",
        )
    clean_median, refused_median = (
        statistics.median(outcome.seconds for outcome in side)
        for side in zip(*pairs_made, strict=True)
    )
    ratio = statistics.median(refused.seconds / clean.seconds for clean, refused in pairs_made)
    every = [outcome for pair in pairs_made for outcome in pair]
    worst = max(outcome.worst_delay for outcome in every) / interval
    exact = not any(outcome.wrong for outcome in every)
    _row(
        f"{case.name}: median",
        f"{clean_median:.1f}",
        f"{refused_median:.1f}",
        f"{ratio:.2f}",
        f"worst {worst:.1f}",
        "",
        "exact" if exact else "NOT EXACT",
    )
    return exact and ratio <= MOST_RATIO and worst <= MOST_DELAY


def main() -> int:
    """Print the table; 1 if a bound is exceeded."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--only", choices=[case.name for case in CASES])
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between two polls")
    options = parser.parse_args()
    _row(
        "backlog",
        "without refusals, s",
        "with 2 % refused, s",
        "ratio",
        "worst delay of fresh events, intervals",
        "calls",
        "counts",
    )
    _row(*["---"] * 7)
    cases = [case for case in CASES if options.only in (None, case.name)]
    held = [compare(case, options.pairs, options.interval) for case in cases]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
