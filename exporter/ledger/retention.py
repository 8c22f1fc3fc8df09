"""Which memory of a source may be deleted; ``exporter/exactness.py`` says by which rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.exactness import Line, line_bound, passed
from exporter.ledger.memory import Memory
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, Checkpoint, Segment
from exporter.model import Partition


@dataclass(frozen=True, slots=True)
class Limits:
    """Before which time memory of a source may go; None: none of it."""

    partitions: Mapping[bytes, Checkpoint]
    shared: int | None
    """Of events that any partition can bring; if events come once, of all (in reading time)."""
    memory: int

    @classmethod
    def of(
        cls,
        transaction: Transaction,
        kept: Memory,
        source: str,
        found: Iterable[Partition],
        *,
        looked_at: int | None,
        memory: int,
    ) -> Limits:
        """The limits now (see ``Ledger.forget``); moves the line and lets go of what is gone."""
        rows = {row.partition: row for row in transaction.read(CHECKPOINTS, [(source,)])}
        present = {partition_key(partition) for partition in found}
        # Rows of another type may be left from when a source of the same name had it.
        relevant = [row for key, row in rows.items() if key in present] or rows.values()
        if relevant and all(row.remember_from is None for row in relevant):
            return cls(rows, kept.now - memory, memory)
        if looked_at is None or not present <= rows.keys():
            return cls(rows, None, memory)
        positions = [row.remember_from for key, row in rows.items() if key in present]
        bound = line_bound(
            [one for one in positions if one is not None], looked_at=looked_at, memory=memory
        )
        feed = kept.feed
        line = Line(feed.line, feed.following, feed.since).moved(bound, kept.now)
        kept.save(feed._replace(line=line.line, following=line.following, since=line.since))
        if line.line is None:
            return cls(rows, None, memory)
        gone = [row for key, row in rows.items() if key not in present and not row.let_go]
        transaction.write(
            CHECKPOINTS,
            [
                row._replace(let_go=1)
                for row in gone
                if row.remember_from is not None and passed(row.remember_from, memory) < line.line
            ],
        )
        return cls(rows, min(bound, line.line), memory)

    def before(self, row: Checkpoint) -> int | None:
        """Before what memory of events may go that only this partition can bring."""
        if self.shared is None or row.remember_from is None:
            return self.shared
        return min(self.shared, passed(row.remember_from, self.memory))

    def is_over(self, segment: Segment) -> bool:
        """Whether nothing in a segment of memory can matter any more."""
        row = self.partitions.get(segment.scope)
        limit = self.shared if row is None else self.before(row)
        return limit is not None and segment.newest < limit


def partition_key(partition: Partition) -> bytes:
    """What a partition is called in the ledger; a path may hold bytes that are not UTF-8."""
    return partition.key.encode("utf-8", "surrogatepass")
