"""Pictures of pages, taken by a real browser."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

_CONSOLE = re.compile(r"CONSOLE(?::\d+|\(\d+\))\] (.*)")


def screenshot(
    chromium: Path,
    url: str,
    picture: Path,
    *,
    width: int = 1400,
    height: int = 1000,
    dark: bool = False,
) -> None:
    """Write a PNG of a page; AssertionError with what the browser's console says, if anything.

    What the page's own policy (CSP) refuses is printed to the console too.
    """
    with tempfile.TemporaryDirectory(prefix="chromium-") as profile:
        done = subprocess.run(
            [
                str(chromium),
                "--headless=new",
                "--no-sandbox",  # root in a container cannot have it; the page is the test's own
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--enable-logging=stderr",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--user-data-dir={profile}",
                f"--window-size={width},{height}",
                f"--screenshot={picture}",
                url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    complaints = _CONSOLE.findall(done.stderr)
    assert not complaints, complaints
    assert picture.exists(), f"no picture of {url}: {done.stderr[-2000:]}"
