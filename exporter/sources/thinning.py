"""Which of a partition's re-reads fit into its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from exporter.aws.bucket import Needs
from exporter.sources.ahead import THREADS
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
_BUSY: Final = 0.5
"""Share of the time that all reads would take, one page after the other, above which pages are
fetched ahead."""
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
    """From one page to the next, if there are enough: the wait for the quota, the call, retries and
    counting."""

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
        measured = (
            f"All {self.all_reads} reads of an event take {self.full_load:.0%} of the interval,"
            f" at {self.page_seconds:.2f} s a page"
        )
        if self.thinned and self.full_load <= _FULL:
            return f"{measured} now, so they return step by step."
        return f"{measured}."

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


@dataclass(slots=True)
class _Pages:
    """The time that pages took."""

    calls: float = 0.0
    one_by_one: float = 0.0
    """Seconds of fetching and counting, one page after the other."""
    fetching: float = 0.0
    """Seconds of fetching, shared between the pages that are fetched at the same time."""
    counting: float = 0.0
    """Seconds of counting pages that were fetched ahead."""

    def add(self, fetching: float, counting: float, *, ahead: bool) -> None:
        self.one_by_one += fetching + counting
        self.fetching += fetching / THREADS if ahead else fetching + counting
        self.counting += counting if ahead else 0.0

    @property
    def seconds(self) -> float:
        """From one page to the next: fetched ahead, the slower of both decides."""
        return max(self.fetching, self.counting) / self.calls if self.calls else 0.0

    def fade(self) -> None:
        self.calls *= _KEPT
        self.one_by_one *= _KEPT
        self.fetching *= _KEPT
        self.counting *= _KEPT


class Thinning:
    """Chooses one of the forms of a schedule, by the time that pages take.

    This time contains everything that limits reading: the quota and other partitions that use it,
    throttling, latency, and the own computing time. The forms change by one step at a poll.
    """

    ahead = False
    """Whether the poll under way fetches pages ahead."""
    calls = 1
    """Calls of the plan: a window costs so many at least, and ``read`` counts pages of each."""
    extra = 0.0
    """Empty pages at the end of a window, on average; AWS was seen to send one after all events."""

    def __init__(self, schedule: Schedule, ages: Sequence[int] = ()) -> None:
        """``ages``: of the form that was used before."""
        self._forms = schedule.thinned
        known = [form.ages for form in self._forms]
        self._step = known.index(tuple(ages)) if tuple(ages) in known else 0
        self._all, self._last = _Pages(), _Pages()
        self._pages = self._length = 0.0
        self._quota_seconds = self._noted = 0.0
        self._over = self._under = 0
        self._patience = _PATIENCE
        self._stepped_back = False

    @property
    def busy(self) -> bool:
        """Whether all reads would take much of the time, so that pages should be fetched ahead."""
        pages = self._all
        return pages.calls > 0 and self._load(0, pages.one_by_one / pages.calls) > _BUSY

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
            page_seconds=self.page_seconds,
        )

    @property
    def needs(self) -> Needs:
        """The requests that reading takes; one at each poll before anything was read."""
        density = self._pages / self._length if self._length else 0.0
        forms = self._forms[0], self._forms[-1]
        return Needs(
            *(self.calls * form.pages(density, self.extra) * 1000 / form.interval for form in forms)
        )

    def asks(self, now: float) -> None:
        """A page is asked for, and the one before is counted. ``now``: seconds of any clock."""
        for pages in (self._all, self._last):
            pages.add(0.0, now - self._noted, ahead=self.ahead)
        self._noted = now

    def called(self, now: float, fetching: float) -> None:
        """A page came, or a throttle, after so many seconds of fetching."""
        for pages in (self._all, self._last):
            pages.calls += 1
            pages.add(fetching, 0.0, ahead=self.ahead)
        self._noted = now

    def read(self, length: int, pages: float, extra: float = 0.0) -> None:
        """So many milliseconds of event time had so many pages, and empty ones at the end."""
        self._length += length
        self._pages += pages
        self.extra = (self.extra + extra) / 2

    def begin_poll(self, now: float, *, caught_up: bool, quota_seconds: float = 0.0) -> None:
        """Choose the form for a poll.

        ``caught_up``: the poll before has read all that was due. ``quota_seconds``: between two
        calls that the quota allows.
        """
        self._noted, self._quota_seconds, self.ahead = now, quota_seconds, False
        load = self._load(self._step)
        # A poll that was slow stays in the mean for a while, but was the only one.
        last = max(self._last.seconds, quota_seconds) if self._last.calls else 0.0
        slow = load * last / self.page_seconds > _FULL if last else False
        self._over = self._over + 1 if slow and load > _FULL else 0
        self._last = _Pages()
        room = caught_up and self._step > 0 and self._load(self._step - 1) <= _ROOM
        self._under = self._under + 1 if room else 0
        # One call brings all that a quiet partition has, at any age: then nothing is to be gained.
        if self._over >= _SURE and self._load(len(self._forms) - 1) < load:
            if self._stepped_back:
                self._patience = min(2 * self._patience, _MOST_PATIENCE)
            self._step += 1
            self._over, self._stepped_back = 0, False
        elif self._under >= self._patience:
            self._step -= 1
            self._under, self._stepped_back = 0, True
        elif self._step == 0 and caught_up and load <= _ROOM:
            self._patience = max(_PATIENCE, self._patience - 1)
        self._all.fade()
        self._length *= _KEPT
        self._pages *= _KEPT

    def _load(self, step: int, page_seconds: float | None = None) -> float:
        if not (self._all.calls and self._length):
            return 0.0
        form = self._forms[step]
        seconds = self.calls * (self.page_seconds if page_seconds is None else page_seconds)
        pages = form.pages(self._pages / self._length, self.extra)
        return pages * seconds / (form.interval / 1000)

    @property
    def page_seconds(self) -> float:
        """See ``Rereads.page_seconds``; 0 before the first page."""
        return max(self._all.seconds, self._quota_seconds) if self._all.calls else 0.0
