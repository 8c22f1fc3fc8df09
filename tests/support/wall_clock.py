"""A wall clock of one process that tests step, the monotonic clock left alone."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.tools import find_tool

_SOURCE = Path(__file__).with_name("wall_clock.c")
_SIZE = ctypes.sizeof(ctypes.c_int64)


class WallClock:
    """The wall clock of the processes that run with ``environment``; right until it is shifted.

    Skips the test where there is no C compiler; with CI=true, fails it.
    """

    def __init__(self, folder: Path) -> None:
        compiler = find_tool("gcc", "cc", "clang")
        library, offset = folder / "wall_clock.so", folder / "wall_clock.offset"
        options = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"]
        subprocess.run([compiler, *options, "-o", library, _SOURCE, "-ldl"], check=True)
        with offset.open("w+b") as file:
            file.truncate(_SIZE)
            self._mapped = mmap.mmap(file.fileno(), _SIZE)
        # One store of 8 bytes: a reader sees the old offset or the new one.
        self._offset = ctypes.c_int64.from_buffer(self._mapped)
        self.environment: Mapping[str, str] = {
            "LD_PRELOAD": str(library),
            "WALL_CLOCK_OFFSET": str(offset),
        }

    def shift(self, seconds: float) -> None:
        """Let the clock be that far ahead (negative: behind) of the right time from now on."""
        self._offset.value = round(seconds * 1e9)
