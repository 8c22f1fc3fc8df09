"""The files of a configuration, to detect changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from exporter.yamlfile.contents import TooLargeError, read_contents
from exporter.yamlfile.globs import GlobError, find_files


class Footprint:
    """The files that a configuration was read from, as they were just before they were read.

    Digests of the contents are compared, because times can be coarse, cached or copied (NFS,
    ConfigMaps). A file that is only touched has not changed.
    """

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._globs: set[str] = set()
        self.seen: dict[str, bytes | None] = {}
        """Digests by absolute path; None if it is not a readable regular file."""

    def add_files(self, paths: Iterable[Path]) -> None:
        """Add files, whether they exist or not."""
        # Symbolic links are not resolved, because Kubernetes changes files by swapping links.
        names = [str(path.absolute()) for path in paths]
        self._files.update(names)
        self._note(names)

    def find(self, pattern: str) -> list[Path]:
        """Add an absolute glob; return the regular files that it finds, sorted.

        Raises GlobError if it finds or visits too many.
        """
        self._globs.add(pattern)
        names = find_files(pattern)
        self._note(names)
        return [Path(name) for name in names]

    def look(self) -> dict[str, bytes | None]:
        """Return the digests now; a file has changed if they differ from ``seen``."""
        names = self._files.union(*map(_found, self._globs))
        return {name: _digest(name) for name in names}

    def _note(self, names: Iterable[str]) -> None:
        # Called before the files are read, so a change in between is detected.
        for name in names:
            if name not in self.seen:
                self.seen[name] = _digest(name)


def _found(pattern: str) -> list[str]:
    try:
        return find_files(pattern)
    except GlobError:
        return []


def _digest(name: str) -> bytes | None:
    path = Path(name)
    try:
        if not path.is_file():  # a pipe, as in --config.file=<(…), can be read only once
            return None
        return hashlib.blake2b(read_contents(path)).digest()
    except (OSError, TooLargeError):
        return None
