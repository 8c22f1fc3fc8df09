"""Paths and globs in a configuration; globs are limited in how much they visit and find."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path

MAX_FOUND = 1_000
"""Files that a glob may find."""
MAX_VISITED = 20_000
"""Entries of folders that a glob may visit."""

_ANY_FOLDERS = "**"


class GlobError(ValueError):
    """A glob finds or visits too many files."""


def is_path(name: str) -> bool:
    """Return whether a text can be a path: YAML texts can contain a NUL, paths cannot."""
    return "\0" not in name


def absolute_glob(folder: Path, pattern: str) -> str:
    """Return the absolute form of a glob that is relative to a folder."""
    return os.path.abspath(Path(glob.escape(str(folder.absolute())), pattern))  # noqa: PTH100 a glob


def find_files(pattern: str) -> list[str]:
    """Return the regular files that an absolute glob finds, sorted; symbolic links are followed.

    As in ``glob.glob(…, recursive=True)``, ``*``, ``?`` and ``[…]`` match no leading dot, and
    ``**`` no hidden folders. Raises GlobError at a limit, because ``/proc/**`` never ends.
    """
    walk = _Walk(pattern)
    root, *steps = pattern.split("/")
    found: set[str] = set()
    for name in walk.names(f"{root}/", [step for step in steps if step]):
        if name not in found and os.path.isfile(name):  # noqa: PTH113 - thousands of them
            found.add(name)
            if len(found) > MAX_FOUND:
                raise GlobError(
                    f"{pattern} finds more than {MAX_FOUND:,} files: name a narrower pattern"
                )
    return sorted(found)


class _Walk:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._visited = 0

    def names(self, folder: str, steps: list[str]) -> Iterator[str]:
        """Yield the paths below a folder (with a final slash) that match the steps."""
        step, *others = steps
        if step == _ANY_FOLDERS:
            yield from self._any_folders(folder, others)
            return
        if not glob.has_magic(step):
            path = folder + step
            if not others:
                yield path
            elif os.path.isdir(path):  # noqa: PTH112
                yield from self.names(f"{path}/", others)
            return
        matches = re.compile(translate(step)).match
        for entry in self._entries(folder):
            if not matches(entry.name) or (entry.name[0] == "." != step[0]):
                continue
            if not others:
                yield entry.path
            elif _is_folder(entry):
                yield from self.names(f"{entry.path}/", others)

    def _any_folders(self, folder: str, others: list[str]) -> Iterator[str]:
        pending = [folder]
        while pending:
            here = pending.pop()
            if others:
                yield from self.names(here, others)
            for entry in self._entries(here):
                if entry.name[0] == ".":
                    continue
                if _is_folder(entry):
                    pending.append(f"{entry.path}/")
                elif not others:
                    yield entry.path

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    self._visited += 1
                    if self._visited > MAX_VISITED:
                        raise GlobError(
                            f"{self._pattern} looks at more than {MAX_VISITED:,} files and folders:"
                            " name a narrower pattern"
                        )
                    yield entry
        except OSError:
            return  # as in the standard library, a folder that cannot be listed is empty


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
