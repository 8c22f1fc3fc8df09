"""``../shared``, beside the repository: samples and cases that some tests compare with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.tools import ROOT, lacking

SHARED = ROOT.parent / "shared"


def shared_files(folder: str, pattern: str = "*") -> list[Path]:
    """Return the files of a folder of ``../shared``, by name.

    Skips the test if ``../shared`` is not there. If it is there and the files cannot be read, the
    test fails with CI=true and is skipped otherwise; either way the summary names the folder.
    """
    if not os.path.lexists(SHARED):
        pytest.skip(f"no ../shared beside the repository ({folder})")
    try:
        files = sorted(path for path in (SHARED / folder).glob(pattern) if path.is_file())
        for file in files:
            with file.open("rb") as content:
                content.read(1)
    except OSError as error:
        lacking(f"../shared/{folder} cannot be read: {error}")
    if not files:
        lacking(f"../shared/{folder} has no {pattern}")
    return files
