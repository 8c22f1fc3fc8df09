"""What is in a file, bounded: a configuration may name files that never end."""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

MAX_BYTES = 16 * 2**20
"""Of one file; ten thousand rules are some 3 MB."""
SILENCE = 30.0
"""Seconds without data after which a pipe is given up."""


class TooLargeError(ValueError):
    """The file is larger than a configuration file can be; the message is a sentence."""

    def __init__(self) -> None:
        super().__init__(f"the file has more than {MAX_BYTES // 2**20} MiB: is it the right one?")


def read_contents(path: Path) -> bytes:
    """A file's bytes; of a pipe (``/dev/stdin``, ``<(…)``, a FIFO), everything that is written.

    Raises OSError, TimeoutError if nothing is written to a pipe, and TooLargeError.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        about = os.fstat(file.fileno())
        is_regular = stat.S_ISREG(about.st_mode)
        # The kernel's own files have no size and may make the reader wait (/proc/kmsg).
        if is_regular and not about.st_size:
            return b""
        if about.st_size > MAX_BYTES:
            raise TooLargeError
        data = file.read(MAX_BYTES + 1) if is_regular else _read_pipe(file.fileno())
    if len(data) > MAX_BYTES:
        raise TooLargeError
    return data


def _open_at_once(name: str, flags: int) -> int:
    """Without O_NONBLOCK, opening a FIFO waits for a writer that may never come."""
    return os.open(name, flags | os.O_NONBLOCK)


def _read_pipe(descriptor: int) -> bytes:
    data = b""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    # Until the first writer came, a read says "end" too.
    must_wait = True
    while len(data) <= MAX_BYTES:
        if must_wait and not poll.poll(SILENCE * 1000):
            raise TimeoutError(
                errno.ETIMEDOUT, f"nothing was written to it for {SILENCE:g} s: what should write?"
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
