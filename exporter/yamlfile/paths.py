"""Paths and globs as a configuration file writes them."""

from __future__ import annotations

import glob
import os
from pathlib import Path


def is_path(name: str) -> bool:
    """Whether a file can have this name: YAML can write a NUL, which no system call takes."""
    return "\0" not in name


def absolute_glob(folder: Path, pattern: str) -> str:
    """Make a glob absolute that is relative to a folder (whose own name is no pattern)."""
    return os.path.abspath(Path(glob.escape(str(folder.absolute())), pattern))  # noqa: PTH100 a glob
