"""How soon ``increase()`` sees the first match of a series: real Prometheus servers, every 5 s.

    python bench/births.py

From when AWS shows the event (after a restart: from when the exporter listens again) to the first
sample that lets increase() be above 0, for the slowest server. The bound is the source's interval
and three scrapes. The AWS is embedded, in this process.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

from metric_filter_demo.aws import EmbeddedAws
from tests.support.births import INTERVAL, Birth, Births, over_restarts
from tests.support.tools import find_tool

SCRAPE = 5
QUOTAS = {"LookupEvents": math.inf}


def measure(servers: int) -> dict[str, list[Birth]]:
    """All situations with so many servers."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedAws(quotas=QUOTAS) as aws,
        Births(Path(folder), aws, find_tool("prometheus3"), scrape_interval=f"{SCRAPE}s") as scene,
    ):
        for _ in range(servers):
            scene.add_server()
        began = time.time()
        scene.login("192.0.2.1")
        return {"running": scene.seen("192.0.2.1", began), **over_restarts(scene)}


def main() -> None:
    """Print the table."""
    print("| servers | situation | slowest, s | bound, s | samples of the slowest |")
    print("| --- | --- | --- | --- | --- |")
    for servers in (1, 2):
        for situation, births in measure(servers).items():
            slowest = max(births, key=lambda birth: birth.seconds)
            values = " ".join(f"{value:g}" for value in slowest.values)
            bound = INTERVAL + 3 * SCRAPE
            print(f"| {servers} | {situation} | {slowest.seconds:.1f} | {bound:g} | {values} |")


if __name__ == "__main__":
    main()
