"""Committed series as a scrape may see them: first at zero, then at their totals."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from exporter.ledger.base import SeriesTotal
from exporter.metrics.families import Lines, MetricFamily, unknown_family
from exporter.metrics.scrapers import LONGEST_WAIT, Client, Edition, Scrapers
from exporter.model import Labels, SeriesKey


@dataclass(frozen=True, slots=True)
class RenderedFamily:
    """One metric family's part of a page."""

    name: str
    """The family's name in the format it is rendered in."""
    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rule series' part of a page."""

    families: list[RenderedFamily]
    edition: Edition
    """Give it to ``SeriesStore.delivered`` once the page has been sent."""


@dataclass(slots=True)
class _Entry:
    total: SeriesTotal
    lines: Lines


@dataclass(slots=True)
class _Held:
    """A series that is not revealed."""

    since: float
    first_page: int
    """The number of the first page that has it at 0."""
    recorded: bool = False
    """Whether the ledger knows that it may be revealed."""


class _Family:
    """The series of one metric, in the order of their labels."""

    def __init__(self, described: MetricFamily) -> None:
        self.described = described
        self.entries: dict[Labels, _Entry] = {}
        self._order: list[Labels] = []
        self._sorted = True

    def add(self, entry: _Entry) -> None:
        labels = entry.lines.key.labels
        self.entries[labels] = entry
        self._order.append(labels)
        self._sorted = False

    def remove(self, labels: Labels) -> bool:
        """Take a series out, and say whether it was the last."""
        if self.entries.pop(labels, None) is not None:
            self._order.remove(labels)
        return not self.entries

    def sorted_entries(self) -> list[_Entry]:
        if not self._sorted:
            self._order.sort()
            self._sorted = True
        return [self.entries[labels] for labels in self._order]


