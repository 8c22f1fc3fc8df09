"""The wall clock of the exporter's machine steps; the events are counted all the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.wall_clock import WallClock

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
