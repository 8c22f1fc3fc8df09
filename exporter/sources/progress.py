"""The checkpoint of a partition that is read by event time: how far, and what is left behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from exporter import exactness
from exporter.model import DamagedCheckpointError
from exporter.sources.schedule import Schedule, Span, Sweep, Window

_MOST_SPANS: Final = 8
"""Spans of a backlog that are kept apart: as many stops within a lookback."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """Past that rules with a ``start`` of their own have yet to see."""

    rules: frozenset[str]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition is read."""

    sweep: Sweep
    """The positions of the youngest span, which has no end."""
    backlog: tuple[Span, ...] = ()
    """Older spans, youngest first: event time that was not read in its turn, after a stop."""
    backfilled: frozenset[str] = frozenset()
    """Rules with a start of their own whose past is read or in ``backfills``. A rule stays here
    when it leaves the configuration: its totals stay too, and must not count that past again."""
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
        """What is to be read now, newest first; windows of two spans may touch."""
        windows = schedule.due(self.sweep, now, complete=complete)
        for span in self.backlog:
            windows += schedule.due(span.sweep, now, end=span.end, complete=complete)
        return windows

    def detached(self, schedule: Schedule, now: int) -> Progress:
        """With what was not read in its turn as a span of the backlog."""
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
        """Once a window was wholly read, the reading having begun at ``read_at``."""
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
        """Once a window of the first backfill was wholly read."""
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

        def levels(sweep: Sweep) -> list[tuple[int, int]]:
            return list(zip(ages, sweep, strict=True))

        document: dict[str, object] = {"sweep": levels(self.sweep)}
        if self.backlog:
            document["backlog"] = [[levels(span.sweep), span.end] for span in self.backlog]
        if self.backfilled:
            document["backfilled"] = sorted(self.backfilled)
        if self.backfills:
            document["backfills"] = [[sorted(b.rules), b.start, b.end] for b in self.backfills]
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str, schedule: Schedule, now: int) -> Progress:
        """From text, fitted to the schedule. Raises DamagedCheckpointError."""

        def sweep(levels: Sequence[Sequence[int]]) -> Sweep:
            return schedule.fit([(_number(age), _number(at)) for age, at in levels])

        try:
            document = json.loads(text)
            progress = cls(
                sweep(document["sweep"]),
                tuple(
                    Span(sweep(levels), _number(end)) for levels, end in document.get("backlog", ())
                ),
                frozenset(map(_name, document.get("backfilled", ()))),
                tuple(
                    Backfill(frozenset(map(_name, rules)), _number(start), _number(end))
                    for rules, start, end in document.get("backfills", ())
                ),
            )
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise DamagedCheckpointError from error
        return progress._by_clock(schedule, now)

    def _by_clock(self, schedule: Schedule, now: int) -> Progress:
        """Positions in the future come from a clock that was ahead: those of all spans go back.

        By an interval more than is seen, for the time that has passed since.
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


def _number(value: object) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _name(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
