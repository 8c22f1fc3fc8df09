"""One commit: the readings of a source, counted together in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, groupby
from typing import Protocol

from exporter.ledger.base import Batch, Committed, FencedError, RuleChange
from exporter.ledger.counting import Placement, lane
from exporter.ledger.judging import Judge
from exporter.ledger.memory import Memory
from exporter.ledger.placing import read_for, write
from exporter.ledger.retention import partition_key
from exporter.ledger.store import Transaction
from exporter.ledger.tables import CHECKPOINTS, MEMBER_COUNTS, Checkpoint
from exporter.ledger.tally import Tally
from exporter.model import Identity, JudgedEvent, Partition


class EarlierMemory(Protocol):
    """Memory of schema 1, until it expires."""

    def judged(
        self, transaction: Transaction, feed: str, events: Sequence[JudgedEvent]
    ) -> Mapping[Identity, frozenset[str]]:
        """Return the rules that have counted these events, by their identities."""

    def expire(
        self, transaction: Transaction, source: str, before: Callable[[Checkpoint], int | None]
    ) -> int:
        """Delete a part of the memory older than its partition's ``before``; return how much."""


class Commit:
    """Counts batches of one source in a transaction.

    Rows are read and written once for all batches; what counts is what they would count one after
    the other.
    """

    def __init__(
        self,
        transaction: Transaction,
        placement: Placement,
        memory_of: Callable[[str], Memory],
        earlier: EarlierMemory | None,
    ) -> None:
        """Nothing is read yet.

        Args:
            transaction: the transaction.
            placement: empty.
            memory_of: returns the memory of a feed.
            earlier: memory of schema 1, if any is left.
        """
        self._transaction = transaction
        self._placement = placement
        self._open_memory = memory_of
        self._earlier = earlier
        self._memories: dict[str, Memory] = {}
        self.lost: dict[Partition, int] = {}
        """Events that may have counted, but memory of their time has expired."""

    @property
    def saturated(self) -> frozenset[str]:
        """Rules with a total that is too large to add a value (a value error)."""
        return frozenset(self._placement.saturated)

    def run(self, batches: Sequence[Batch]) -> Committed:
        """Write what the batches change. See ``Ledger.commit``."""
        events = self._move(batches)
        new: list[tuple[Batch, Sequence[JudgedEvent]]] = []
        for _, alike in groupby(events, key=lambda one: (one[0].feed, one[0].format)):
            new += self._judged(list(alike))
        changes = self._count([(batch, of) for batch, of in new if of])
        placement = self._placement
        return Committed(
            series=[state.shown() for state in placement.changed_series.values()],
            rules=changes,
            new=[event for _, of in new for event in of],
        )

    def _move(self, batches: Sequence[Batch]) -> list[tuple[Batch, Sequence[JudgedEvent]]]:
        """Write the checkpoints, and return the events of each batch that may count.

        Raises:
            FencedError: another process has committed, or has a newer lease.
        """
        keys = {checkpoint_key(batch.partition) for batch in batches}
        rows = {row[:2]: row for row in self._transaction.read(CHECKPOINTS, keys)}
        may_count = []
        for batch in batches:
            key = checkpoint_key(batch.partition)
            before = rows.get(key)
            expected = None if batch.expected is None else _bytes(batch.expected)
            if expected != (before and before.checkpoint) or (
                before and batch.lease < before.lease
            ):
                raise FencedError(
                    f"{batch.partition}: another process has read on from the checkpoint that this "
                    "reading started from, so none of it was counted. The next poll continues from "
                    "the new checkpoint."
                )
            events, let_go = batch.events, False
            if before is not None and before.let_go:
                events, let_go = self._returned(batch)
            if before and (batch.remember_from or 0) < (before.remember_from or 0):
                # The position was ahead of the truth: what memory may go by has to be proven again.
                memory = self._memory(batch.feed)
                memory.save(memory.feed._replace(following=None, since=None))
            rows[key] = Checkpoint(
                *key,
                _bytes(batch.checkpoint),
                batch.remember_from,
                batch.lease,
                self._placement.now,
                int(let_go),
            )
            may_count.append((batch, events))
        self._transaction.write(CHECKPOINTS, [rows[key] for key in keys])
        return may_count

    def _returned(self, batch: Batch) -> tuple[Sequence[JudgedEvent], bool]:
        """Return what may count of a partition that was away, and whether it still is behind."""
        line = self._memory(batch.feed).feed.line
        if line is None:
            return batch.events, False
        events = [one for one in batch.events if one.scope or one.time >= line]
        lost = len(batch.events) - len(events)
        if lost:
            self.lost[batch.partition] = self.lost.get(batch.partition, 0) + lost
        return events, batch.remember_from is not None and batch.remember_from < line

    def _judged(
        self, batches: Sequence[tuple[Batch, Sequence[JudgedEvent]]]
    ) -> list[tuple[Batch, Sequence[JudgedEvent]]]:
        """Return the new events of batches of one feed and format, and remember them."""
        events = list(chain.from_iterable(of for _, of in batches))
        if not events:
            return []
        first = batches[0][0]
        feed, is_shared = first.feed, first.is_shared
        memory = self._memory(feed)
        memory.use_format(first.format)
        earlier = self._earlier.judged(self._transaction, feed, events) if self._earlier else {}
        judge = Judge(*memory.find(events), earlier, is_shared=is_shared)
        new: list[tuple[Batch, Sequence[JudgedEvent]]] = [
            (batch, judge.new(of, read_at=memory.now if is_shared or comes_once else None))
            for batch, of in batches
            for comes_once in [batch.remember_from is None]
        ]
        if judge.remember:
            memory.remember(judge.remember, judge.times)
        return new

    def _count(
        self, batches: Sequence[tuple[Batch, Sequence[JudgedEvent]]]
    ) -> Sequence[RuleChange]:
        """Add the increments of new events to series, and return what rules they change."""
        if not batches:
            return ()
        placement, source = self._placement, batches[0][0].partition.source
        tallies = [
            (in_lane, Tally.of(chain.from_iterable(events for _, events in alike)))
            for in_lane, alike in groupby(batches, key=lambda one: lane(one[0].partition))
        ]
        read_for(self._transaction, placement, source, tallies)
        changes: dict[str, RuleChange] = {}
        for in_lane, tally in tallies:
            for change in placement.add(source, in_lane, tally):
                known = changes.setdefault(change.rule, change)
                if known is not change:
                    known.add(change)
        write(self._transaction, placement)
        for row in self._transaction.read(MEMBER_COUNTS, [(rule,) for rule in changes]):
            changes[row.rule].series += row.series
        for rule, fullest in placement.fullest():
            if rule in changes:
                changes[rule].fullest = max(changes[rule].fullest, fullest)
        return list(changes.values())

    def _memory(self, feed: str) -> Memory:
        memory = self._memories.get(feed)
        if memory is None:
            memory = self._memories[feed] = self._open_memory(feed)
        return memory


