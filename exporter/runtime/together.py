"""Polls of many partitions whose readings are committed together: a file each, mostly small."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import tee
from typing import Final

from exporter.ledger.base import Committed, Ledger, LedgerError
from exporter.model import LogEvent, Records
from exporter.runtime.pipeline import Evaluated, Pipeline
from exporter.runtime.reader import Reader, Steps
from exporter.sources.base import Source
from exporter.workers.jobs import PollJob
from exporter.workers.judged import Judged
from exporter.workers.pool import Workers
from exporter.workers.reading import Polls

_MATCHED: Final = 50_000
"""Log events of a commit that rules match: a series costs each commit about 50 us that changes it,
however many events do."""
_READINGS: Final = 128
"""Each has a file open until it is committed."""
_CHARACTERS: Final = 32 * 1024 * 1024
"""Of messages that are in memory until they are committed."""

_OTHERS: Final = Committed()
"""The outcome of a commit is told to one of its readings, and this to the others."""


def poll_together(
    pipeline: Pipeline, source: Source, readers: Sequence[Reader], workers: Workers | None = None
) -> None:
    """Poll partitions of a source one after the other, and commit their readings in groups.

    A group is committed in one transaction, all of it or nothing. If that fails, or if one of its
    partitions was read by another process, its readings are committed one at a time. ``workers``
    poll, if they are given.
    """
    group = _Group(pipeline)
    begun, ahead = tee(_begun(pipeline.ledger, source, readers))
    polls = None
    if workers is not None:
        polls = Polls(workers, (job for _, job in ahead if job is not None))
    del ahead
    for reader, job in begun:
        read = polls.read if polls and job else None
        group.resume(reader, reader.steps(source, turn=math.inf, job=job, read=read))
        while group.full or (group.waiting and polls and polls.is_open):
            group.commit()
    while group.waiting:
        group.commit()


def _begun(
    ledger: Ledger, source: Source, readers: Sequence[Reader]
) -> Iterator[tuple[Reader, PollJob | None]]:
    """The job of each poll; None if the ledger has an error, which the poll reports."""
    for start in range(0, len(readers), _READINGS):
        part = readers[start : start + _READINGS]
        try:
            known = ledger.checkpoints(reader.partition for reader in part)
        except LedgerError:
            yield from ((reader, None) for reader in part)
        else:
            for reader in part:
                partition = reader.partition
                yield reader, PollJob(source, partition, known.get(partition))


class _Group:
    """Polls that wait for the commit of an evaluated reading."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._matched = self._characters = 0
        self.waiting: list[tuple[Reader, Steps, Evaluated]] = []

    @property
    def full(self) -> bool:
        return (
            self._matched >= _MATCHED
            or self._characters >= _CHARACTERS
            or len(self.waiting) >= _READINGS
        )

    def resume(self, reader: Reader, steps: Steps, committed: Committed | None = None) -> None:
        """Continue a poll to its next reading, or to its end."""
        try:
            step = steps.send(committed)
            while step is None:
                step = next(steps)
        except StopIteration:
            return
        self._add(reader, steps, step)

    def commit(self) -> None:
        """Commit the readings, and continue the polls."""
        waiting, self.waiting = self.waiting, []
        self._matched = self._characters = 0
        committed = None
        if len(waiting) > 1:
            try:
                committed = self._pipeline.commit(*(one for _, _, one in waiting))
            except LedgerError:
                committed = None
        for reader, steps, one in waiting:
            if committed is None:
                self._commit_alone(reader, steps, one)
            else:
                self.resume(reader, steps, committed)
                committed = _OTHERS

    def _commit_alone(self, reader: Reader, steps: Steps, waiting: Evaluated) -> None:
        try:
            step = reader.commit(steps, waiting)
            while step is None:
                step = next(steps)
        except StopIteration:
            return
        self._add(reader, steps, step)

    def _add(self, reader: Reader, steps: Steps, evaluated: Evaluated) -> None:
        self.waiting.append((reader, steps, evaluated))
        self._matched += len(evaluated.evaluation.events)
        self._characters += _kept(evaluated.reading.events)


def _kept(events: Sequence[LogEvent]) -> int:
    """Characters of messages that stay in memory. A document is freed: rules do not change here."""
    if isinstance(events, Judged):
        return 0
    if isinstance(events, Records):
        return 0 if events.release() else events.size
    return sum([len(event.message) for event in events])
