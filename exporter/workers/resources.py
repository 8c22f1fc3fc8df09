"""The cores and the memory that the process may use, by its affinity and its control group."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from exporter.aws.objects import MOST_BYTES

MAIN_BYTES: Final = 240 * 2**20
"""Memory of the main process and of those that start workers, about, that no worker may use."""
WORKER_BYTES: Final = 130 * 2**20
"""Memory of a worker at most, with documents of 32 MiB."""
_LOADED_BYTES: Final = 16 * 2**20
_PROC: Final = Path("/proc/self/cgroup")
_GROUPS: Final = Path("/sys/fs/cgroup")


def workers() -> int:
    """How many workers fit the cores and the memory; at least one."""
    limit = memory_limit()
    fitting = math.inf if limit is None else (limit - MAIN_BYTES) // WORKER_BYTES
    return int(max(1, min(cores(), fitting)))


def loaded_bytes() -> int:
    """Bytes of objects that a process may have loaded before they are read."""
    limit = memory_limit()
    return _LOADED_BYTES if limit is None else min(_LOADED_BYTES, limit // 32)


def object_bytes() -> int:
    """Bytes of the largest object that is read, before decompression.

    A process holds one besides ``loaded_bytes``.
    """
    limit = memory_limit()
    return MOST_BYTES if limit is None else min(MOST_BYTES, limit // 16)


def cores(proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Cores that the process may use, rounded up; at least one."""
    found: list[float] = [len(os.sched_getaffinity(0))]
    for text in _settings("cpu.max", proc, groups):
        quota, period = text.split()
        if quota != "max":
            found.append(int(quota) / int(period))
    return max(1, math.ceil(min(found)))


def memory_limit(proc: Path = _PROC, groups: Path = _GROUPS) -> int | None:
    """Bytes that the process and its children may use together; None if there is no limit."""
    return min(
        (int(text) for text in _settings("memory.max", proc, groups) if text != "max"), default=None
    )


def _settings(name: str, proc: Path, groups: Path) -> Iterator[str]:
    """A setting of the process's control group (version 2) and of those that contain it.

    In a container, the path is often that of the host, and only the root is there.
    """
    try:
        lines = proc.read_text().splitlines()
    except OSError:
        return
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    group = Path(path)
    for folder in (group, *group.parents) if path else (group,):
        try:
            text = (groups / folder / name).read_text().strip()
        except OSError:
            continue
        if text:
            yield text
