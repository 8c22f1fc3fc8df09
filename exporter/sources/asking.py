"""What a poll asks of an API: the requests of a plan, made for each slice of its windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias

from exporter.model import SourceError
from exporter.planning.interest import Interest
from exporter.planning.plan import EVERYTHING, Plan, Request
from exporter.planning.planner import Planner
from exporter.planning.sampling import shares
from exporter.sources.pace import EventPage
from exporter.sources.schedule import Window

Pages: TypeAlias = Callable[[Window, Request], Iterator[EventPage]]
"""All pages of a request for a window; raises SourceError."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A page, and which request returned it."""

    page: EventPage
    request: Request
    is_probe: bool = False
    """Whether it is read to know what its request costs, in addition to the plan."""


class Asking:
    """The requests of one poll. A slice is read once all of them have returned their last page.

    Several may return the same log event: it has an id, and counts once. So a request may be
    replaced by a wider one at any time.
    """

    def __init__(
        self, pages: Pages, planner: Planner, plan: Plan, interest: Interest | None
    ) -> None:
        """``interest``: the rules that the plan is for; None if it is for any."""
        self.plan = plan
        self.interest = None if EVERYTHING in plan.requests else interest
        """The rules whose events the answers have all of; None for those of any rules."""
        self._pages = pages
        self._planner = planner
        self._probe, planner.probe = planner.probe, None

    @property
    def calls(self) -> int:
        """Calls that a window costs at least."""
        return len(self.plan.requests)

    def fetch(self, window: Window) -> Iterator[Answer]:
        """The pages of a slice, in any thread; raises SourceError."""
        probe, self._probe = self._probe, None
        if probe is not None:
            for page in islice(self._pages(window, probe), 1):
                yield Answer(page, probe, is_probe=True)
        for request in self.plan.requests:
            try:
                for page in self._pages(window, request):
                    yield Answer(page, request)
            except SourceError as error:
                if error.reason != "invalid_request" or not request.selects:
                    raise
                everything = self._pages(window, EVERYTHING)
                # If this is not accepted either, the error is another one.
                first = next(everything)
                self._planner.refuse(request, str(error))
                yield Answer(first, EVERYTHING)
                for page in everything:
                    yield Answer(page, EVERYTHING)
                return


@dataclass(slots=True)
class Answered:
    """What the requests returned for one slice."""

    pages: Counter[Request] = field(default_factory=Counter)
    events: Counter[Request] = field(default_factory=Counter)

    def add(self, answer: Answer) -> None:
        """Add a page."""
        self.pages[answer.request] += 1
        self.events[answer.request] += len(answer.page.events)
