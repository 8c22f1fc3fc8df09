"""What the ledger remembers of events that counted, and for how long.

The rule: **memory is dropped only by what can still be read again, never by the wall clock.**

- A position (checkpoint) is never dropped: what a partition has read, it has read, however long it
  was silent, denied or gone.
- Where slices are read again, a partition may bring events from its ``remember_from`` on. An event
  that counted is remembered until the partition it came from has passed it, and every other one
  that there is as well, denied ones too, by the source's ``memory`` (its lookback) and the clock's
  error. Until the source was looked for everywhere, and each of its partitions was read once under
  this configuration, nothing is forgotten.
- A partition that is gone (deleted, or not covered by the configuration any more) does not hold
  the others' memory. It is let go, and its right to read the past goes with it: when it comes back,
  events whose id others share and that happened before the source's line (what may be forgotten)
  do not count; it can no longer be told whether they did.
- Where things come once (files), an event that counted is remembered for ``memory`` (14 days) of
  reading time: time that passed while an exporter had the ledger open. No clock that is set can
  make it jump, and a stop only makes the memory longer.
- The line of a source goes only where every position has been for a quarter of an hour of reading
  time. Positions that leap ahead with a wrong clock and are taken back sooner cost nothing.

What is kept for this is beside the scopes, under names that begin with ``=``, which no scope has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.exactness import CLOCK_ERROR
from exporter.ledger.base import Batch
from exporter.model import Increment, Partition

RESERVED: Final = "="
"""What the names of notes begin with."""
PROVEN_AFTER: Final = 15 * 60 * 1000
"""Milliseconds of reading time for which positions must have held before memory goes by them."""

_LET_GO: Final = RESERVED + "let go:"
_LINE: Final = RESERVED + "forgotten before"
_NEXT_LINE: Final = RESERVED + "forgotten next before"
_NEXT_SINCE: Final = RESERVED + "forgotten next since"
_READING_TIME: Final = RESERVED + "reading time"
_CREATED: Final = RESERVED + "created"
_LEDGER: Final = ""
"""In place of a source: no source has an empty name."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Matches of a partition (a row of checkpoints) with a time before this can be forgotten."""

    checkpoint: int
    before: int


class ReadingTime:
    """Milliseconds that pass only while the ledger is open; they begin as an epoch time."""

    def __init__(self, begin: int, steady: Callable[[], float]) -> None:
        """``steady``: seconds from any point on that no clock setting changes."""
        self._begin = begin
        self._steady = steady
        self._opened = steady()

    @classmethod
    def resume(
        cls, cursor: sqlite3.Cursor, steady: Callable[[], float], *, now: int
    ) -> ReadingTime:
        """Go on where the ledger was last; ``now`` is taken where it has never been."""
        begin = _note(cursor, _LEDGER, _READING_TIME)
        if begin is None:
            (begin,) = cursor.execute(
                "SELECT max(time) FROM matches WHERE checkpoint IN"
                " (SELECT id FROM checkpoints WHERE remember_from IS NULL)"
            ).fetchone()
        return cls(now if begin is None else begin, steady)

    def now(self) -> int:
        """The reading time."""
        return self._begin + max(0, int((self._steady() - self._opened) * 1000))

    def keep(self, cursor: sqlite3.Cursor) -> None:
        """Write it down, for the next one who opens the ledger."""
        _set_note(cursor, _LEDGER, _READING_TIME, self.now())


def limits(
    cursor: sqlite3.Cursor,
    source: str,
    found: Iterable[Partition],
    *,
    looked_at: int | None,
    memory: int,
    reading_time: int,
) -> list[Limit]:
    """What of a source can be forgotten now; the module says by which rule.

    Lets go of partitions that are gone, and moves the source's line, in the cursor's transaction.
    """
    rows = cursor.execute(
        "SELECT id, partition, remember_from FROM checkpoints WHERE source = ?", (source,)
    ).fetchall()
    once = [Limit(row, reading_time - memory) for row, _, position in rows if position is None]
    present = {name(partition) for partition in found}
    if looked_at is None or not present <= {key for _, key, _ in rows}:
        return once
    patience = memory + CLOCK_ERROR
    again = [(row, key, position - patience) for row, key, position in rows if position is not None]
    bound = min([looked_at - patience, *(limit for _, key, limit in again if key in present)])
    line = _move_line(cursor, source, bound, reading_time)
    if line is None:
        return once
    for _, key, limit in again:
        if key not in present and limit < line:
            cursor.execute(
                "INSERT OR IGNORE INTO scopes VALUES (?, ?, ?)", (source, _let_go(key), line)
            )
    return once + [Limit(row, min(bound, line, limit)) for row, _, limit in again]


def judged(cursor: sqlite3.Cursor, batch: Batch) -> Sequence[Increment]:
    """The batch's increments without those of which nobody can tell whether they counted.

    Those are of a partition that comes back after it was let go. Once it has read up to the line,
    it is a partition like any other.
    """
    source, key = batch.partition.source, name(batch.partition)
    if _note(cursor, source, _let_go(key)) is None:
        return batch.increments
    line = _note(cursor, source, _LINE)
    if line is None or (batch.remember_from is not None and batch.remember_from >= line):
        cursor.execute("DELETE FROM scopes WHERE source = ? AND scope = ?", (source, _let_go(key)))
    if line is None:
        return batch.increments
    return [one for one in batch.increments if one.scope or one.time >= line]


def creation_time(cursor: sqlite3.Cursor, *, now: int) -> int:
    """When the ledger was begun, milliseconds.

    Written down at the first opening; a ledger of an earlier version is as old as its first series.
    """
    created = _note(cursor, _LEDGER, _CREATED)
    if created is None:
        (first,) = cursor.execute("SELECT min(created) FROM series").fetchone()
        created = now if first is None else int(first)
        _set_note(cursor, _LEDGER, _CREATED, created)
    return created


def name(partition: Partition) -> bytes:
    """What a partition is called in the ledger; a path may hold bytes that are not UTF-8."""
    return partition.key.encode("utf-8", "surrogatepass")


def _note(cursor: sqlite3.Cursor, source: str, what: str) -> int | None:
    """A number that the ledger keeps for itself."""
    found = cursor.execute(
        "SELECT since FROM scopes WHERE source = ? AND scope = ?", (source, what)
    ).fetchone()
    return None if found is None else int(found[0])


def _set_note(cursor: sqlite3.Cursor, source: str, what: str, value: int) -> None:
    """Keep a number."""
    cursor.execute("INSERT OR REPLACE INTO scopes VALUES (?, ?, ?)", (source, what, value))


def _move_line(cursor: sqlite3.Cursor, source: str, bound: int, reading_time: int) -> int | None:
    """The source's line; ``bound`` is where it may go by today's positions. None: there is none."""
    line = _note(cursor, source, _LINE)
    following, since = _note(cursor, source, _NEXT_LINE), _note(cursor, source, _NEXT_SINCE)
    if following is None or since is None:
        following, since = bound, reading_time
    following = min(following, bound)
    if reading_time - since >= PROVEN_AFTER:
        line = following if line is None else max(line, following)
        _set_note(cursor, source, _LINE, line)
        following, since = bound, reading_time
    _set_note(cursor, source, _NEXT_LINE, following)
    _set_note(cursor, source, _NEXT_SINCE, since)
    return line


def _let_go(key: bytes) -> str:
    return _LET_GO + key.decode("utf-8", "backslashreplace")
