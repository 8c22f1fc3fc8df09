"""CPU time, freshness and exactness of the real process that reads one busy log group.

    python -m bench.log_group [--lines-per-second 3000] [--quota 10] [--latency 0.1] [--defaults]

The log group is served by another process (``bench.busy_log_group``), and the rules are the pack
``http-access``. By default interval and lookback are 2 s and 4 min: the same number of ages, so of
reads an event, as the defaults of 30 s and 1 h, which ``--defaults`` uses. Lines come for a
lookback before anything is measured, so every age is read. Two things are simulated: the AWS, and
a polling interval that is a fifteenth of the real one. A line is matched by three or four rules.

The exit code is 1 if a count is not exact.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.busy_log_group import LOG_GROUP, REGION, BusyLogGroup, Traffic, expected
from tests.support.expositions import Exposition
from tests.support.processes import Exporter
from tests.support.waiting import wait_for

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Outcome:
    """The result of a run."""

    cpu_share: float
    """Of one core, user and system time."""
    microseconds: float
    """CPU time for each log event that was read."""
    server_share: float
    pages_per_second: float
    reads: float
    """Of an event: events served over events made, while measuring."""
    throttled_per_second: float
    freshness: tuple[float, float]
    """Median and maximum of the seconds of lines that are not counted yet."""
    rss: float
    """MiB, at the end."""
    lines: int
    wrong: str
    """Counts that are not exact; empty if all are."""


def configuration(interval: float, lookback: float) -> str:
    """An exporter.yaml with the log group and the pack."""
    source = {
        "name": "alb",
        "type": "log_groups",
        "regions": [REGION],
        "log_groups": [LOG_GROUP],
        "format": "lines",
        "interval": f"{interval:g}s",
        "lookback": f"{lookback:g}s",
    }
    return yaml.safe_dump({"sources": [source], "rule_packs": ["http-access"]})


def run(
    traffic: Traffic,
    *,
    interval: float,
    lookback: float,
    seconds: float,
    warm_up: float,
    program: tuple[str, ...],
) -> Outcome:
    """Let an exporter read a log group: ``warm_up`` seconds, then the measured ones."""
    with tempfile.TemporaryDirectory() as name, BusyLogGroup(traffic) as group:
        folder = Path(name)
        file = folder / "exporter.yaml"
        file.write_text(configuration(interval, lookback))
        exporter = Exporter(file, folder / "data", environment=group.environment, program=program)
        with exporter:
            exporter.wait_until_ready()
            # Lines count from when the rules were first loaded; AWS's time has whole seconds.
            time.sleep(2)
            group.begin()
            _watch(exporter, group, warm_up)
            cpu, server = _cpu(exporter.pid), _cpu(group.pid)
            pages, served, throttled = group.pages, group.served, group.throttled
            began = time.time()
            lags = _watch(exporter, group, seconds)
            took = time.time() - began
            made = group.made(time.time()) - group.made(began)
            used = _cpu(exporter.pid) - cpu
            outcome = Outcome(
                cpu_share=used / took,
                microseconds=used / (group.served - served) * 1e6,
                server_share=(_cpu(group.pid) - server) / took,
                pages_per_second=(group.pages - pages) / took,
                reads=(group.served - served) / made,
                throttled_per_second=(group.throttled - throttled) / took,
                freshness=(statistics.median(lags), max(lags)),
                rss=_rss(exporter.pid),
                lines=group.end(),
                wrong="",
            )
            wrong = _wrong(exporter, outcome.lines, lookback)
            exporter.terminate(timeout=60)
    return Outcome(**{**vars(outcome), "wrong": wrong})


def _watch(exporter: Exporter, group: BusyLogGroup, seconds: float) -> list[float]:
    """Once a second, how many seconds of lines are not counted yet."""
    lags = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1)  # a scrape costs the exporter CPU time too
        made = group.made(time.time())
        lags.append((made - _counted(exporter.scrape())) / group.traffic.lines_per_second)
    return lags


def _counted(page: Exposition) -> float:
    """Lines that count so far: each one's bytes do."""
    return _matches(page, "http_alb_response_bytes")


def _matches(page: Exposition, rule: str) -> float:
    return page.value("metric_filter_exporter_matches_total", rule=rule) or 0


def _wrong(exporter: Exporter, lines: int, lookback: float) -> str:
    """The differences, once everything was counted or it is too late for that."""
    right = expected(lines)
    with contextlib.suppress(AssertionError):  # the differences say so
        wait_for(
            "every line to be counted",
            lambda: _counted(exporter.scrape()) >= lines,
            timeout=lookback + 60,
        )
    time.sleep(2)  # a line that counted twice would do so now
    page = exporter.scrape()
    found = {rule: _matches(page, rule) for rule in right["matches"]}
    found |= {metric: page.value(metric) or 0 for metric in right["totals"]}
    both = right["matches"] + right["totals"]
    return "; ".join(
        f"{name}: {found[name]:.0f} of {both[name]}" for name in both if found[name] != both[name]
    )


def _cpu(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _rss(pid: int) -> float:
    """Resident memory, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> int:
    """Print a table; 1 if a count is not exact."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines-per-second", type=int, default=3_000)
    parser.add_argument("--quota", type=float, help="pages a second; beyond it AWS throttles")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer")
    parser.add_argument("--late-every", type=int, default=0, help="one line in so many is late")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds")
    parser.add_argument("--lookback", type=float, default=240.0, help="seconds")
    parser.add_argument("--defaults", action="store_true", help="interval 30 s, lookback 1 h")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long is measured")
    parser.add_argument("--warm-up", type=float, help="seconds before; default: the lookback")
    parser.add_argument(
        "--program",
        nargs="+",
        default=["-m", "exporter"],
        help="the program for Python, to profile it",
    )
    options = parser.parse_args()
    interval, lookback = (
        (30.0, 3600.0) if options.defaults else (options.interval, options.lookback)
    )
    outcome = run(
        Traffic(
            options.lines_per_second,
            options.quota,
            options.latency,
            options.late_every,
            lookback / 2,
        ),
        interval=interval,
        lookback=lookback,
        seconds=options.seconds,
        warm_up=lookback + interval if options.warm_up is None else options.warm_up,
        program=tuple(options.program),
    )
    median, worst = outcome.freshness
    cells = {
        "lines/s": f"{options.lines_per_second:,}",
        "interval / lookback, s": f"{interval:g} / {lookback:g}",
        "quota, pages/s": "none" if options.quota is None else f"{options.quota:g}",
        "CPU, % of a core": f"{100 * outcome.cpu_share:.1f}",
        "CPU, us a read": f"{outcome.microseconds:.1f}",
        "pages/s": f"{outcome.pages_per_second:.1f}",
        "throttled/s": f"{outcome.throttled_per_second:.1f}",
        "reads an event": f"{outcome.reads:.1f}",
        "freshness, s (worst)": f"{median:.1f} ({worst:.1f})",
        "RSS, MiB": f"{outcome.rss:.0f}",
        "lines": f"{outcome.lines:,}",
        "counts": outcome.wrong or "exact",
    }
    for row in (cells.keys(), ["---"] * len(cells), cells.values()):
        print("|", " | ".join(row), "|")
    print(f"The server took {100 * outcome.server_share:.1f} % of a core.")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
