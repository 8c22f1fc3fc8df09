"""The checkpoint of a partition that is read by event time: positions and backlog."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from exporter import exactness
from exporter.model import DamagedCheckpointError
from exporter.sources.schedule import Schedule, Span, Sweep, Window

_MOST_SPANS: Final = 8
"""Spans of a backlog: as many stops within a lookback are kept apart."""


_Levels: TypeAlias = Annotated[list[tuple[int, int]], Field(min_length=1)]
"""Positions, each with the age of its level."""


class _Document(BaseModel):
    """Progress as the ledger has it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sweep: _Levels
    backlog: list[tuple[_Levels, int]] = []
    backfilled: list[str] = []
    backfills: list[tuple[list[str], int, int]] = []


@dataclass(frozen=True, slots=True)
class Backfill:
    """The unread past of rules with a ``start`` of their own."""

    rules: frozenset[str]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition is read."""

    sweep: Sweep
    """The positions of the youngest span, which has no end."""
    backlog: tuple[Span, ...] = ()
    """Older spans, youngest first: what was not read in time, after a stop."""
    backfilled: frozenset[str] = frozenset()
    """Rules with a start of their own whose past is read or in ``backfills``. Kept when a rule
    leaves the configuration: its totals are kept too, and must not count that past again."""
    backfills: tuple[Backfill, ...] = ()

    @property
    def watermark(self) -> int:
        """See ``exactness.watermark``."""
        return exactness.watermark([self.sweep[-1], *(span.sweep[-1] for span in self.backlog)])

    @property
    def remember_from(self) -> int:
        """See ``exactness.readable_from``."""
        return exactness.readable_from(self.watermark, (b.start for b in self.backfills))

    @property
    def read_up_to(self) -> int:
        """Milliseconds. Everything before this was read at least once."""
        unread = (span.sweep[0] for span in self.backlog if span.sweep[0] < span.end)
        return min([self.sweep[0], *unread])

    def windows(self, schedule: Schedule, now: int, *, complete: bool) -> list[Window]:
        """What to read now, newest first; windows of two spans may touch."""
        windows = schedule.due(self.sweep, now, complete=complete)
        for span in self.backlog:
            windows += schedule.due(span.sweep, now, end=span.end, complete=complete)
        return windows

    def detached(self, schedule: Schedule, now: int) -> Progress:
        """With what was not read in time as a span of the backlog."""
        sweep, span = schedule.detach(self.sweep, now)
        if span is None:
            return self
        backlog = (span, *self.backlog)
        if len(backlog) > _MOST_SPANS:
            *kept, younger, oldest = backlog
            joined = tuple(
                min(positions) for positions in zip(younger.sweep, oldest.sweep, strict=True)
            )
            backlog = (*kept, Span(joined, younger.end))
        return replace(self, sweep=sweep, backlog=backlog)

    def after(self, schedule: Schedule, window: Window, read_at: int) -> Progress:
        """After a window was read completely, beginning at ``read_at``."""
        spans = (
            replace(span, sweep=schedule.advance(span.sweep, window, read_at, end=span.end))
            for span in self.backlog
        )
        return replace(
            self,
            sweep=schedule.advance(self.sweep, window, read_at),
            backlog=tuple(span for span in spans if not span.done),
        )

    def after_backfill(self, window: Window) -> Progress:
        """After a window of the first backfill was read completely."""
        backfill, *others = self.backfills
        left = replace(backfill, start=window.end)
        rest = (left, *others) if left.start < left.end else tuple(others)
        return replace(self, backfills=rest)

    def with_backfills(self, own_starts: Mapping[str, int]) -> Progress:
        """Ask for the past of rules with a start of their own that are new to the partition."""
        end = self.sweep[0]
        rules, start = exactness.backfill(own_starts, self.backfilled, end)
        past = () if start is None else (Backfill(rules, start, end),)
        return replace(self, backfilled=self.backfilled | rules, backfills=(*self.backfills, *past))

    def encode(self, ages: Sequence[int]) -> str:
        """As text. Positions are kept with their age: interval and lookback may change."""

        def levels(sweep: Sweep) -> _Levels:
            return list(zip(ages, sweep, strict=True))

        document = _Document(
            sweep=levels(self.sweep),
            backlog=[(levels(span.sweep), span.end) for span in self.backlog],
            backfilled=sorted(self.backfilled),
            backfills=[(sorted(b.rules), b.start, b.end) for b in self.backfills],
        )
        return document.model_dump_json(exclude_defaults=True)

    @classmethod
    def decode(cls, text: str, schedule: Schedule, now: int) -> Progress:
        """From text, fitted to the schedule. Raises DamagedCheckpointError."""
        try:
            document = _Document.model_validate_json(text)
        except ValueError as error:
            raise DamagedCheckpointError from error
        progress = cls(
            schedule.fit(document.sweep),
            tuple(Span(schedule.fit(levels), end) for levels, end in document.backlog),
            frozenset(document.backfilled),
            tuple(Backfill(frozenset(rules), *times) for rules, *times in document.backfills),
        )
        return progress._by_clock(schedule, now)

    def _by_clock(self, schedule: Schedule, now: int) -> Progress:
        """Move the positions of all spans back if some are in the future: a clock was ahead.

        By an interval more than they show, for the time that has passed since.
        """
        if self.sweep[0] <= now:
            return self
        ahead = self.sweep[0] - now + schedule.interval
        sweep = schedule.take_back(self.sweep, now, ahead=ahead)
        backlog = (
            Span(schedule.take_back(span.sweep, now, ahead=ahead), min(span.end, sweep[0]))
            for span in self.backlog
        )
        return replace(self, sweep=sweep, backlog=tuple(span for span in backlog if not span.done))
