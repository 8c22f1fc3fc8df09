"""The contents of a file, with limits: a configuration may name a file that never ends."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

MAX_BYTES = 16 * 2**20
"""The largest file; ten thousand rules have about 3 MB."""
SILENCE = 30.0
"""Seconds after which a pipe without data is an error."""


class TooLargeError(ValueError):
    """The file is larger than MAX_BYTES."""

    def __init__(self) -> None:
        super().__init__(f"the file has more than {MAX_BYTES // 2**20} MiB: is it the right one?")


def read_contents(path: Path) -> bytes:
    """Return the bytes of a file, or of a pipe until it is closed (``/dev/stdin``, ``<(…)``).

    Raises OSError, TooLargeError, and TimeoutError if nothing is written to a pipe.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        about = os.fstat(file.fileno())
        is_regular = stat.S_ISREG(about.st_mode)
        # Files of the kernel have no size, and reading them may block (/proc/kmsg).
        if is_regular and not about.st_size:
            return b""
        if about.st_size > MAX_BYTES:
            raise TooLargeError
        data = file.read(MAX_BYTES + 1) if is_regular else _read_pipe(file.fileno())
    if len(data) > MAX_BYTES:
        raise TooLargeError
    return data


def _open_at_once(name: str, flags: int) -> int:
    """Open a FIFO without waiting for a writer."""
    return os.open(name, flags | os.O_NONBLOCK)


def _read_pipe(descriptor: int) -> bytes:
    data = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # Before the first writer opens the pipe, a read returns nothing, as at the end.
    must_wait = True
    while len(data) <= MAX_BYTES:
        if must_wait and not poll.poll(SILENCE * 1000):
            raise TimeoutError(
                errno.ETIMEDOUT, f"nothing was written to it for {SILENCE:g} s: check the writer"
            )
        try:
            chunk = os.read(descriptor, MAX_BYTES)
        except BlockingIOError:
            must_wait = True
            continue
        if not chunk:
            break
        data += chunk
        must_wait = False
    return data
