"""What a configuration was read from, and whether that is still what stands there."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


class Footprint:
    """The files that a configuration was read from, as they were just before they were read.

    Compared are digests of contents, not times: right where a volume's times are coarse, cached or
    copied (NFS, ConfigMaps), and a file that is only touched has not changed.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._globs: set[str] = set()
        self._seen: dict[str, bytes | None] = {}

    def add_files(self, paths: Iterable[Path]) -> None:
        """Note files by name, whether they exist or not."""
        names = {_absolute(path) for path in paths}
        self._files |= names
        self._note(names)

    def find(self, pattern: str) -> list[Path]:
        """Note an absolute glob and return the regular files that it finds, sorted."""
        self._globs.add(pattern)
        names = _found(pattern)
        self._note(names)
        return [Path(name) for name in sorted(names)]

    @property
    def seen(self) -> Mapping[str, bytes | None]:
        """Digests by absolute path; None: there was no regular file that could be read."""
        return self._seen

    def look(self) -> dict[str, bytes | None]:
        """The same as it is now: another answer than ``seen`` means that something changed."""
        names = self._files.union(*map(_found, self._globs))
        return {name: _digest(name) for name in names}

    def _note(self, names: set[str]) -> None:
        # Before the files are read: what changes in between will be seen as a change.
        self._seen.update((name, _digest(name)) for name in names - self._seen.keys())


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - symbolic links stay: they are what is swapped


def _found(pattern: str) -> set[str]:
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 - Path.glob wants a relative one
    return {name for name in names if Path(name).is_file()}


def _digest(name: str) -> bytes | None:
    path = Path(name)
    try:
        if not path.is_file():  # a pipe, as in --config.file=<(…), can be read but once
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return None
