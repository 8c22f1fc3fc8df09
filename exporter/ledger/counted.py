"""Since when each partition is counted, and until when a source catches up: facts of a source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from exporter.ledger.store import Transaction
from exporter.ledger.tables import FACTS, VERSIONS, Fact
from exporter.model import EventPlace, Partition

_COUNTED: Final = "counted since of "
"""Names of facts begin so and end in the name of a source. The value is JSON: milliseconds by
``Partition.key``."""
_CATCHING_UP: Final = "catching up of "
"""Names of facts begin so and end in the name of a source. The value is JSON: milliseconds, and
the places of the events."""
_SOURCE: Final = ""
"""The key of the time before which nothing of the source is counted."""


def load_counted(
    transaction: Transaction, source: str, partitions: Mapping[Partition, int]
) -> dict[Partition, int]:
    """See ``Ledger.counted_since``."""
    known = _read(transaction, source)
    found = {one.key: since for one, since in partitions.items() if one.key not in known}
    new: dict[str, int] = {}
    if found:
        # An older ledger knows since when rules count, even if `start` was edited.
        versions = transaction.read(VERSIONS, [(source,)])
        rules = min((one.since for one in versions if one.since is not None), default=0)
        least = max(rules, known.get(_SOURCE, 0))
        new = {key: max(since, least) for key, since in found.items()}
        _write(transaction, source, known | new)
    return {one: (known | new)[one.key] for one in partitions}


def read_catching_up(transaction: Transaction, source: str) -> tuple[int, frozenset[EventPlace]]:
    """See ``Ledger.catching_up``."""
    found = transaction.read(FACTS, [(_CATCHING_UP + source,)])
    until, places = json.loads(found[0].value) if found else (0, ())
    return until, frozenset(EventPlace(*one) for one in places)


def write_catching_up(
    transaction: Transaction, source: str, until: int, places: frozenset[EventPlace]
) -> None:
    """See ``Ledger.note_catching_up``."""
    value = json.dumps([until, sorted(places)])
    transaction.write(FACTS, [Fact(_CATCHING_UP + source, value)])


def restart_counting(transaction: Transaction, source: str, now: int) -> None:
    """Note that a source is configured again after it was removed: its rules count from now."""
    _write(transaction, source, {_SOURCE: now})


def rename_counted(transaction: Transaction, old: str, new: str) -> None:
    """Rename a source."""
    known = _read(transaction, old)
    if known:
        transaction.delete(FACTS, [(_COUNTED + old,)])
        _write(transaction, new, known)


def _read(transaction: Transaction, source: str) -> dict[str, int]:
    found = transaction.read(FACTS, [(_COUNTED + source,)])
    known: dict[str, int] = json.loads(found[0].value) if found else {}
    return known


def _write(transaction: Transaction, source: str, known: Mapping[str, int]) -> None:
    transaction.write(FACTS, [Fact(_COUNTED + source, json.dumps(known))])
