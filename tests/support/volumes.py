"""Small file systems, to see what happens when they are full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_volume(path: Path, *, size: str) -> Iterator[Path]:
    """Mount a tmpfs of a size such as ``2m`` at a new path; skips if mounting is not permitted."""
    path.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)]
    if subprocess.run(["mount", *options], check=False).returncode != 0:
        pytest.skip("mounting a file system is not permitted here")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)
