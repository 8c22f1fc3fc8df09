"""The space of the ledger's files: how much they take, and giving back what deletions free."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_INCREMENTAL: Final = 2
"""SQLite: PRAGMA auto_vacuum. Earlier ledgers have 0, and keep their size (docs/operations.md)."""
_KEPT_PAGES: Final = 256
"""Free pages that are kept in any case, 1 MiB: the next events take them."""
_KEPT_SHARE: Final = 8
"""Of so many pages, one may be free."""
_PAGES: Final = 256
"""Pages of one step, some milliseconds."""


def give_back(cursor: sqlite3.Cursor) -> bool:
    """Cut some free pages off the file, in a transaction; return whether there are more to cut."""
    (mode,) = cursor.execute("PRAGMA auto_vacuum").fetchone()
    (free,) = cursor.execute("PRAGMA freelist_count").fetchone()
    (pages,) = cursor.execute("PRAGMA page_count").fetchone()
    more = int(free) - max(_KEPT_PAGES, int(pages) // _KEPT_SHARE)
    if mode != _INCREMENTAL or more <= 0:
        return False
    for _ in range(min(more, _PAGES)):
        # One page each: Python's module takes a single step of a statement without columns.
        cursor.execute("PRAGMA incremental_vacuum(1)")
    return more > _PAGES


def size_of(files: Iterable[Path]) -> int:
    """Return the bytes of files; one that is missing has none. Raises OSError."""
    return sum(file.stat().st_size for file in files if file.exists())


def free_bytes(path: Path) -> int | None:
    """Return the bytes that are free on the volume of a file's directory; None if unknown."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return None
