"""The checkpoint of a partition that is read by event time: positions and backlog."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from exporter import exactness
from exporter.aws.uses import Reason
from exporter.model import DamagedCheckpointError
from exporter.sources.schedule import BacklogSpan, Positions, Schedule, Window

_MOST_SPANS: Final = 8
"""Spans of a backlog that are kept apart: one for each stop within a lookback."""

_Levels: TypeAlias = Annotated[list[tuple[int, int]], Field(min_length=1)]
"""Positions, each with the age of its level."""


class _Document(BaseModel):
    """Progress as the ledger stores it; the names are part of schema 2."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sweep: _Levels
    backlog: list[tuple[_Levels, int]] = []
    backfilled: list[str] = []
    backfills: list[tuple[list[str], int, int]] = []


@dataclass(frozen=True, slots=True)
class Backfill:
    """The unread past of rules with their own ``start``."""

    rules: frozenset[str]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition has been read."""

    positions: Positions
    """The positions of the youngest span, which has no end."""
    backlog: tuple[BacklogSpan, ...] = ()
    """Older spans that were not read in time, for example during a stop; youngest first."""
    backfilled: frozenset[str] = frozenset()
    """Rules with their own start whose past was read or is in ``backfills``. Kept when a rule is
    removed: its totals are kept too, and must not count that past again."""
    backfills: tuple[Backfill, ...] = ()

    @property
    def watermark(self) -> int:
        """See ``exactness.watermark``."""
        return exactness.watermark(
            [self.positions[-1], *(span.positions[-1] for span in self.backlog)]
        )

    @property
    def remember_from(self) -> int:
        """See ``exactness.readable_from``."""
        return exactness.readable_from(self.watermark, (b.start for b in self.backfills))

    @property
    def read_up_to(self) -> int:
        """Milliseconds: everything before this was read at least once."""
        unread = (span.positions[0] for span in self.backlog if span.positions[0] < span.end)
        return min([self.positions[0], *unread])

    def was_read(self, window: Window) -> bool:
        """Whether any of the window's time was read before."""
        return window.start < self.positions[0] and not any(
            span.positions[0] <= window.start and window.end <= span.end for span in self.backlog
        )

    def reason(self, window: Window, backfill: Collection[str], *, is_fresh: bool) -> Reason:
        """Why a window is read; ``backfill``: the rules that it is read for, if not for all."""
        if backfill:
            return "backfill"
        if is_fresh:
            return "fresh"
        return "reread" if self.was_read(window) else "backlog"

    def windows(self, schedule: Schedule, now: int, *, complete: bool) -> list[Window]:
        """The windows to read now, newest first; windows of two spans may touch."""
        windows = schedule.due(self.positions, now, complete=complete)
        for span in self.backlog:
            windows += schedule.due(span.positions, now, end=span.end, complete=complete)
        return windows

    def detached(self, schedule: Schedule, now: int) -> Progress:
        """Move the event time that was not read in time to the backlog."""
        positions, span = schedule.detach(self.positions, now)
        if span is None:
            return self
        backlog = (span, *self.backlog)
        if len(backlog) > _MOST_SPANS:
            *kept, younger, oldest = backlog
            joined = tuple(
                min(positions)
                for positions in zip(younger.positions, oldest.positions, strict=True)
            )
            backlog = (*kept, BacklogSpan(joined, younger.end))
        return replace(self, positions=positions, backlog=backlog)

    def after(self, schedule: Schedule, window: Window, read_at: int) -> Progress:
        """The progress after a window was read completely; the reading began at ``read_at``."""
        spans = (
            replace(span, positions=schedule.advance(span.positions, window, read_at, end=span.end))
            for span in self.backlog
        )
        return replace(
            self,
            positions=schedule.advance(self.positions, window, read_at),
            backlog=tuple(span for span in spans if not span.done),
        )

    def after_backfill(self, window: Window) -> Progress:
        """The progress after a window of the first backfill was read completely."""
        backfill, *others = self.backfills
        left = replace(backfill, start=window.end)
        rest = (left, *others) if left.start < left.end else tuple(others)
        return replace(self, backfills=rest)

    def with_backfills(self, own_starts: Mapping[str, int]) -> Progress:
        """Add backfills for the rules with their own start that are new to the partition."""
        end = self.positions[0]
        rules, start = exactness.backfill(own_starts, self.backfilled, end)
        past = () if start is None else (Backfill(rules, start, end),)
        return replace(self, backfilled=self.backfilled | rules, backfills=(*self.backfills, *past))

    def encode(self, ages: Sequence[int]) -> str:
        """As text. Each position has its age, because interval and lookback may change."""

        def levels(positions: Positions) -> _Levels:
            return list(zip(ages, positions, strict=True))

        document = _Document(
            sweep=levels(self.positions),
            backlog=[(levels(span.positions), span.end) for span in self.backlog],
            backfilled=sorted(self.backfilled),
            backfills=[(sorted(b.rules), b.start, b.end) for b in self.backfills],
        )
        return document.model_dump_json(exclude_defaults=True)

    @staticmethod
    def ages(text: str) -> list[int]:
        """The ages of the schedule that was used. Raises DamagedCheckpointError."""
        return [age for age, _ in _document(text).sweep]

    @classmethod
    def decode(cls, text: str, schedule: Schedule, now: int) -> Progress:
        """From text, converted to the schedule's ages. Raises DamagedCheckpointError."""
        document = _document(text)
        progress = cls(
            schedule.fit(document.sweep),
            tuple(BacklogSpan(schedule.fit(levels), end) for levels, end in document.backlog),
            frozenset(document.backfilled),
            tuple(Backfill(frozenset(rules), *times) for rules, *times in document.backfills),
        )
        return progress._by_clock(schedule, now)

    def _by_clock(self, schedule: Schedule, now: int) -> Progress:
        """Move all positions back if some are in the future, because a clock was ahead.

        An interval is added for the time that has passed since.
        """
        if self.positions[0] <= now:
            return self
        ahead = self.positions[0] - now + schedule.interval
        positions = schedule.take_back(self.positions, now, ahead=ahead)
        backlog = (
            BacklogSpan(
                schedule.take_back(span.positions, now, ahead=ahead), min(span.end, positions[0])
            )
            for span in self.backlog
        )
        return replace(
            self, positions=positions, backlog=tuple(span for span in backlog if not span.done)
        )


def _document(text: str) -> _Document:
    try:
        return _Document.model_validate_json(text)
    except ValueError as error:
        raise DamagedCheckpointError from error
