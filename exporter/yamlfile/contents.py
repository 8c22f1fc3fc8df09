"""What is in a file, bounded: a configuration may name files that never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 16 * 2**20
"""Of one file; ten thousand rules are some 3 MB."""


class TooLargeError(ValueError):
    """The file is larger than a configuration file can be; the message is a sentence."""

    def __init__(self) -> None:
        super().__init__(f"the file has more than {MAX_BYTES // 2**20} MiB: is it the right one?")


def read_contents(path: Path) -> bytes:
    """A file's bytes; of a pipe, all that comes. Raises OSError and TooLargeError."""
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        # The kernel's own files have no size and may make the reader wait (/proc/kmsg).
        if stat.S_ISREG(about.st_mode) and not about.st_size:
            return b""
        if about.st_size > MAX_BYTES:
            raise TooLargeError
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TooLargeError
    return data