def move(
    transaction: Transaction, moves: Mapping[Partition, tuple[str | None, str | None]], now: int
) -> None:
    """See ``Ledger.move``; ``now``: of reading time, milliseconds."""
    keys = {partition: checkpoint_key(partition) for partition in moves}
    rows = {row[:2]: row for row in transaction.read(CHECKPOINTS, keys.values())}
    written = []
    for partition, (expected, checkpoint) in moves.items():
        before = rows.get(keys[partition])
        if (None if expected is None else _bytes(expected)) != (before and before.checkpoint):
            raise FencedError(f"{partition}: it was read on while its file was renamed.")
        if checkpoint is not None:
            row = before or Checkpoint(*keys[partition], b"", None, 0, now, 0)
            written.append(row._replace(checkpoint=_bytes(checkpoint), updated=now))
    gone = [keys[partition] for partition, (_, checkpoint) in moves.items() if checkpoint is None]
    transaction.delete(CHECKPOINTS, gone)
    transaction.write(CHECKPOINTS, written)


def checkpoint_key(partition: Partition) -> tuple[str, bytes]:
    """Return the key of a partition's checkpoint."""
    return partition.source, partition_key(partition)


def _bytes(checkpoint: str) -> bytes:
    return checkpoint.encode("utf-8", "surrogatepass")
