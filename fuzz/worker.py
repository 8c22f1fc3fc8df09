"""One target in a separate process, for run.py.

``python -m fuzz.worker TARGET [libFuzzer's arguments]`` fuzzes; ``python -m fuzz.worker TARGET
--replay FOLDER`` replays a corpus repeatedly and measures memory.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from fuzz import targets

_ROUNDS = 12
_REPLAY_SECONDS = 60
_BEGUN = 3
"""Rounds in which caches fill and allocators grow."""


def main() -> None:
    """Fuzz until libFuzzer's limits are reached; it ends the process."""
    name = sys.argv.pop(1)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if sys.argv[1:2] == ["--replay"]:
        _replay(targets.load(name), [*targets.seeds(name), *sorted(Path(sys.argv[2]).iterdir())])
        return
    import atheris  # noqa: PLC0415 - only here is it needed

    # Instrumenting more than the exporter makes it slower, and finds others' branches.
    with atheris.instrument_imports(include=["exporter"]):
        check = targets.load(name)
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()


def _replay(check: Callable[[bytes], None], paths: list[Path]) -> None:
    inputs = [path.read_bytes() for path in paths]
    before = rounds = 0
    start = time.monotonic()
    for rounds in range(1, _ROUNDS + 1):
        for data in inputs:
            check(data)
        if rounds == _BEGUN:
            before = _rss()
        if rounds > _BEGUN and time.monotonic() - start > _REPLAY_SECONDS:
            break
    print(f"replayed {len(inputs)} inputs {rounds} times: {before} KiB, then {_rss()} KiB")


def _rss() -> int:
    """KiB of memory that the process uses, without free memory that the allocator keeps."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not show a process's memory: run it on Linux")


if __name__ == "__main__":
    main()
