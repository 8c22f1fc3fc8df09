"""What the security overview costs a Prometheus.

    python -m bench.dashboards [--callers 10] [--days 7] [--step 240]

An organization of 60 accounts in 4 regions, with some callers in each. The series that
alerts/security-overview.yaml records are made for the time range, one sample a step, and each query
of the dashboard is sent once. Prints the CPU seconds of the Prometheus process for each panel. The
rules' own metrics are not made, so the few panels that read them are left out.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

sys.path.insert(0, str(Path(__file__).parents[1] / "grafana-dashboards"))

from generator.trail_rules import RULES
from tests.support.dashboards import FOLDER, Dashboard, Window
from tests.support.prometheus import Prometheus
from tests.support.tools import find_tool

PLACES: Final = [(f"{n:012}", f"region-{r}") for n in range(60) for r in range(4)]
RECORDED: Final = ":aws_events:"
BAR: Final = 3600
"""Seconds of a bar that Grafana chooses for a week, for at most 200 bars."""


def samples(callers: int, begin: int, end: int, step: int) -> Iterator[str]:
    """The recorded series in OpenMetrics; each grows by one every six hours."""
    metrics = sorted({rule.metric for rule in RULES.values()})
    # An hour before the start too, since there the queries look for the total.
    moments = range(begin - 3600, end + 1, step)
    series: Counter[str] = Counter()
    for index in range(len(PLACES) * callers):
        account, region = PLACES[index % len(PLACES)]
        metric = metrics[(index + index // len(PLACES)) % len(metrics)]
        place = f'metric="{metric}",account_id="{account}",region="{region}"'
        series[f"place:aws_events:%s{{{place}}}"] += 1
        caller = f'user="user-{index}",session="s",event="Call"'
        series[f"principal:aws_events:%s{{{place},{caller}}}"] = 1
    for name in ("total", "base"):
        for labelled, callers_there in sorted(series.items()):
            for at in moments:
                value = (at - begin) // 21_600 * callers_there if name == "total" else 0
                yield f"{labelled % name} {max(value, 0)} {at}\n"
    for rule in RULES.values():
        labels = f'rule="{rule.name}",title="{rule.title}",severity="{rule.severity}"'
        yield (
            f'metric_filter_rule_info{{{labels},metric="{rule.metric}",job="j",instance="i"}}'
            f" 1 {end}\n"
        )
    yield "# EOF\n"


def main() -> None:
    """Print a line for each panel, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--callers", type=int, default=10, help="in each account and region")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--step", type=int, default=240, help="seconds between samples")
    given = parser.parse_args()
    end = int(time.time() // 3600 * 3600) - 86_400
    begin = end - given.days * 86_400
    board = Dashboard(FOLDER / "aws-security-overview.json")
    window = Window(f"{end - begin}s", f"{BAR}s", f"{BAR}s")
    used: dict[str, float] = defaultdict(float)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "samples.txt").open("w") as file:
            file.writelines(samples(given.callers, begin, end, given.step))
        # In blocks as long as Prometheus makes them; promtool reads the file once for each.
        command = [str(find_tool("promtool3")), "tsdb", "create-blocks-from", "openmetrics"]
        command += ["--max-block-duration=512h", str(folder / "samples.txt"), str(folder / "tsdb")]
        subprocess.run(command, check=True, capture_output=True)
        (folder / "samples.txt").unlink()
        with (
            Prometheus(find_tool("prometheus3"), folder, targets={}) as server,
            httpx.Client(base_url=server.url, timeout=120, trust_env=False) as client,
        ):
            for query in board.panel_queries({}, window):
                if RECORDED not in query.expression:
                    continue
                before = _cpu_seconds(client)
                asked = {"query": query.expression}
                if query.instant:
                    client.post("/api/v1/query", data=asked | {"time": str(end)}).raise_for_status()
                else:
                    times = {"start": str(begin), "end": str(end), "step": str(BAR)}
                    client.post("/api/v1/query_range", data=asked | times).raise_for_status()
                used[query.panel] += _cpu_seconds(client) - before
    for panel, seconds in sorted(used.items(), key=lambda item: -item[1]):
        print(f"{seconds:7.2f} s  {panel}")
    series = len(PLACES) * given.callers
    print(f"{sum(used.values()):7.2f} s  {len(used)} panels, {given.days} days, {series:,} series")


def _cpu_seconds(client: httpx.Client) -> float:
    text = client.get("/metrics").text
    (found,) = re.findall(r"^process_cpu_seconds_total (\S+)$", text, re.MULTILINE)
    return float(found)


if __name__ == "__main__":
    main()
