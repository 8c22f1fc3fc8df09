"""Which of a partition's re-reads fit into its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.sources.schedule import Schedule

_FULL: Final = 0.9
"""Share of the time above which re-reads are thinned."""
_ROOM: Final = 0.7
"""Share of the time below which they are added again: far enough from ``_FULL``."""
_PATIENCE: Final = 10
"""Polls with room before a step back to the full schedule."""
_MOST_PATIENCE: Final = 160
"""The patience doubles up to this each time that a step back was too early."""
_SURE: Final = 2
"""Polls without room before a step of thinning: one slow call is no reason."""
_KEPT: Final = 0.7
"""Share of the measured values that a poll keeps of those before."""


@dataclass(frozen=True, slots=True)
class Rereads:
    """How often a partition's schedule reads its events, and what that takes."""

    factor: float
    """Growth of the ages between the reads."""
    reads: int
    """Reads of each event."""
    all_reads: int
    """Reads of each event without thinning."""
    load: float
    """Share of the time that the reads take; above 1 the partition falls behind."""
    full_load: float
    """Share of the time that all reads would take."""
    page_seconds: float
    """Time that a page takes: the wait for the quota, the call, retries and counting."""

    @property
    def thinned(self) -> bool:
        """Whether some re-reads are left out."""
        return self.reads < self.all_reads

    @property
    def short(self) -> bool:
        """Whether even these reads do not fit."""
        return self.load > 1

    @property
    def reason(self) -> str:
        """What was measured, as a sentence."""
        if not self.page_seconds:
            return "They were when the exporter stopped."
        return (
            f"All {self.all_reads} reads of an event take {self.full_load:.0%} of the interval,"
            f" at {self.page_seconds:.2f} s a page."
        )

    def __str__(self) -> str:
        """What a user should know; empty if all reads are made in time."""
        texts = []
        if self.thinned:
            texts.append(
                f"Re-reads are thinned out: factor {self.factor:.1f}, {self.reads} reads an event"
                f" instead of {self.all_reads}. {self.reason}"
            )
        if self.short:
            texts.append(
                f"It falls behind: {self.reads} reads an event take {self.load:.0%} of the"
                " interval. Nothing is lost, but late events are counted later."
            )
        return " ".join(texts)


class Thinning:
    """Chooses one of the forms of a schedule, by the time that pages take.

    This time contains everything that limits reading: the quota and other partitions that use it,
    throttling, latency, and the own computing time. The forms change by one step at a poll.
    """

    def __init__(self, schedule: Schedule, ages: Sequence[int] = ()) -> None:
        """``ages``: of the form that was used before."""
        self._forms = schedule.thinned
        known = [form.ages for form in self._forms]
        self._step = known.index(tuple(ages)) if tuple(ages) in known else 0
        self._seconds = self._calls = self._pages = self._length = 0.0
        self._ended = self._last_seconds = 0.0
        self._last_calls = 0
        self._over = self._under = 0
        self._patience = _PATIENCE
        self._stepped_back = False

    @property
    def schedule(self) -> Schedule:
        """The form in use."""
        return self._forms[self._step]

    @property
    def rereads(self) -> Rereads:
        """What the form in use means."""
        return Rereads(
            factor=self.schedule.factor,
            reads=len(self.schedule.ages),
            all_reads=len(self._forms[0].ages),
            load=self._load(self._step),
            full_load=self._load(0),
            page_seconds=self._mean,
        )

    def called(self, now: float) -> None:
        """A call ended; it took the time since the one before. ``now``: seconds of any clock."""
        self._calls += 1
        self._seconds += now - self._ended
        self._last_calls += 1
        self._last_seconds += now - self._ended
        self._ended = now

    def read(self, length: int, pages: float) -> None:
        """So many milliseconds of event time had so many pages."""
        self._length += length
        self._pages += pages

    def begin_poll(self, now: float, *, caught_up: bool) -> None:
        """Choose the form for a poll. ``caught_up``: the poll before has read all that was due."""
        self._ended = now
        load = self._load(self._step)
        # A poll that was slow stays in the mean for a while, but was the only one.
        slow = load * self._last / self._mean > _FULL if self._last else False
        self._over = self._over + 1 if slow and load > _FULL else 0
        self._last_seconds, self._last_calls = 0.0, 0
        room = caught_up and self._step > 0 and self._load(self._step - 1) <= _ROOM
        self._under = self._under + 1 if room else 0
        if self._over >= _SURE and self._step < len(self._forms) - 1:
            if self._stepped_back:
                self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._step += 1
            self._over, self._stepped_back = 0, False
        elif self._under >= self._patience:
            self._step -= 1
            self._under, self._stepped_back = 0, True
        elif self._step == 0 and caught_up and load <= _ROOM:
            self._patience = max(_PATIENCE, self._patience - 1)
        self._seconds *= _KEPT
        self._calls *= _KEPT
        self._length *= _KEPT
        self._pages *= _KEPT

    def _load(self, step: int) -> float:
        if not (self._calls and self._length):
            return 0.0
        form = self._forms[step]
        pages = form.pages(self._pages / self._length)
        return pages * self._mean / (form.interval / 1000)

    @property
    def _mean(self) -> float:
        """Seconds a page."""
        return self._seconds / self._calls if self._calls else 0.0

    @property
    def _last(self) -> float:
        """Seconds a page in the last poll."""
        return self._last_seconds / self._last_calls if self._last_calls else 0.0
