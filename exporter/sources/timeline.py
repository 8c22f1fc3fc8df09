"""Reads an API that selects by event time, without losing events or counting them twice."""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

from exporter import exactness
from exporter.aws.quotas import CallCost
from exporter.aws.uses import Use, used_by
from exporter.model import EventFormat, Partition, SourceError
from exporter.planning.interest import Interest
from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.sources.ahead import Ahead, Slice
from exporter.sources.asking import Answered, Asking, Plans
from exporter.sources.base import Discovery, Reading
from exporter.sources.pace import PAGES, Answer, EventPage, Pace
from exporter.sources.progress import Progress
from exporter.sources.schedule import Schedule, Window, merge
from exporter.sources.thinning import Thinning
from exporter.sources.timeline_options import TimelineConfig

Work: TypeAlias = tuple[Window, frozenset[str]]
"""A window, and the only rules that count in it (all if empty)."""
_ALL_RULES: Final[frozenset[str]] = frozenset()


class TimelineSource(ABC):
    """A source whose API selects by event time; the past is read again by a schedule.

    ``since`` returns the time when a partition was configured, milliseconds (None if it was with
    this source). ``clock`` returns seconds since the epoch and is never ahead of the API's.
    """

    resolution: int
    """Milliseconds; the API's times are multiples of it."""
    page_size: int
    """Maximum number of log events that a call usually returns."""
    discovery_interval = 300.0
    place: Partition | None = None
    busy_load = 0.5
    """Share of an interval that has passed when a poll begins to use threads."""
    busy_partitions = 8
    """Partitions that use threads at the same time; each may have several pages in memory."""
    budget = 1.0
    """Share of each request quota that may be used."""
    selects_by_event_time = False
    """Whether the time that the API selects by is the event's own."""

    def __init__(
        self,
        config: TimelineConfig,
        *,
        since: Callable[[Partition], int | None],
        complete: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = config.name
        self.format: EventFormat = config.format
        self.interval = config.interval
        self.memory = round(config.lookback * 1000)
        self._plans = Plans(config.plans)
        self._schedule = Schedule(round(config.interval * 1000), self.memory, self.resolution)
        self._start = round(config.start * 1000)
        self._since = since
        self._complete = complete
        self._clock = clock
        self._monotonic = monotonic
        self._loaded = self._now()
        self._paces: dict[str, Pace] = {}
        self._refused: set[Request] = set()
        """Requests that AWS does not accept, which were logged."""
        self._busy = threading.BoundedSemaphore(self.busy_partitions)

    @abstractmethod
    def discover(self) -> Discovery:
        """See Source."""

    @abstractmethod
    def pages(
        self, partition: Partition, start: int, end: int, request: Request = EVERYTHING
    ) -> Iterator[EventPage]:
        """Every visible log event with start ≤ time < end, milliseconds, in any order.

        ``request`` is of one of the ``plans``, or for everything. Follows every token, through
        empty pages. May include events at ``end``. Raises SourceError. Its parts run in several
        threads, one after the other, and several calls of it at once.
        """

    def created_at(self, partition: Partition) -> int | None:  # noqa: ARG002
        """Creation time of the partition, milliseconds, if the API reports it."""
        return None

    def read_up_to(self, partition: Partition, checkpoint: str | None) -> int:
        """See ``Source.read_up_to``; the origin if the partition was never read."""
        if checkpoint is None:
            return self._origin(partition, (), self._now())
        return Progress.decode(checkpoint, self._schedule, self._now()).read_up_to

    def counted_from(self, partition: Partition) -> int:
        """See ``Source.counted_from``; its creation, if that is later than the ``start``."""
        begin = self._origin(partition, (), self._now()) + self._schedule.resolution
        return max(begin, self.created_at(partition) or begin)

    def size(self, partition: Partition) -> None:  # noqa: B027 - None is the answer
        """Unknown: APIs do not say."""

    @abstractmethod
    def cost(self, partition: Partition) -> CallCost | None:
        """See Source."""

    def plans(self, partition: Partition, interest: Interest | None) -> Sequence[Plan]:  # noqa: ARG002
        """The plans for the events of a partition; see ``TimelineConfig.plans``."""
        return self._plans.of(interest)

    def uses_threads(self, partition: Partition) -> bool:
        """Whether the poll that is under way fetches pages by threads."""
        pace = self._paces.get(partition.key)
        ahead = None if pace is None else pace.ahead
        return ahead is not None and ahead.uses_threads

    def use(self, partition: Partition) -> Use:
        """Who makes the next call for a partition, and why."""
        pace = self._paces.get(partition.key)
        known = None if pace is None else pace.use
        return known or Use(self.name, partition.key, budget=self.budget)

    def release(self, partition: Partition) -> None:
        """See Source."""
        pace = self._paces.pop(partition.key, None)
        if pace is not None:
            pace.release()

    def poll(
        self,
        partition: Partition,
        checkpoint: str | None,
        *,
        own_starts: Mapping[str, int],
        interest: Interest | None = None,
        turn: float = math.inf,
    ) -> Iterator[Reading]:
        """Read the windows that are due: fresh events, the backlog, then the past for new rules.

        The reading that completes a slice moves the checkpoint past it.
        """
        began, now = self._monotonic(), self._now()
        pace = self._pace(partition, checkpoint)
        pace.begin_poll(began, self.cost(partition))
        schedule = pace.thinning.schedule
        if checkpoint is None:
            progress = Progress(schedule.begin(self._origin(partition, own_starts.values(), now)))
            # Stored before anything is read: a partition that fails for days still begins here.
            yield pace.reading(EventPage(()), progress, progress, behind=True)
        else:
            progress = Progress.decode(checkpoint, schedule, now)
        progress = progress.with_backfills(own_starts)
        if not self._complete:
            progress = progress.detached(schedule, now)
        asking = self._asking(partition, progress, now, interest, pace)
        work = self._work(progress, now, pace)
        # There may be no fresh window: AWS's times are whole seconds, and failed polls retry soon.
        fresh = 0 if work and work[0][0].end > progress.positions[0] else None
        pace.fresh_from = math.inf if fresh is None else work[fresh][0].start
        own = replace(self.use(partition), until=began + turn)
        uses = [
            replace(own, reason=progress.reason(*one, is_fresh=of == fresh))
            for of, one in enumerate(work)
        ]
        number, again, rest = -1, False, 0
        with self._ahead(asking, work, uses, pace) as ahead:
            for of, page, done in self._read(ahead, asking, pace, began):
                window, backfill = work[of]
                if of > number:
                    number, again, rest = of, progress.was_read(window), window.length
                is_fresh = of == fresh
                after = progress
                if done is not None:
                    rest = window.end - done.end
                    after = (
                        progress.after_backfill(done)
                        if backfill
                        else progress.after(schedule, done, now)
                    )
                behind = of + 1 < len(work) or rest > 0
                use = uses[of if done is None or rest else min(of + 1, len(work) - 1)]
                # After a slice of the past the poll may end, and the next one begins instead.
                in_middle = done is None or (is_fresh and rest > 0)
                pace.use = use.following() if in_middle else use
                reading = pace.reading(page, progress, after, behind=behind)
                reading = replace(reading, backfill=backfill, again=again, reason=uses[of].reason)
                if done is not None:
                    reading = replace(reading, completes="fresh" if is_fresh else "older")
                yield asking.named(reading)
                progress = after
                left = began + turn - self._monotonic()
                if (
                    done is not None
                    and behind
                    and not is_fresh
                    and left <= ahead.begun * PAGES * pace.thinning.page_seconds
                    and not ahead.finish()
                ):
                    pace.oldest_first = not pace.oldest_first
                    return
        pace.caught_up = True

    def _pace(self, partition: Partition, checkpoint: str | None) -> Pace:
        pace = self._paces.get(partition.key)
        if pace is None:
            # After a restart, re-reads stay thinned as they were.
            ages = () if checkpoint is None else Progress.ages(checkpoint)
            pace = self._paces[partition.key] = Pace(Thinning(self._schedule, ages), self._complete)
        return pace

    def _work(self, progress: Progress, now: int, pace: Pace) -> list[Work]:
        """The windows in order."""
        windows = progress.windows(pace.thinning.schedule, now, complete=self._complete)
        if pace.events_per_ms is not None:
            density = pace.events_per_ms / pace.calls
            windows = merge(windows, density, pace.full_page(self.page_size))
        fresh, older = windows[:1], windows[1:]
        if pace.oldest_first:
            older.reverse()
        backfills = [(Window(b.start, b.end), b.rules) for b in progress.backfills]
        return [*((window, _ALL_RULES) for window in (*fresh, *older)), *backfills]

    def _asking(
        self,
        partition: Partition,
        progress: Progress,
        now: int,
        interest: Interest | None,
        pace: Pace,
    ) -> Asking:
        """The requests of a poll."""
        if interest is not None and self.selects_by_event_time:
            since = [progress.remember_from]
            interest = interest.since(exactness.versions_needed_from(now, self.memory, since))
        return Asking(
            partial(self.pages, partition),
            pace,
            self.plans(partition, interest),
            interest,
            schedule=self._schedule,
            page_size=self.page_size,
            unread_from=progress.positions[0],
            logged=self._refused,
        )

    def _origin(self, partition: Partition, own_starts: Iterable[int], now: int) -> int:
        since = self._since(partition)
        origin = exactness.origin(
            configured=self._loaded if since is None else since,
            start=self._start,
            created=self.created_at(partition),
            own_starts=own_starts,
            allowed_lateness=self.memory,
            now=now,
        )
        # A little earlier, so the first poll makes a call and shows if it is allowed.
        return origin - self._schedule.resolution

    @contextmanager
    def _ahead(
        self, asking: Asking, work: Sequence[Work], uses: Sequence[Use], pace: Pace
    ) -> Iterator[Ahead[Answer]]:
        """The slices of windows, a few pages each.

        So little is read again after a crash or an error.
        """

        def cut(rest: Window) -> Window:
            return self._schedule.slice_of(rest, pace.slice_length(rest))

        def fetch(piece: Window, of: int) -> Iterator[Answer]:
            is_first = piece.start == work[of][0].start
            pages = used_by(uses[of] if is_first else uses[of].following(), asking.fetch(piece))
            yield from islice(pages, asking.many + 1) if self._divisible(piece) else pages

        pace.ahead = ahead = Ahead([window for window, _ in work], cut, fetch, self._monotonic)
        try:
            yield ahead
        finally:
            pace.ahead = pace.use = None
            if ahead.close():
                self._busy.release()

    def _read(
        self, ahead: Ahead[Answer], asking: Asking, pace: Pace, began: float
    ) -> Iterator[tuple[int, EventPage, Window | None]]:
        """Yield each page with the number of its window, and the slice that it completes.

        A slice of many more pages than it should have is retried in shorter pieces; the pages that
        were read count.
        """
        for piece in ahead.slices():
            self._hurry(ahead, pace, began)
            window = piece.window
            page, answered, complete = EventPage(()), Answered(), True
            try:
                for answer in self._measured(ahead, piece, pace.thinning):
                    if answer.is_probe:
                        asking.probed(answer, window)
                        yield piece.of, answer.page, None
                        continue
                    if answered.pages:
                        yield piece.of, page, None
                    page = answer.page
                    answered.add(answer)
                    if answered.pages.total() > asking.many and self._divisible(window):
                        complete = False
                        break
            except SourceError as error:
                if error.reason == "throttled":
                    pace.thinning.called(self._monotonic(), piece.seconds)
                pace.failed(window)
                raise
            if complete:
                asking.learn(window, answered)
                yield piece.of, page, window
            else:
                pace.shorten(window, PAGES)
                ahead.again(piece)
                yield piece.of, page, None

    def _measured(
        self, ahead: Ahead[Answer], piece: Slice[Answer], thinning: Thinning
    ) -> Iterator[Answer]:
        pages = ahead.pages(piece)
        while True:
            thinning.asks(self._monotonic())
            page = next(pages, None)
            if page is None:
                return
            thinning.called(self._monotonic(), piece.seconds)
            yield page

    def _hurry(self, ahead: Ahead[Answer], pace: Pace, began: float) -> None:
        """Fetch by threads if the partition is busy."""
        late = self._monotonic() >= began + self.interval * self.busy_load
        if (late or pace.thinning.busy) and not ahead.uses_threads and self._busy.acquire(False):
            ahead.use_threads()
            pace.thinning.ahead = True

    def _divisible(self, piece: Window) -> bool:
        return piece.length > self._schedule.resolution

    def _now(self) -> int:
        return math.floor(self._clock() * 1000)
