"""Which memory of a feed may be deleted; ``exporter/exactness.py`` has the rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.exactness import SHARED_MEMORY, RetentionLine, line_bound, passed
from exporter.ledger.base import Member
from exporter.ledger.feeds import former_members
from exporter.ledger.memory import Memory
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, Checkpoint, Segment
from exporter.model import Partition


@dataclass(frozen=True, slots=True)
class Expiry:
    """The time before which memory of a feed may be deleted."""

    partitions: Mapping[bytes, Sequence[Checkpoint]]
    """The checkpoints of all partitions with a key; two sources may have the same log group."""
    shared: int | None
    """For events that any partition can bring; if events come once, for all (in reading time)."""
    memory: int

    @classmethod
    def of(
        cls, transaction: Transaction, kept: Memory, feed: str, members: Sequence[Member]
    ) -> Expiry:
        """Move the retention line and return the limits (see ``Ledger.expire``).

        Partitions that are gone, and that the line has passed, are marked in ``let_go``.
        """
        memory = max(member.memory for member in members)
        partitions: dict[bytes, list[Checkpoint]] = defaultdict(list)
        gone: list[Checkpoint] = []
        bounds: list[int] = []
        is_known = True
        for member in members:
            rows = {row.partition: row for row in transaction.read(CHECKPOINTS, [(member.source,)])}
            for key, row in rows.items():
                partitions[key].append(row)
            present = {partition_key(partition) for partition in member.found}
            # Rows of another type may be left from when a source of the same name had it.
            relevant = [row for key, row in rows.items() if key in present] or rows.values()
            if relevant and all(row.remember_from is None for row in relevant):
                if len(members) == 1:
                    return cls(partitions, kept.now - memory, memory)
            elif member.looked_at is None or not present <= rows.keys():
                is_known = False
            else:
                positions = [rows[key].remember_from for key in present]
                known = [one for one in positions if one is not None]
                bounds.append(line_bound(known, looked_at=member.looked_at, memory=memory))
                gone += [row for key, row in rows.items() if key not in present]
        if not is_known:
            return cls(partitions, None, memory)
        if len(members) > 1:
            bounds.append(kept.now - max(memory, SHARED_MEMORY))
        bound, state = min(bounds), kept.feed
        moved = RetentionLine(state.line, state.following, state.since).moved(bound, kept.now)
        kept.save(state._replace(line=moved.line, following=moved.following, since=moved.since))
        line = moved.line
        if line is None:
            return cls(partitions, None, memory)
        present_sources = [member.source for member in members]
        for source in former_members(transaction, feed, present_sources):
            gone += transaction.read(CHECKPOINTS, [(source,)])
        transaction.write(
            CHECKPOINTS,
            [
                row._replace(let_go=1)
                for row in gone
                if not row.let_go
                and row.remember_from is not None
                and passed(row.remember_from, memory) < line
            ],
        )
        return cls(partitions, min(bound, line), memory)

    def before(self, row: Checkpoint) -> int | None:
        """Return the limit for events that only this partition can bring."""
        if self.shared is None or row.remember_from is None:
            return self.shared
        return min(self.shared, passed(row.remember_from, self.memory))

    def is_over(self, segment: Segment, time: int) -> bool:
        """Return whether memory of a segment's events up to a time may be deleted."""
        rows = self.partitions.get(segment.scope, ())
        limits = [self.shared, *map(self.before, rows)]
        return all(limit is not None and time < limit for limit in limits)


def partition_key(partition: Partition) -> bytes:
    """Return a partition's key in the ledger; a path may contain bytes that are not UTF-8."""
    return partition.key.encode("utf-8", "surrogatepass")
