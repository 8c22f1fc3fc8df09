"""A look for the files of a source, and for what became of those that were read."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import structlog

from exporter.model import DamagedCheckpointError, Partition
from exporter.sources.base import Discovery, Move
from exporter.sources.file_position import FilePosition
from exporter.sources.file_rotation import Resolved, Stats, resolve

_REPLACED: Final = (
    "file was replaced or truncated, and its former content is not found: lines that were"
    " written to it since the last poll do not count; reading from the start"
)
_ALIKE: Final = (
    "file begins like one that was read, but without a time that would show that it is the same"
    " one: it counts from its start"
)
_COPY: Final = "file is a copy of one that is read, and is left out while both are there"

_log = structlog.get_logger(__name__)


class Look:
    """Looks for files, each time with the memory of the last one."""

    def __init__(
        self,
        place: Partition,
        paths: Sequence[str],
        checkpoints: Callable[[str], Mapping[str, str]] | None,
        warn_once: Callable[[str, str], None],
        now: Callable[[], int],
    ) -> None:
        """Nothing is looked for yet.

        ``place``: of the source, a partition without a path. ``checkpoints``: see Environment.
        ``warn_once`` logs a message about a path. ``now``: milliseconds.
        """
        self._place = place
        self._paths = paths
        self._checkpoints = checkpoints
        self._warn_once = warn_once
        self._now = now
        self._seen: Mapping[str, tuple[int, int, int]] = {}
        """Inode, size and modification time of each file, if all were in their places then."""
        self._copies: Collection[str] = ()

    def __getstate__(self) -> dict[str, Any]:
        # Workers look for nothing.
        return {}

    def discovery(self) -> Discovery:
        """The files that exist now, and the checkpoints that change because files were renamed."""
        files: dict[str, os.stat_result] = {}
        for pattern in self._paths:
            found = _existing(pattern)
            if not found:
                self._warn_once(pattern, "no such file (yet), it is looked for again")
            files.update(found)
        seen = {path: _signature(one) for path, one in files.items()}
        if seen == self._seen:
            return Discovery(list(map(self._partition, sorted(seen.keys() - self._copies))))
        unchanged = {path for path, one in seen.items() if self._seen.get(path) == one}
        known = {} if self._checkpoints is None else self._checkpoints(self._place.source)
        others = _other_names(files, known)
        for path in others:
            del files[path]
        positions = self._positions({k: one for k, one in known.items() if k not in others})
        resolved = resolve(files, positions, self._now(), self._is_read, unchanged)
        self._seen = {} if resolved.moved or resolved.elsewhere else seen
        self._copies = resolved.copies.keys() | others
        self._note(resolved)
        paths = (files.keys() - resolved.copies.keys()) | resolved.elsewhere
        return Discovery(
            [self._partition(path) for path in sorted(paths)],
            moved={
                self._partition(path): Move(
                    known.get(path), None if position is None else position.encode()
                )
                for path, position in resolved.moved.items()
            },
        )

    def _is_read(self, path: str) -> bool:
        return any(_matches(pattern, path) for pattern in self._paths)

    def _partition(self, path: str) -> Partition:
        return Partition(self._place.source, resource=path, kind=self._place.kind)

    def _positions(self, known: Mapping[str, str]) -> dict[str, FilePosition]:
        positions = {}
        for path, checkpoint in known.items():
            try:
                positions[path] = FilePosition.decode(checkpoint)
            except DamagedCheckpointError:
                continue  # its poll reports it
        return positions

    def _note(self, resolved: Resolved) -> None:
        for path in resolved.replaced:
            _log.warning(_REPLACED, path=path)
        for path, before in resolved.carried.items():
            _log.info("file was renamed or copied, reading continues", path=path, before=before)
        for path in resolved.alike:
            self._warn_once(path, _ALIKE)
        for path in resolved.copies:
            self._warn_once(path, _COPY)


def _signature(one: os.stat_result) -> tuple[int, int, int]:
    return one.st_ino, one.st_size, one.st_mtime_ns


def _other_names(files: Stats, known: Collection[str]) -> set[str]:
    """All but one of the paths that lead to the same file, by links. One that was read is kept."""
    paths: dict[tuple[int, int], str] = {}
    others: set[str] = set()
    for path in sorted(files, key=lambda one: (one not in known, one)):
        one = files[path]
        kept = paths.setdefault((one.st_dev, one.st_ino), path)
        # Some file systems give the same inode to several files.
        if kept != path and (one.st_nlink > 1 or os.path.realpath(path) == os.path.realpath(kept)):
            others.add(path)
    return others


def _matches(pattern: str, path: str) -> bool:
    """Whether a glob matches a path; ``**`` stands for any folders."""
    if "**" in pattern:
        return fnmatchcase(path, pattern.replace("**/", "*"))
    parts, names = pattern.split("/"), path.split("/")
    return len(parts) == len(names) and all(map(fnmatchcase, names, parts))


def _existing(pattern: str) -> Stats:
    """The regular files that a path or glob matches, by absolute path."""
    # os.path, because Path raises errors for folders without permission and resolves links.
    alone = _of_file(pattern)
    if alone is not None:
        return {os.path.abspath(pattern): alone}  # noqa: PTH100
    paths = glob.glob(pattern, recursive=True)  # noqa: PTH207
    found = {os.path.abspath(path): _of_file(path) for path in paths}  # noqa: PTH100
    return {path: one for path, one in found.items() if one is not None}


def _of_file(path: str) -> os.stat_result | None:
    try:
        one = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return None
    return one if stat.S_ISREG(one.st_mode) else None
