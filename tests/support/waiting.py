"""Waiting for something to become true, without sleeping longer than needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(
    what: str, probe: Callable[[], T | None], *, timeout: float = 30.0, every: float | None = None
) -> T:
    """Call ``probe`` until it gives something true and return that; AssertionError after a while.

    ``what`` completes the sentence "waited 30 s for …". A probe may also raise to say what is
    missing: an AssertionError or an OSError (nothing listens yet) counts as not yet. ``every``:
    seconds between calls; by default few at first, then a tenth, since most probes are scrapes.
    """
    pause = 0.01 if every is None else every
    deadline = time.monotonic() + timeout
    while True:
        missing: Exception | None = None
        try:
            found = probe()
        except (AssertionError, OSError) as error:
            missing = error
        else:
            if found:
                return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}") from missing
        time.sleep(pause)
        if every is None:
            pause = min(2 * pause, 0.1)
