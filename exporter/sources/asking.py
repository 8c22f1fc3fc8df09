"""Makes the requests of a plan for each slice of a poll's windows."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

import structlog

from exporter.model import SourceError
from exporter.patterns import FilterPattern
from exporter.planning.interest import Interest
from exporter.planning.plan import EVERYTHING, READ_EVERYTHING, Plan, Request
from exporter.planning.sampling import shares
from exporter.sources.base import Reading
from exporter.sources.pace import PAGES, Answer, EventPage, Pace
from exporter.sources.schedule import Schedule, Window

_log = structlog.get_logger(__name__)

Pages: TypeAlias = Callable[[int, int, Request], Iterator[EventPage]]
"""See ``TimelineSource.pages``."""

_MANY_PAGES: Final = 2 * PAGES
_MOST_INTERESTS: Final = 8
"""Whose plans are kept: plans for a thousand rules can take a second."""
_SAMPLES: Final = 4
"""Slices of a poll that are sampled."""


class Plans:
    """The plans for an interest, made once for all partitions of a source. Thread-safe."""

    def __init__(self, make: Callable[[Sequence[FilterPattern]], Sequence[Plan]]) -> None:
        """``make``: see ``TimelineConfig.plans``."""
        self._make = make
        self._lock = threading.Lock()
        self._known: dict[Interest, Sequence[Plan]] = {}
        """The latest last. Partitions may need more of them while a version of a rule ends."""

    def of(self, interest: Interest | None) -> Sequence[Plan]:
        """The plans for an interest; None to read everything."""
        if interest is None:
            return (READ_EVERYTHING,)
        with self._lock:
            plans = self._known.pop(interest, None) or self._make(interest.patterns)
            self._known[interest] = plans
            if len(self._known) > _MOST_INTERESTS:
                del self._known[next(iter(self._known))]
            return plans


@dataclass(slots=True)
class Answered:
    """The answers for one slice."""

    pages: Counter[Request] = field(default_factory=Counter)
    events: Counter[Request] = field(default_factory=Counter)
    """Log events; one that several requests returned counts for each."""
    ends: set[Request] = field(default_factory=set)
    """Those whose last page was empty, after others. It is not a sign of many log events."""
    last: EventPage | None = None
    """The last page that was not empty."""

    def add(self, answer: Answer) -> None:
        """Add a page."""
        request, events = answer.request, answer.page.events
        self.pages[request] += 1
        self.events[request] += len(events)
        if events:
            self.last = answer.page
            self.ends.discard(request)
        elif self.pages[request] > 1:
            self.ends.add(request)


class Asking:
    """The requests of one poll. A slice is read once all of them have returned their last page.

    Several may return the same log event: it has an id, and counts once. So a request may be
    replaced by a wider one at any time.
    """

    def __init__(
        self,
        pages: Pages,
        pace: Pace,
        plans: Sequence[Plan],
        interest: Interest | None,
        *,
        schedule: Schedule,
        page_size: int,
        logged: set[Request],
    ) -> None:
        """Choose one of the plans, which are for an ``interest``; None if they are for any rules.

        ``logged``: requests that AWS does not accept; those of other partitions may be the same.
        """
        full = pace.full_page(page_size)
        planner = pace.planner
        self._plan = plan = planner.begin(plans, partial(schedule.pages, extra=pace.thinning.extra))
        # Nothing was left out for rules that are loaded later, either.
        self._interest = None if EVERYTHING in plan.requests else interest
        self._pages = pages
        self._pace = pace
        self._full_page = full
        self._logged = logged
        self._samples = _SAMPLES
        self._probe, planner.probe = planner.probe, None
        pace.calls = pace.thinning.calls = len(plan.requests)
        self.many = _MANY_PAGES * pace.calls
        """Pages after which a slice is retried in shorter pieces."""

    def named(self, reading: Reading) -> Reading:
        """A reading with the plan and the measured rates."""
        planner, rates = self._pace.planner, None
        if reading.completes == "fresh":
            rates = {str(request): rate for request, rate in planner.rates.items()}
        return replace(
            reading,
            plan=self._plan,
            interest=self._interest,
            refused=planner.refused,
            rates=rates,
        )

    def fetch(self, window: Window) -> Iterator[Answer]:
        """The pages of a slice, in any thread; raises SourceError."""
        probe, self._probe = self._probe, None
        if probe is not None:
            yield from self._probed(window, probe)
        if self._pace.planner.refuses(self._plan):
            yield from self._everything(window)
            return
        for request in self._plan.requests:
            accepted = False
            try:
                for page in self._pages(window.start, window.end, request):
                    accepted = True
                    yield Answer(page, request)
            except SourceError as error:
                # AWS answers in the same way if it does not accept the token of a later page.
                if error.reason != "invalid_request" or not request.selects or accepted:
                    raise
                everything = self._everything(window)
                # If this is not accepted either, the error is another one.
                first = next(everything)
                self._refuse(request, error)
                yield first
                yield from everything
                return

    def _probed(self, window: Window, probe: Request) -> Iterator[Answer]:
        try:
            for page in islice(self._pages(window.start, window.end, probe), 1):
                yield Answer(page, probe, is_probe=True)
        except SourceError as error:
            if error.reason != "invalid_request":
                raise
            self._refuse(probe, error)

    def _everything(self, window: Window) -> Iterator[Answer]:
        for page in self._pages(window.start, window.end, EVERYTHING):
            yield Answer(page, EVERYTHING)

    def _refuse(self, request: Request, error: SourceError) -> None:
        self._pace.planner.refuse(request)
        if request not in self._logged:
            self._logged.add(request)
            _log.warning(
                "AWS does not accept a filter pattern: everything is read instead",
                pattern=str(request),
                error=str(error),
            )

    def learn(self, window: Window, answered: Answered) -> None:
        """A slice was read completely."""
        pace, planner = self._pace, self._pace.planner
        used = 0.0
        for request, calls in answered.pages.items():
            pages, events = calls - (request in answered.ends), answered.events[request]
            read = pages if pages > 1 else min(1, events / self._full_page)
            planner.read(request, read, events, window.length)
            used += read
            if planner.samples and pace.calls == 1 and answered.last and self._samples:
                self._samples -= 1
                share = shares([event.message for event in answered.last.events])
                planner.sample(request, read, events, window.length, share)
        ends, events = len(answered.ends), answered.events.total()
        pace.learn(window, max(answered.pages.total() - ends, 1), events)
        pace.thinning.read(window.length, used / pace.calls, ends / pace.calls)

    def probed(self, answer: Answer, window: Window) -> None:
        """The first page of a request that is not in the plan was read."""
        events, length = answer.page.events, window.length
        if len(events) >= self._full_page:
            times = [event.time for event in events]
            length = max(1, max(times) - min(times))
        share = shares([event.message for event in events])
        pages = len(events) / self._full_page
        self._pace.planner.sample(answer.request, pages, len(events), length, share)
