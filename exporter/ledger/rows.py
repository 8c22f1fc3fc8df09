"""Rows of the ledger's tables as values, and back."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from exporter.ledger.base import LedgerError, RuleTotal, SeriesRule, SeriesTotal
from exporter.ledger.errors import UnreadableRowError
from exporter.model import Labels, SeriesKey
from exporter.sources import SERIES_LABELS

_COLUMNS: Final = (
    "id, metric, labels, total, bounds, buckets, created, revealed,"
    " event_id, event_value, event_time"
)
_RULE_TOTALS: Final = """
    SELECT source, rule, matches, value_errors, overflowed,
           (SELECT count(*) FROM rule_series
            WHERE rule_series.rule = rules.rule AND NOT overflow),
           last_event_time
    FROM rules
"""


@dataclass(slots=True)
class SeriesRow:
    """A series while a transaction changes it."""

    id: int
    key: SeriesKey
    total: float
    bounds: tuple[float, ...] | None
    buckets: list[int] | None
    created: int
    revealed: bool
    event_id: str | None
    event_value: float
    event_time: int | None

    def as_total(self) -> SeriesTotal:
        """The series as it stands."""
        return SeriesTotal(
            key=self.key,
            total=self.total,
            buckets=None if self.buckets is None else tuple(self.buckets),
            created=self.created,
            revealed=self.revealed,
            event_id=self.event_id,
            event_value=self.event_value,
            event_time=self.event_time,
        )


def labels_text(labels: Labels) -> str:
    """Labels as the ledger keeps them. ASCII only: any string survives, lone surrogates too."""
    return json.dumps(labels, separators=(",", ":"))


def bounds_text(bounds: tuple[float, ...] | None) -> str | None:
    """A histogram's upper bounds as the ledger keeps them."""
    return None if bounds is None else json.dumps([float(bound) for bound in bounds])


def bounds_of(text: str | None) -> tuple[float, ...] | None:
    """What ``bounds_text`` made a text of.

    Raises:
        UnreadableRowError: the text is none of its.
    """
    if text is None:
        return None
    with _parsing("series", "bounds"):
        bounds = tuple(json.loads(text))
        _require(all(isinstance(bound, float) and math.isfinite(bound) for bound in bounds))
        _require(bounds_text(bounds) == text and list(bounds) == sorted(set(bounds)))
    return bounds


def checkpoint_of(blob: object) -> str:
    """A checkpoint from what the ledger keeps of it.

    Raises:
        UnreadableRowError: that is no text.
    """
    try:
        if isinstance(blob, bytes):
            return blob.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        pass
    raise UnreadableRowError("table checkpoints has a checkpoint that cannot be read")


def _labels_of(text: str) -> Labels:
    with _parsing("series", "labels"):
        labels = tuple((name, value) for name, value in json.loads(text))
        _require(all(isinstance(name, str) and isinstance(value, str) for name, value in labels))
        _require(labels_text(labels) == text)
    return labels


def _buckets_of(text: str | None, bounds: tuple[float, ...] | None) -> list[int] | None:
    with _parsing("series", "buckets"):
        _require((text is None) == (bounds is None))
        if text is None or bounds is None:
            return None
        buckets = list(json.loads(text))
        _require(all(type(count) is int and count >= 0 for count in buckets))
        _require(json.dumps(buckets) == text and len(buckets) == len(bounds) + 1)
    return buckets


@contextmanager
def _parsing(table: str, column: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, RecursionError) as error:
        raise UnreadableRowError(f"table {table} has {column} that cannot be read") from error


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def all_series(cursor: sqlite3.Cursor) -> Iterable[SeriesRow]:
    """Every series, oldest first."""
    cursor.execute(f"SELECT {_COLUMNS} FROM series ORDER BY id")  # noqa: S608
    return (_row(columns) for columns in cursor)


def find_series(cursor: sqlite3.Cursor, key: SeriesKey) -> SeriesRow | None:
    """The series of this name, if there is one."""
    columns = cursor.execute(
        f"SELECT {_COLUMNS} FROM series WHERE metric = ? AND labels = ?",  # noqa: S608
        (key.metric, labels_text(key.labels)),
    ).fetchone()
    return None if columns is None else _row(columns, key)


def create_series(
    cursor: sqlite3.Cursor, key: SeriesKey, buckets: tuple[float, ...] | None, created: int
) -> SeriesRow:
    """Make a series at 0, not revealed."""
    counts = None if buckets is None else [0] * (len(buckets) + 1)
    cursor.execute(
        "INSERT INTO series (metric, labels, bounds, buckets, created) VALUES (?, ?, ?, ?, ?)",
        (
            key.metric,
            labels_text(key.labels),
            bounds_text(buckets),
            None if counts is None else json.dumps(counts),
            created,
        ),
    )
    if cursor.lastrowid is None:  # pragma: no cover - SQLite always names an inserted row
        raise LedgerError(f"The ledger could not create a series of {key.metric}.")
    return SeriesRow(cursor.lastrowid, key, 0.0, buckets, counts, created, False, None, 0.0, None)


