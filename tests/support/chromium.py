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
    complaints = _run(
        chromium,
        url,
        f"--blink-settings=preferredColorScheme={0 if dark else 1}",
        f"--window-size={width},{height}",
        f"--screenshot={picture}",
    ).stderr
    assert picture.exists(), f"no picture of {url}: {complaints[-2000:]}"


def title(chromium: Path, url: str) -> str:
    """Return the title of a page once its scripts have run."""
    found = re.search(r"<title>(.*)</title>", _run(chromium, url, "--dump-dom").stdout)
    return found[1] if found else ""


def _run(chromium: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
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
                f"--user-data-dir={profile}",
                *arguments,
                url,
            ],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    complaints = _CONSOLE.findall(done.stderr)
    assert not complaints, complaints
    return done
