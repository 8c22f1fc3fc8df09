"""Workers follow from the cores and the memory that a container may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exporter.workers import resources


@pytest.mark.parametrize(
    ("text", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 64)]
)
def test_cores_are_those_of_the_quota_and_the_affinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    (tmp_path / "cgroup").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert resources.cores(tmp_path / "cgroup", tmp_path) == cores


def test_the_least_limit_of_the_groups_around_the_process_holds(tmp_path: Path) -> None:
    inner = tmp_path / "pod" / "container"
    inner.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("1:name=systemd:/x\n0::/pod/container\n")
    assert resources.memory_limit(tmp_path / "cgroup", tmp_path) is None
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("268435456\n")
    assert resources.memory_limit(tmp_path / "cgroup", tmp_path) == 256 * 2**20
    (tmp_path / "cgroup").write_text("0::/path/of/the/host\n")
    (tmp_path / "memory.max").write_text("134217728\n")
    assert resources.memory_limit(tmp_path / "cgroup", tmp_path) == 128 * 2**20


@pytest.mark.parametrize(("mebibytes", "workers"), [(128, 1), (490, 1), (512, 2), (None, 4)])
def test_as_many_workers_run_as_fit_the_memory(
    monkeypatch: pytest.MonkeyPatch, mebibytes: int | None, workers: int
) -> None:
    monkeypatch.setattr(resources, "cores", lambda: 4)
    limit = None if mebibytes is None else mebibytes * 2**20
    monkeypatch.setattr(resources, "memory_limit", lambda: limit)
    assert resources.workers() == workers


@pytest.mark.parametrize(("mebibytes", "most"), [(128, 8), (256, 16), (1024, 30), (None, 30)])
def test_the_largest_object_follows_from_the_memory(
    monkeypatch: pytest.MonkeyPatch, mebibytes: int | None, most: int
) -> None:
    limit = None if mebibytes is None else mebibytes * 2**20
    monkeypatch.setattr(resources, "memory_limit", lambda: limit)
    assert resources.object_bytes() == most * 2**20
