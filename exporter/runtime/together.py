"""Polls of many partitions whose readings are committed together: a file each, mostly small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from exporter.ledger.base import Committed, LedgerError
from exporter.model import LogEvent, Records
from exporter.runtime.pipeline import Evaluated, Pipeline
from exporter.runtime.reader import Reader, Steps
from exporter.sources.base import Source

_EVENTS: Final = 5_000
"""Log events of a commit: as many as a reading has, mostly."""
_READINGS: Final = 128
"""Each has a file open until it is committed."""
_CHARACTERS: Final = 32 * 1024 * 1024
"""A file of few log events can have as many; they are in memory until it is committed."""

_OTHERS: Final = Committed()
"""The outcome of a commit is told to one of its readings, and this to the others."""


def poll_together(pipeline: Pipeline, source: Source, readers: Sequence[Reader]) -> None:
    """Poll partitions of a source one after the other, and commit their readings in groups.

    A group is committed in one transaction, all of it or nothing. If that fails, or if one of its
    partitions was read by another process, its readings are committed one at a time.
    """
    group = _Group(pipeline)
    for start in range(0, len(readers), _READINGS):
        part = readers[start : start + _READINGS]
        checkpoint = None
        with suppress(LedgerError):  # each poll reports the error
            checkpoint = pipeline.ledger.checkpoints(reader.partition for reader in part).get
        for reader in part:
            group.resume(reader, reader.steps(source, turn=math.inf, checkpoint=checkpoint))
            while group.full:
                group.commit()
    while group.waiting:
        group.commit()


class _Group:
    """Polls that wait for the commit of an evaluated reading."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._events = self._characters = 0
        self.waiting: list[tuple[Reader, Steps, Evaluated]] = []

    @property
    def full(self) -> bool:
        return (
            self._events >= _EVENTS
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
        self._events = self._characters = 0
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
        events = evaluated.reading.events
        self._events += len(events)
        self._characters += _characters(events)


def _characters(events: Sequence[LogEvent]) -> int:
    """Characters of the messages, or bytes of the document that has them."""
    if isinstance(events, Records):
        return len(events.document)
    return sum([len(event.message) for event in events])