def update_series(cursor: sqlite3.Cursor, rows: Iterable[SeriesRow]) -> None:
    """Write the totals and last matches of these series."""
    cursor.executemany(
        "UPDATE series SET total = ?, buckets = ?, event_id = ?, event_value = ?, event_time = ?"
        " WHERE id = ?",
        (
            (
                row.total,
                None if row.buckets is None else json.dumps(row.buckets),
                row.event_id,
                row.event_value,
                row.event_time,
                row.id,
            )
            for row in rows
        ),
    )


def take_rule(cursor: sqlite3.Cursor, rule: SeriesRule) -> list[SeriesKey]:
    """Let go of series that the rule can no longer feed; those that end with it."""
    if rule.metric is None:
        return []
    # max_series is for the series that the rule can still feed.
    cursor.execute(
        "DELETE FROM rule_series WHERE rule = ?"
        " AND series IN (SELECT id FROM series WHERE metric <> ?)",
        (rule.name, rule.metric),
    )
    found = cursor.execute(
        "SELECT id, labels, bounds FROM series WHERE metric = :metric AND"
        " (:shares OR id IN (SELECT series FROM rule_series WHERE rule = :rule))",
        {"metric": rule.metric, "rule": rule.name, "shares": rule.shares},
    ).fetchall()
    bounds = bounds_text(rule.buckets)
    ended: list[tuple[int, SeriesKey]] = []
    for id_, text, stored in found:
        labels = _labels_of(text)
        names = {name for name, _ in labels} - set(SERIES_LABELS)
        if stored != bounds or (rule.labels is not None and names != rule.labels):
            ended.append((id_, SeriesKey(rule.metric, labels)))
    for table, column in (("rule_series", "series"), ("series", "id")):
        cursor.executemany(
            f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608
            [(id_,) for id_, _ in ended],
        )
    return [key for _, key in ended]


def check_buckets(row: SeriesRow, rule: SeriesRule) -> None:
    """Refuse to add to a histogram whose bounds are no longer the rule's.

    Raises:
        LedgerError: the stored counts cannot be carried over to the rule's buckets.
    """
    if row.bounds != rule.buckets:
        raise buckets_changed(rule, row.key.metric, row.bounds)


def buckets_changed(rule: SeriesRule, metric: str, stored: tuple[float, ...] | None) -> LedgerError:
    """The error for a rule whose metric the ledger keeps with other buckets."""

    def words(bounds: tuple[float, ...] | None) -> str:
        if bounds is None:
            return "as a counter"
        return "as a histogram with the buckets " + ", ".join(f"{bound:g}" for bound in bounds)

    return LedgerError(
        f"Rule {rule.name}: the ledger keeps {metric} {words(stored)}, the rule now has it "
        f"{words(rule.buckets)}; what is counted cannot be carried over. Keep the buckets as they "
        "were, or give the rule's metric another name."
    )


def rule_totals(
    cursor: sqlite3.Cursor, source: str | None = None, rules: Iterable[str] = ()
) -> list[RuleTotal]:
    """What the named rules of a source have counted; without a source: all there are."""
    if source is None:
        found = cursor.execute(_RULE_TOTALS + " ORDER BY source, rule").fetchall()
    else:
        found = [
            cursor.execute(
                _RULE_TOTALS + " WHERE source = ? AND rule = ?", (source, rule)
            ).fetchone()
            for rule in rules
        ]
    return [RuleTotal(*columns) for columns in found]


def _row(columns: tuple[Any, ...], key: SeriesKey | None = None) -> SeriesRow:
    (id_, metric, labels, total, bounds, buckets, created, revealed, *event) = columns
    try:
        if key is None:
            key = SeriesKey(metric, _labels_of(labels))
        upper_bounds = bounds_of(bounds)
        counts = _buckets_of(buckets, upper_bounds)
        event_id, event_value, event_time = event
        with _parsing("series", "numbers"):
            _require(type(total) is float and type(event_value) is float)
            _require(type(created) is int and type(event_time) in (int, type(None)))
    except UnreadableRowError as error:
        raise UnreadableRowError(f"{error} (row {id_}, metric {metric!r})") from error
    return SeriesRow(
        id=id_,
        key=key,
        total=total,
        bounds=upper_bounds,
        buckets=counts,
        created=created,
        revealed=bool(revealed),
        event_id=event_id,
        event_value=event_value,
        event_time=event_time,
    )
