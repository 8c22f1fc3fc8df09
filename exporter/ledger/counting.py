"""Counting a batch inside a transaction: what is new, which series it feeds, what it adds."""

from __future__ import annotations

import hashlib
import math
import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from exporter.ledger.base import Committed, LedgerError, SeriesRule
from exporter.ledger.rows import (
    SeriesRow,
    check_buckets,
    create_series,
    find_series,
    rule_totals,
    update_series,
)
from exporter.model import OVERFLOW, Increment, SeriesKey

_DIGEST_BYTES: Final = 16
_LOOKED_UP_TOGETHER: Final = 500
"""Digests in one query; SQLite allows 999 parameters everywhere."""
MAX_PLACES: Final = 10_000
"""Accounts and regions in which a rule has series beyond its ``max_series``: a log event that looks
like a CloudTrail record names them, and whoever can write a log event can name any."""
_LARGEST: Final = 2**63 - 1
"""SQLite's integers have 64 bits; a hostile event time may have more."""


@dataclass(slots=True)
class _RuleCount:
    """What a batch adds to a rule's totals."""

    matches: int = 0
    value_errors: int = 0
    overflowed: int = 0
    last_event_time: int | None = None


class BatchCount:
    """One batch being counted; nothing it does outlives the transaction it runs in.

    It keeps no memory between batches: what it knows of series and limits it reads in the same
    transaction, so that a rollback has nothing else to undo.
    """

    def __init__(
        self,
        cursor: sqlite3.Cursor,
        source: str,
        rules: Mapping[str, SeriesRule],
        *,
        checkpoint: int,
        now: int,
        remembered_at: int | None = None,
    ) -> None:
        """``checkpoint``: id of the partition's row, under which its matches are remembered.

        ``remembered_at``: the time under which; None: each under its own.
        """
        self._cursor = cursor
        self._source = source
        self._checkpoint = checkpoint
        self._rules = rules
        self._now = now
        self._remembered_at = remembered_at
        self._series: dict[SeriesKey, SeriesRow] = {}
        self._places: dict[tuple[str, SeriesKey], tuple[SeriesRow, bool]] = {}
        self._series_counts: dict[tuple[str, bool], int] = {}
        self._changed: dict[int, SeriesRow] = {}
        self._counts: dict[str, _RuleCount] = {}
        self._counted: list[Increment] = []
        self._saturated: set[str] = set()

    def count(self, increments: Iterable[Increment]) -> None:
        """Count the increments that are new, and remember them.

        Raises:
            LedgerError: a rule is not known, or its buckets are not those of its series.
        """
        for increment in self._remember(increments):
            self._counted.append(self._add(increment))
        update_series(self._cursor, self._changed.values())
        self._write_counts()

    def committed(self) -> Committed:
        """The outcome; true once the transaction is committed."""
        return Committed(
            series=[row.as_total() for row in self._changed.values()],
            rules=rule_totals(self._cursor, self._source, self._counts),
            counted=self._counted,
            overflowed=frozenset(rule for rule, count in self._counts.items() if count.overflowed),
            saturated=frozenset(self._saturated),
        )

    def _remember(self, increments: Iterable[Increment]) -> list[Increment]:
        named = [(increment, self._identities(increment)) for increment in increments]
        known = self._known({digest for _, identities in named for digest in identities})
        new: list[Increment] = []
        remembered: dict[bytes, int] = {}
        for increment, identities in named:
            time = max(-_LARGEST, min(increment.time, _LARGEST))
            if identities:
                # A record's id names one event; any other's, only the line of that time.
                if any(
                    digest in known and (known[digest] == time or event_id == increment.event_id)
                    for digest, event_id in identities.items()
                ):
                    continue
                own = next(iter(identities))
                if own in remembered:
                    continue
                remembered[own] = time if self._remembered_at is None else self._remembered_at
            new.append(increment)
        # In the order of the key, neighbours go to the same page.
        self._cursor.executemany(
            "INSERT INTO matches (digest, checkpoint, time) VALUES (?, ?, ?)",
            ((digest, self._checkpoint, time) for digest, time in sorted(remembered.items())),
        )
        return new

    def _identities(self, increment: Increment) -> dict[bytes, str]:
        """The event id of each digest that the match may be remembered by, its own first."""
        if increment.event_id is None:
            return {}
        own = (increment.scope, increment.event_id)
        return {
            self._digest(increment.rule, scope, event_id): event_id
            for scope, event_id in (own, *increment.aliases)
        }

    def _digest(self, rule: str, scope: str, event_id: str) -> bytes:
        name = "\0".join((self._source, rule, scope, event_id))
        return hashlib.blake2b(
            name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES
        ).digest()

    def _known(self, digests: set[bytes]) -> dict[bytes, int]:
        """The time of each digest that is remembered."""
        known: dict[bytes, int] = {}
        for chunk in _chunks(sorted(digests), _LOOKED_UP_TOGETHER):
            marks = ",".join("?" * len(chunk))
            self._cursor.execute(
                f"SELECT digest, time FROM matches WHERE digest IN ({marks})",  # noqa: S608
                chunk,
            )
            known.update(self._cursor)
        return known

    def _add(self, increment: Increment) -> Increment:
        """Add one new increment; return it as it was counted (without a value: a value error)."""
        count = self._counts.get(increment.rule)
        if count is None:
            count = self._counts[increment.rule] = _RuleCount()
        count.matches += 1
        time = increment.event_time
        if time is not None:
            time = time if -_LARGEST <= time <= _LARGEST else None
        if time is not None and (count.last_event_time is None or time > count.last_event_time):
            count.last_event_time = time
        value = _countable(increment.value)
        if value is not None:
            place = self._places.get((increment.rule, increment.series))
            row, overflow = place or self._place(increment)
            total = _sum(row.total, value)
            if total is not None:
                count.overflowed += overflow
                self._changed[row.id] = row
                _observe(row, total, value, increment.event_id, time)
                return increment
            self._saturated.add(increment.rule)
        count.value_errors += 1
        return increment if increment.value is None else replace(increment, value=None)

    def _place(self, increment: Increment) -> tuple[SeriesRow, bool]:
        """The series that the increment goes to, and whether that is the overflow series."""
        rule = self._rules.get(increment.rule)
        if rule is None:
            raise LedgerError(
                f"The ledger was not told of rule {increment.rule} of source {self._source}; its "
                "matches were not counted and will be read again."
            )
        row, overflow = self._find(increment.series), False
        if row is None or not self._is_member(rule, row):
            # A rule without dynamic labels has a series a place.
            fixed = increment.series == increment.overflow
            if self._count_series(rule) < (MAX_PLACES if fixed else rule.max_series):
                row = row or self._create(increment.series, rule)
                self._join(rule, row)
            else:
                key = _nowhere(increment.overflow) if fixed else increment.overflow
                row, overflow = self._overflow(key, rule), True
        check_buckets(row, rule)
        self._places[increment.rule, increment.series] = row, overflow
        return row, overflow

    def _overflow(self, key: SeriesKey, rule: SeriesRule) -> SeriesRow:
        """A rule's overflow series in a place; past MAX_PLACES the one for all other places."""
        row = self._find(key)
        if row is None and self._count_series(rule, overflow=True) >= MAX_PLACES:
            key = _nowhere(key)
            row = self._find(key)
        if row is None:
            row = self._create(key, rule)
            self._join(rule, row, overflow=True)
        return row

    def _find(self, key: SeriesKey) -> SeriesRow | None:
        row = self._series.get(key) or find_series(self._cursor, key)
        if row is not None:
            self._series[key] = row
        return row

    def _create(self, key: SeriesKey, rule: SeriesRule) -> SeriesRow:
        row = self._series[key] = create_series(self._cursor, key, rule.buckets, self._now)
        return row

    def _is_member(self, rule: SeriesRule, row: SeriesRow) -> bool:
        self._cursor.execute(
            "SELECT 1 FROM rule_series WHERE rule = ? AND series = ?", (rule.name, row.id)
        )
        return self._cursor.fetchone() is not None

    def _join(self, rule: SeriesRule, row: SeriesRow, *, overflow: bool = False) -> None:
        count = self._count_series(rule, overflow=overflow)
        self._cursor.execute(
            "INSERT INTO rule_series (rule, series, overflow) VALUES (?, ?, ?)",
            (rule.name, row.id, overflow),
        )
        self._series_counts[rule.name, overflow] = count + 1

    def _count_series(self, rule: SeriesRule, *, overflow: bool = False) -> int:
        """How many series the rule has, or how many overflow series."""
        if (rule.name, overflow) not in self._series_counts:
            (count,) = self._cursor.execute(
                "SELECT count(*) FROM rule_series WHERE rule = ? AND overflow = ?",
                (rule.name, overflow),
            ).fetchone()
            self._series_counts[rule.name, overflow] = count
        return self._series_counts[rule.name, overflow]

    def _write_counts(self) -> None:
        for rule, count in self._counts.items():
            self._cursor.execute(
                "INSERT OR IGNORE INTO rules (source, rule) VALUES (?, ?)", (self._source, rule)
            )
            self._cursor.execute(
                "UPDATE rules SET matches = matches + :matches,"
                " value_errors = value_errors + :value_errors,"
                " overflowed = overflowed + :overflowed,"
                " last_event_time = CASE WHEN last_event_time >= :time OR :time IS NULL"
                " THEN last_event_time ELSE :time END"
                " WHERE source = :source AND rule = :rule",
                {
                    "matches": count.matches,
                    "value_errors": count.value_errors,
                    "overflowed": count.overflowed,
                    "time": count.last_event_time,
                    "source": self._source,
                    "rule": rule,
                },
            )


