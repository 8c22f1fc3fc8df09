"""Which memory of a source may be deleted; ``exporter/exactness.py`` has the rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from exporter.exactness import RetentionLine, line_bound, passed
from exporter.ledger.memory import Memory
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, Checkpoint, Segment
from exporter.model import Partition


@dataclass(frozen=True, slots=True)
class Expiry:
    """The time before which memory of a source may be deleted."""

    partitions: Mapping[bytes, Checkpoint]
    shared: int | None
    """For events that any partition can bring; if events come once, for all (in reading time)."""
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
    ) -> Expiry:
        """Move the retention line and return the limits (see ``Ledger.expire``).

        Partitions that are gone, and that the line has passed, are marked in ``let_go``.
        """
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
        moved = RetentionLine(feed.line, feed.following, feed.since).moved(bound, kept.now)
        kept.save(feed._replace(line=moved.line, following=moved.following, since=moved.since))
        line = moved.line
        if line is None:
            return cls(rows, None, memory)
        gone = [row for key, row in rows.items() if key not in present and not row.let_go]
        transaction.write(
            CHECKPOINTS,
            [
                row._replace(let_go=1)
                for row in gone
                if row.remember_from is not None and passed(row.remember_from, memory) < line
            ],
        )
        return cls(rows, min(bound, line), memory)

    def before(self, row: Checkpoint) -> int | None:
        """Return the limit for events that only this partition can bring."""
        if self.shared is None or row.remember_from is None:
            return self.shared
        return min(self.shared, passed(row.remember_from, self.memory))

    def is_over(self, segment: Segment, time: int) -> bool:
        """Return whether memory of a segment's events up to a time may be deleted."""
        row = self.partitions.get(segment.scope)
        limit = self.shared if row is None else self.before(row)
        return limit is not None and time < limit


def partition_key(partition: Partition) -> bytes:
    """Return a partition's key in the ledger; a path may contain bytes that are not UTF-8."""
    return partition.key.encode("utf-8", "surrogatepass")