class SeriesStore:
    """The series in memory, for exposition; thread-safe.

    A series that is not revealed is shown at 0 until every current scraper (see ``Scrapers``) has
    been served it so, and until ``birth_hold`` seconds have passed. Without that ``increase()``
    would never see a series' first matches. The order of events keeps it from ever going down:

    1. ``render`` shows it at 0; the web layer sends the page and calls ``delivered``.
    2. ``due``, which a tick of the runtime calls several times a second, names it. The caller
       records that in the ledger (``Ledger.reveal``) and then calls ``recorded``.
    3. ``reveal``, called before each page, reveals it if the client that asks has seen it at 0 too.

    If step 3 came before the ledger has it, a crash between them would forget that the total had
    been shown. The restart would show the series at 0 again, and Prometheus would take that for a
    counter reset and count everything twice. In this order, a crash after step 2 only means that
    the restart shows the total at once, which all scrapers have seen at 0 before.

    After a restart, totals stay as they were loaded until every current scraper has received
    them. The first poll after a long stop may count many events at once. If it were committed
    before the first scrape, the jump would be between two samples further apart than an alert's
    window, and ``increase()`` would not see it. Without any scrape, this ends after
    ``LONGEST_WAIT``.
    """

    def __init__(
        self,
        birth_hold: float | None,
        clock: Callable[[], float] = time.monotonic,
        *,
        created: bool = False,
    ) -> None:
        """``birth_hold``: seconds; None (``run --once``) shows all totals at once.

        ``clock`` gives seconds from any point on, and never goes back. ``created``: OpenMetrics has
        ``_created`` lines.
        """
        self.created: Final = created
        self._birth_hold = birth_hold
        self._clock = clock
        self._lock = threading.Lock()
        self._families: dict[str, _Family] = {}
        self._described: dict[str, MetricFamily] | None = None
        self._held: dict[SeriesKey, _Held] = {}
        self._loaded: dict[SeriesKey, SeriesTotal | None] = {}
        """Series that are shown at their loaded totals, and their totals committed since."""
        self._loaded_at = 0.0
        self._scrapers = Scrapers()
        self._served: deque[tuple[Client, Edition]] = deque()
        """Pages that were sent and are not yet noted in ``_scrapers``."""
        self._pages = 0
        """How many pages were rendered: the number of the newest."""
        self._first_page_at = 0.0

    @property
    def holds(self) -> bool:
        """Whether new series are held at 0 at all."""
        return self._birth_hold is not None

    def describe(self, families: Iterable[MetricFamily]) -> None:
        """Set the metrics of the configured rules; replaces the earlier ones.

        Series of other metrics are kept but not exposed, since no rule counts in them. They are
        shown again, at their totals, once a rule does.
        """
        described = {family.name: family for family in families}
        with self._lock:
            hidden = [held for key, held in self._held.items() if not self._exposes(key)]
            self._described = described
            for held in hidden:
                held.first_page = self._pages + 1
            for name, family in self._families.items():
                first = next(iter(family.entries.values())).total
                family.described = described.get(name) or unknown_family(first)
                for entry in family.entries.values():
                    entry.lines.forget()

    def load(self, totals: Iterable[SeriesTotal]) -> None:
        """Take over series from the ledger, at the start; those revealed stay so until seen."""
        totals = list(totals)
        self.apply(totals)
        with self._lock:
            if self.holds:
                self._loaded = {total.key: None for total in totals if total.revealed}
                self._loaded_at = self._clock()

    def apply(self, totals: Iterable[SeriesTotal]) -> None:
        """Take over committed totals.

        Two commits may report in the other order: a total below the known one is ignored.
        """
        with self._lock:
            now = self._clock()
            for total in totals:
                if total.key not in self._loaded:
                    self._apply(total, now)
                    continue
                pending = self._loaded[total.key]
                if pending is None or _progress(total) > _progress(pending):
                    self._loaded[total.key] = total

    def end(self, keys: Iterable[SeriesKey]) -> None:
        """Drop series that ended; one with the same labels starts again at zero."""
        with self._lock:
            for key in keys:
                self._held.pop(key, None)
                self._loaded.pop(key, None)
                family = self._families.get(key.metric)
                if family is not None and family.remove(key.labels):
                    del self._families[key.metric]

    def due(self) -> list[SeriesKey]:
        """The series that may be revealed: record that in the ledger, then call ``recorded``."""
        with self._lock:
            return [key for key, held in self._revealable(None) if not held.recorded]

    def recorded(self, keys: Iterable[SeriesKey]) -> None:
        """Note that the ledger knows that these may be revealed."""
        with self._lock:
            for key in keys:
                if key in self._held:
                    self._held[key].recorded = True

    def reveal(self, client: Client) -> None:
        """Show the totals that may be shown and are recorded, before a page for ``client``.

        The totals that were loaded end here too, once all have seen them.
        """
        with self._lock:
            for key, held in self._revealable(client):
                if held.recorded:
                    del self._held[key]
                    entry = self._families[key.metric].entries[key.labels]
                    entry.total = replace(entry.total, revealed=True)
                    entry.lines.forget()

    def render(self, *, openmetrics: bool) -> Rendered:
        """All series as they may be shown now: one moment, between two commits."""
        with self._lock:
            self._pages += 1
            edition = Edition(self._pages, self._clock())
            if edition.number == 1:
                self._first_page_at = edition.at
            parts = [
                (
                    family.described,
                    [
                        entry.lines.text(
                            entry.total,
                            family.described,
                            shown=entry.total.revealed,
                            openmetrics=openmetrics,
                            created=self.created,
                        )
                        for entry in family.sorted_entries()
                        if family.described.exposes(entry.total.key)
                    ],
                )
                for name, family in self._families.items()
                if self._described is None or name in self._described
            ]
        families = [
            RenderedFamily(
                described.base if openmetrics else described.name,
                described.header(openmetrics=openmetrics) + "".join(lines),
            )
            for described, lines in parts
        ]
        families.sort(key=lambda family: family.name)
        return Rendered(families, edition)

    def delivered(self, page: Edition, client: Client) -> None:
        """A page was sent completely to a client. Never waits."""
        self._served.append((client, page))

    def totals(self) -> list[SeriesTotal]:
        """Every series as committed, shown or not."""
        with self._lock:
            return [
                entry.total
                for family in self._families.values()
                for entry in family.sorted_entries()
            ]

    def _revealable(self, client: Client | None) -> list[tuple[SeriesKey, _Held]]:
        """The series at 0 that may be shown at their totals now, before a page for ``client``."""
        while self._served:
            self._scrapers.served(*self._served.popleft())
        if self._birth_hold is None:
            return list(self._held.items())
        if not (self._held or self._loaded):
            return []
        now = self._clock()
        seen = self._seen(client, now)
        if client and self._loaded and (seen or self._nobody_came(now)):
            self._catch_up(now)
        until = now - self._birth_hold
        return [
            (key, held)
            for key, held in self._held.items()
            if held.first_page <= seen and held.since <= until and self._exposes(key)
        ]

    def _seen(self, client: Client | None, now: float) -> int:
        """The newest page that all scrapers have seen; 0 until ``birth_hold`` is over.

        It begins with the first page, since no scraper has seen anything before.
        """
        if not self._pages or now - self._first_page_at < (self._birth_hold or 0):
            return 0
        return self._scrapers.seen(client, now)

    def _nobody_came(self, now: float) -> bool:
        return now - self._loaded_at >= max(LONGEST_WAIT, self._birth_hold or 0)

    def _catch_up(self, now: float) -> None:
        pending, self._loaded = self._loaded, {}
        for total in pending.values():
            if total is not None:
                self._apply(total, now)

    def _exposes(self, key: SeriesKey) -> bool:
        if self._described is None:
            return True
        family = self._described.get(key.metric)
        return family is not None and family.exposes(key)

    def _apply(self, total: SeriesTotal, now: float) -> None:
        key = total.key
        family = self._families.get(key.metric)
        if family is None:
            described = (self._described or {}).get(key.metric) or unknown_family(total)
            family = self._families[key.metric] = _Family(described)
        entry = family.entries.get(key.labels)
        if entry is None:
            family.add(_Entry(total, Lines(key)))
            if not total.revealed:
                self._held[key] = _Held(now, self._pages + 1)
            return
        if _progress(total) < _progress(entry.total):
            return
        held = self._held.get(key)
        if held is not None:
            # The ledger may know already that it may be revealed; ``reveal`` does that.
            held.recorded = held.recorded or total.revealed
        shown = held is None
        entry.total = total if total.revealed == shown else replace(total, revealed=shown)
        entry.lines.forget()


def _progress(total: SeriesTotal) -> tuple[int, float]:
    """A number that only grows from commit to commit."""
    return sum(total.buckets or ()), total.total