def _countable(value: float | None) -> float | None:
    """The value as a total can take it; None: it cannot, or not exactly."""
    if value is None:
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if number >= 0 and math.isfinite(number) and number == value else None


def _sum(total: float, value: float) -> float | None:
    """The total with a value added; None: a float cannot hold it, and it would be lost.

    Whole numbers are added exactly or not at all; of other values, none that leaves no trace.
    """
    after = total + value
    if not math.isfinite(after) or (value > 0 and after == total):
        return None
    if total.is_integer() and value.is_integer() and int(after) != int(total) + int(value):
        return None
    return after


def _observe(
    row: SeriesRow, total: float, value: float, event_id: str | None, time: int | None
) -> None:
    row.total = total
    if row.buckets is not None and row.bounds is not None:
        row.buckets[bisect_left(row.bounds, value)] += 1
    # The last match is the one that happened last; history comes newest first.
    if time is None or row.event_time is None or time >= row.event_time:
        if event_id is not None:
            event_id = event_id.encode("utf-8", "replace").decode()
        row.event_id, row.event_value, row.event_time = event_id, value, time


def _nowhere(key: SeriesKey) -> SeriesKey:
    labels = ((n, OVERFLOW if n in ("account_id", "region") else v) for n, v in key.labels)
    return SeriesKey(key.metric, tuple(labels))


def _chunks(items: Sequence[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
