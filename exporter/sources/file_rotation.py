"""What became of files that were read: renamed, copied, compressed, truncated, replaced or removed.

A position belongs to a file, not to its path. It is carried over to the path where the file is now,
so each of its lines counts once.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from exporter.model import DamagedContentError
from exporter.sources.decompression import decompressed
from exporter.sources.file_position import FilePosition, ends, ends_of, sample_of

FORGOTTEN_AFTER: Final = 14 * 86_400_000
"""Milliseconds for which the position of a file that is gone is kept."""

_TIMED: Final = re.compile(rb"\d\d:\d\d|\d{9}")
"""A time of day or seconds since the epoch: other log files do not have the same bytes."""
_ENDS_OF_STEMS: Final = re.compile(r"[.~_-]|\Z")
_MOST_COMPARED: Final = 64
"""Files beside a log file that are compared with it, the newest ones."""
_HEAD: Final = 64 * 1024

Stats = Mapping[str, os.stat_result]
"""Files by path."""


@dataclass(slots=True)
class Resolved:
    """The positions that change, and what else is to be known."""

    moved: dict[str, FilePosition | None] = field(default_factory=dict)
    """By the path of the partition; None if its file is read from the start, or forgotten."""
    copies: dict[str, str] = field(default_factory=dict)
    """Files that are not read, and those that they are copies of."""
    elsewhere: set[str] = field(default_factory=set)
    """Paths whose file was rotated to a path that is not read, and may have more to read."""
    carried: dict[str, str] = field(default_factory=dict)
    """Paths whose file was read at another path, and that path."""
    replaced: list[str] = field(default_factory=list)
    """Paths whose file is not found any more; another one has its place."""
    alike: dict[str, str] = field(default_factory=dict)
    """Files that begin as another one did, but have no time in these bytes; and the other."""


def resolve(
    files: Stats,
    known: Mapping[str, FilePosition],
    now: int,
    is_read: Callable[[str], bool],
    unchanged: Collection[str] = (),
) -> Resolved:
    """Find the files of all positions.

    Args:
        files: those that are read.
        known: positions by the path of their partition.
        now: milliseconds.
        is_read: whether a file at a path would be read.
        unchanged: files that are known to be in their places.
    """
    return _Resolution(files, known, now, is_read, unchanged).run()


class _Resolution:
    def __init__(
        self,
        files: Stats,
        known: Mapping[str, FilePosition],
        now: int,
        is_read: Callable[[str], bool],
        unchanged: Collection[str],
    ) -> None:
        self._files = files
        self._known = known
        self._now = now
        self._is_read = is_read
        self._unchanged = unchanged
        self._resolved = Resolved()
        self._loose: dict[str, FilePosition] = {}
        """The positions whose file is not where it was."""
        self._folders: dict[str, list[os.DirEntry[str]]] = {}
        self._by_stem: dict[tuple[str, str], list[str]] = defaultdict(list)
        """Log files by folder and beginning of the name."""

    def run(self) -> Resolved:
        for path, position in self._known.items():
            if not self._is_in_place(path, position):
                self._loose[path] = position
            elif position.path:
                if self._is_read(path):
                    self._resolved.elsewhere.add(path)
            elif position.gone:
                self._resolved.moved[path] = position.lost(0)
        new = [
            path for path in sorted(self._files) if path not in self._known or path in self._loose
        ]
        if not new and not self._loose:
            return self._resolved
        unclaimed = dict(self._loose)
        new = self._claimed_by_inode(new, unclaimed)
        self._claim_by_content(new, unclaimed)
        for path, position in unclaimed.items():
            self._look_elsewhere(path, position)
        return self._resolved

    def _is_in_place(self, path: str, position: FilePosition) -> bool:
        at = position.path or path
        if position.path:
            if position.path in self._files:
                return False
            stat = _stat(at)
        elif path in self._unchanged:
            return True
        else:
            # A file that the source no longer reads keeps its position.
            stat = self._files.get(path) or (None if position.gone else _stat(path))
        return stat is not None and (position.finished_with(stat) or _holds(at, stat, position))

    def _claim(self, new: str, owner: str, position: FilePosition) -> None:
        moved = self._resolved.moved
        moved[new] = position
        if owner != new:
            self._resolved.carried[new] = owner
            moved.setdefault(owner, None)

    def _claimed_by_inode(self, new: list[str], unclaimed: dict[str, FilePosition]) -> list[str]:
        """Carry over the positions of renamed files; returns the other files."""
        by_inode: dict[int, list[str]] = defaultdict(list)
        for path, position in self._loose.items():
            by_inode[position.inode].append(path)
        left = []
        for path in new:
            stat = self._files[path]
            for owner in by_inode.get(stat.st_ino, ()):
                position = self._loose[owner]
                if owner in unclaimed and _holds(path, stat, position):
                    self._claim(path, owner, position.renamed(""))
                    del unclaimed[owner]
                    break
            else:
                left.append(path)
        return left

    def _claim_by_content(self, new: list[str], unclaimed: dict[str, FilePosition]) -> None:
        """Carry over the positions of files that were copied or compressed."""
        left = []
        for path in new:
            # Another file may have been renamed, and this one written with the same content.
            own = self._loose.get(path)
            if own is None or not self._claim_like(path, {path: own}, unclaimed):
                left.append(path)
        for path in left:
            if not self._is_copy(path):
                self._claim_like(path, unclaimed, unclaimed)

    def _claim_like(
        self,
        path: str,
        candidates: Mapping[str, FilePosition],
        unclaimed: dict[str, FilePosition],
    ) -> bool:
        found = self._like(path, self._files[path], candidates)
        if found is None:
            return False
        owner, position = found
        self._claim(path, owner, position)
        unclaimed.pop(owner, None)
        return True

    def _is_copy(self, path: str) -> bool:
        """Whether a file is a copy of one that is read and still there, or is becoming one."""
        original = os.path.splitext(path)[0]  # noqa: PTH122 - a name may be no text
        with suppress(OSError):
            if original in self._files and original != path:
                is_copy = _is_compressed_copy(path, self._files[path], original)
                if is_copy is not None:
                    if is_copy:
                        self._resolved.copies[path] = original
                    return is_copy
            for other in self._related(path):
                if _is_beginning(path, self._files[path].st_size, other):
                    self._resolved.copies[path] = other
                    return True
        return False

    def _related(self, path: str) -> Iterator[str]:
        """Log files whose name begins like that of a file beside them, and that are not shorter."""
        if not self._by_stem:
            for other in self._files:
                position = self._now_at(other)
                if position is None or position.unit == "bytes":
                    folder, name = os.path.split(other)
                    self._by_stem[folder, name.partition(".")[0]].append(other)
        folder, name = os.path.split(path)
        size = self._files[path].st_size
        for end in _ENDS_OF_STEMS.finditer(name):
            for other in self._by_stem.get((folder, name[: end.start()]), ())[:_MOST_COMPARED]:
                if other == path or other in self._resolved.copies:
                    continue
                # Of two new files with the same content, one is the copy.
                longer = self._files[other].st_size - size
                if longer > 0 or (not longer and (other < path or self._now_at(other))):
                    yield other

    def _now_at(self, path: str) -> FilePosition | None:
        """The position of the file that has a path now, as far as it is known."""
        moved = self._resolved.moved
        return moved.get(path) if path in moved or path in self._loose else self._known.get(path)

    def _like(
        self, path: str, stat: os.stat_result, candidates: Mapping[str, FilePosition]
    ) -> tuple[str, FilePosition] | None:
        """The position of a file with the same content as another one, and where it was."""
        candidates = {owner: one for owner, one in candidates.items() if one.covered}
        if not candidates:
            return None
        with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - quicker
            lengths = {one.covered for one in candidates.values()}
            content = decompressed(file, stat.st_size)
            if content is None:
                found = {length: ends(file, length) for length in lengths if length <= stat.st_size}
            else:
                found = ends_of(_undamaged(content), lengths)
            for owner, position in candidates.items():
                both = found.get(position.covered)
                if both is None or sample_of(both) != position.sample:
                    continue
                if not _has_time(both[1]):
                    self._resolved.alike[path] = owner
                    continue
                if content is None:
                    return owner, position.of_copy(stat)
                return owner, position.in_compressed(stat)
        return None

    def _look_elsewhere(self, path: str, position: FilePosition) -> None:
        """Find a file at a path that is not read, or note that it is gone."""
        is_replaced = path in self._files
        if is_replaced or (not position.gone and self._is_read(path)):
            found = None if position.finished else self._beside(path, position)
            if found is not None:
                self._resolved.moved[path] = found
                self._resolved.elsewhere.add(path)
                return
        if is_replaced:
            self._resolved.replaced.append(path)
            if path not in self._resolved.moved:
                self._resolved.moved[path] = None
        elif not position.gone:
            self._resolved.moved[path] = position.lost(self._now)
        elif self._now - position.gone > FORGOTTEN_AFTER:
            self._resolved.moved[path] = None

    def _beside(self, path: str, position: FilePosition) -> FilePosition | None:
        """The position of a file that was rotated within its folder."""
        folder, name = os.path.split(path)
        others = [one for one in self._entries(folder) if one.path not in self._files]
        for one in others:
            if one.inode() == position.inode and _is_text(one.path):
                stat = _stat(one.path)
                if stat is not None and _holds(one.path, stat, position):
                    return position.renamed(one.path)
        stem = name.partition(".")[0]
        alike = [one for one in others if one.name.startswith(stem) and _is_text(one.path)]
        stats = {one.path: stat for one in alike if (stat := _stat(one.path)) is not None}
        newest = sorted(stats, key=lambda one: stats[one].st_mtime_ns, reverse=True)
        for other in newest[:_MOST_COMPARED]:
            found = self._like(other, stats[other], {path: position})
            if found is not None:
                return found[1].renamed(other)
        return None

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        if folder not in self._folders:
            self._folders[folder] = []
            with suppress(OSError), os.scandir(folder) as entries:
                self._folders[folder] = [
                    one for one in entries if one.is_file(follow_symlinks=False)
                ]
        return self._folders[folder]


def _is_compressed_copy(path: str, stat: os.stat_result, original: str) -> bool | None:
    """Whether a file has the same content as another one; None if it is not compressed."""
    with open(path, "rb") as file:  # noqa: PTH123 - quicker
        chunks = decompressed(file, stat.st_size)
        if chunks is None:
            return None
        head = b""
        with suppress(DamagedContentError):  # it is being written
            while len(head) < _HEAD and (chunk := next(chunks, b"")):
                head += chunk
        head = head[:_HEAD]
    with open(original, "rb") as other:  # noqa: PTH123
        is_same = other.read(len(head)) == head
    return is_same and (not head or _has_time(head))


def _is_beginning(path: str, size: int, original: str) -> bool:
    """Whether a file of this size is the beginning of another one, so that no line is its own."""
    with open(path, "rb") as file, open(original, "rb") as other:  # noqa: PTH123
        found = ends(file, size)
        return _has_time(found[1]) and found == ends(other, size)


def _has_time(content: bytes) -> bool:
    return _TIMED.search(content.replace(b"\0", b"")) is not None


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except OSError:
        return None


def _holds(path: str, stat: os.stat_result, position: FilePosition) -> bool:
    """Whether a file is the one of a position. One that cannot be read counts as unchanged."""
    if stat.st_ino != position.inode or stat.st_size < position.covered:
        return False
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - quicker
            return position.holds_for(file, stat)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_text(path: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in path)


def _undamaged(content: Iterator[bytes]) -> Iterator[bytes]:
    with suppress(DamagedContentError):
        yield from content
