"""Renames a source or a feed in a ledger: positions, totals and memory are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from exporter.ledger.base import LedgerError
from exporter.ledger.counted import rename_counted
from exporter.ledger.counting import series_id
from exporter.ledger.feeds import (
    Membership,
    delete_membership,
    memberships,
    write_memberships,
)
from exporter.ledger.rows import labels_of, labels_text
from exporter.ledger.store import Transaction
from exporter.ledger.tables import (
    BLOCKS,
    CHECKPOINTS,
    FACTS,
    FEEDS,
    GENERATIONS,
    MEMBERS,
    RULE_COUNTS,
    SCOPES,
    SEGMENTS,
    SERIES,
    TOTALS,
    VERSIONS,
    Fact,
    Series,
    Table,
)
from exporter.model import SeriesKey

_BEGUN_AS: Final = "memory begun as "
"""Names of facts begin so and end in the name of a feed. The value is the name that it had first,
which is part of the digests in its memory."""


_BY_SOURCE: Final[tuple[Table[Any], ...]] = (CHECKPOINTS, VERSIONS, SCOPES, RULE_COUNTS)


def first_names(facts: Iterable[Fact]) -> dict[str, str]:
    """Return the first names of the feeds that were renamed."""
    return {
        one.name.removeprefix(_BEGUN_AS): one.value
        for one in facts
        if one.name.startswith(_BEGUN_AS)
    }


def rename_source(transaction: Transaction, old: str, new: str) -> int:
    """Rename a source, and its feed if it has the same name; return the number of its series.

    Raises LedgerError if there is no such source, or if the new name is in use.
    """
    known = memberships(transaction)
    if old not in known and not any(_has(transaction, table, old) for table in _BY_SOURCE):
        raise LedgerError(f"The ledger has no source {old}.")
    if new in known or any(_has(transaction, table, new) for table in _BY_SOURCE):
        raise LedgerError(f"The ledger has a source {new} already.")
    series = 0
    if known.get(old, Membership(old)).feed == old:
        series = _rename_feed(transaction, old, new)
        known = memberships(transaction)
    for table in _BY_SOURCE:
        _move(transaction, table, old, new)
    rename_counted(transaction, old, new)
    for one in transaction.read(GENERATIONS):
        pairs = json.loads(one.names)
        names = sorted((new if source == old else source, name) for source, name in pairs)
        transaction.write(GENERATIONS, [one._replace(names=json.dumps(names))])
    if old in known:
        delete_membership(transaction, old)
        write_memberships(transaction, {new: known[old]})
    return series


def rename_feed(transaction: Transaction, old: str, new: str) -> int:
    """Rename a feed, whose sources keep their names; return the number of its series.

    Raises LedgerError if there is no such feed, or if the new name is in use.
    """
    known = memberships(transaction)
    # Before there were feeds, each source was one.
    if old not in known and _has(transaction, CHECKPOINTS, old):
        known[old] = Membership(old)
        write_memberships(transaction, {old: known[old]})
    if all(one.feed != old for one in known.values()):
        raise LedgerError(f"The ledger has no feed {old}.")
    return _rename_feed(transaction, old, new)


def _rename_feed(transaction: Transaction, old: str, new: str) -> int:
    rows = [row for row in transaction.scan(SERIES) if _source_of(row) in (old, new)]
    if _has(transaction, FEEDS, new) or any(_source_of(row) == new for row in rows):
        raise LedgerError(
            f"The ledger has counts of a feed {new} already: totals of two feeds cannot be joined."
        )
    facts = transaction.read(FACTS)
    begun_as = first_names(facts).get(old, old)
    transaction.delete(FACTS, [(_BEGUN_AS + old,)])
    transaction.write(FACTS, [Fact(_BEGUN_AS + new, begun_as)])
    for segment in transaction.read(SEGMENTS, [(old,)]):
        _move(transaction, BLOCKS, old, new, segment.scope, segment.segment)
    _move(transaction, SEGMENTS, old, new)
    _move(transaction, FEEDS, old, new)
    _rename_series(transaction, rows, new)
    members = memberships(transaction)
    write_memberships(
        transaction,
        {name: replace(one, feed=new) for name, one in members.items() if one.feed == old},
    )
    return len(rows)


def _rename_series(transaction: Transaction, rows: Iterable[Series], new: str) -> None:
    ids: dict[bytes, bytes] = {}
    renamed: list[Series] = []
    for row in rows:
        labels = tuple((n, new if n == "source" else v) for n, v in labels_of(row.labels))
        ids[row.id] = series_id(SeriesKey(row.metric, labels))
        renamed.append(row._replace(id=ids[row.id], labels=labels_text(labels)))
    keys = [(one,) for one in ids]
    totals = transaction.read(TOTALS, keys)
    members = [one for one in transaction.scan(MEMBERS) if one.series in ids]
    transaction.delete(SERIES, keys)
    transaction.delete(TOTALS, keys)
    transaction.delete(MEMBERS, [one[:3] for one in members])
    transaction.write(SERIES, renamed)
    transaction.write(TOTALS, [one._replace(series=ids[one.series]) for one in totals])
    transaction.write(MEMBERS, [one._replace(series=ids[one.series]) for one in members])


def _move(
    transaction: Transaction, table: Table[Any], old: str, new: str, *rest: bytes | int
) -> None:
    """Change the first column of the rows whose keys begin so."""
    rows = transaction.read(table, [(old, *rest)])
    transaction.delete(table, [(old, *rest)])
    transaction.write(table, [table.make((new, *row[1:])) for row in rows])


def _has(transaction: Transaction, table: Table[Any], name: str) -> bool:
    return bool(transaction.read(table, [(name,)]))


def _source_of(row: Series) -> str | None:
    return dict(labels_of(row.labels)).get("source")
