"""The wall clock of the exporter's machine steps; the events are counted all the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.chaos.configuration import GROUPS, LOG_REGION, write_configuration
from tests.support.chaos.rounds import settle
from tests.support.chaos.scraper import Scraper
from tests.support.chaos.traffic import Traffic
from tests.support.iam import RecordingAws
from tests.support.processes import Exporter
from tests.support.waiting import wait_for
from tests.support.wall_clock import WallClock

HOURS = 7200.0
MINUTES = 240.0
"""So far off AWS still accepts a signature."""
LOOKBACK = 8
POLLS = "metric_filter_exporter_polls_total"

TELLS_THE_TIME = """
import ctypes, sys, time
COARSE = 5  # Linux: CLOCK_REALTIME_COARSE, which Python does not name
libc = ctypes.CDLL(None)
libc.time.restype = ctypes.c_long
for _ in sys.stdin:
    of_day = (ctypes.c_long * 2)()
    libc.gettimeofday(of_day, None)
    print(time.time(), time.clock_gettime(COARSE), libc.time(None), of_day[0], end=" ")
    print(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), flush=True)
    time.sleep(0.01)
"""


def test_the_wall_clock_alone_is_stepped(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", TELLS_THE_TIME],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**clock.environment},
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        for step in (0, 240, 7200, -7200.5, 0):
            clock.shift(step)
            child.stdin.write("\n")
            child.stdin.flush()
            told = [float(number) for number in child.stdout.readline().split()]
            boot = time.clock_gettime(time.CLOCK_BOOTTIME)
            right = [*[time.time() + step] * 4, time.monotonic(), boot]
            assert told == pytest.approx(right, abs=2)
        child.stdin.close()
        assert child.wait(10) == 0


def test_counts_are_exact_after_the_wall_clock_was_wrong(tmp_path: Path, aws: RecordingAws) -> None:
    for group in GROUPS:
        aws.log_group_create(LOG_REGION, group)
    configuration = tmp_path / "exporter.yaml"
    write_configuration(configuration, lookback=LOOKBACK)
    clock = WallClock(tmp_path)
    with Exporter(
        configuration,
        tmp_path / "data",
        arguments=("--metrics.birth-hold=1s",),
        environment=aws.environment(),
        wall_clock=clock,
    ) as exporter:
        exporter.wait_until_ready()
        traffic, scraper = Traffic(aws, seed=1), Scraper(exporter)
        traffic.start()
        scraper.start()
        polled(exporter, times=1)
        for ahead, times in ((MINUTES, 5), (0, 3), (HOURS, 3), (-HOURS, 3), (-MINUTES, 2)):
            clock.shift(ahead)
            polled(exporter, times=times)
        exporter.kill()
        exporter.start()
        exporter.wait_until_listening()
        polled(exporter, times=2)
        clock.shift(0)
        expected = traffic.stop()
        settle(exporter, expected, lookback=LOOKBACK)
        assert scraper.stop() == []
    assert traffic.made > 300


def polled(exporter: Exporter, *, times: int) -> None:
    """Wait until every place was polled that often from now on; they are polled once a second."""
    before = polls(exporter)

    def gone_on() -> bool:
        still = {
            place: count - before.get(place, 0)
            for place, count in polls(exporter).items()
            if count - before.get(place, 0) < times
        }
        assert still == {}, still
        return True

    wait_for(f"{times} polls", gone_on, timeout=times + 15)


def polls(exporter: Exporter) -> dict[tuple[str, str], float]:
    """Polls so far by source and region; 0 where there was none."""
    page = exporter.scrape()
    places = [("history", "us-east-1"), ("history", "eu-west-1"), ("apps", LOG_REGION)]
    return {
        (source, region): page.value(POLLS, source=source, region=region) or 0.0
        for source, region in places
    }
