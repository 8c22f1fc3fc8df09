"""Folders for the files that targets write."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def own_folder(name: str) -> Path:
    """A folder of this process, which is deleted at its end."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
