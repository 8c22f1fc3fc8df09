"""Committed series as a scrape may see them: first at zero, then at their totals."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from exporter.ledger.base import SeriesTotal
from exporter.metrics.families import MetricFamily, at_zero, kind_of
from exporter.metrics.rendering import FamilyText, RenderedFamily, progress_of
from exporter.metrics.scrapers import LONGEST_WAIT, Client, Edition, Scrapers
from exporter.model import SeriesKey


@dataclass(frozen=True, slots=True)
class Rendered:
    """The rule series' part of a page."""

    families: list[RenderedFamily]
    edition: Edition
    """Give it to ``SeriesStore.delivered`` once the page has been sent."""


@dataclass(slots=True)
class _Held:
    """A series that is not revealed."""

    total: SeriesTotal
    """As committed."""
    since: float
    first_page: int
    """The number of the first page that has it at 0."""
    recorded: bool = False
    """Whether the ledger knows that it may be revealed."""


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
        self._families: dict[str, FamilyText] = {}
        self._described: dict[str, MetricFamily] | None = None
        self._held: dict[SeriesKey, _Held] = {}
        self._loading = False
        """Whether the series that were loaded stay at their loaded totals."""
        self._loaded_at = 0.0
        self._since_loaded: dict[SeriesKey, SeriesTotal] = {}
        """Totals of those series that were committed in that time."""
        self._unloaded: set[SeriesKey] = set()
        """Series that are no part of them: they advance at once."""
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
                family.describe(described.get(name))

    def load(self, totals: Iterable[SeriesTotal]) -> int:
        """Take over series from the ledger, at the start; those revealed stay so until seen.

        Returns how many there are.
        """
        count, revealed = 0, False
        with self._lock:
            now = self._clock()
            for total in totals:
                self._apply(total, now)
                count += 1
                if total.revealed:
                    revealed = True
                else:
                    self._unloaded.add(total.key)
            self._loading = self.holds and revealed
            if not self._loading:
                self._unloaded.clear()
            self._loaded_at = self._clock()
        return count

    def apply(self, totals: Iterable[SeriesTotal]) -> None:
        """Take over committed totals.

        Two commits may report in the other order: a total below the known one is ignored.
        """
        with self._lock:
            now = self._clock()
            for total in totals:
                if self._loading and self._is_loaded(total):
                    later = self._since_loaded.get(total.key)
                    if later is None or progress_of(total) > progress_of(later):
                        self._since_loaded[total.key] = total
                else:
                    self._apply(total, now)

    def end(self, keys: Iterable[SeriesKey], carried: Iterable[SeriesTotal] = ()) -> None:
        """Drop series that ended; one with the same labels starts again at zero.

        ``carried``: series that some of them have become. They are shown in the same moment, as the
        others were: at loaded totals until these were seen, or at 0.
        """
        with self._lock:
            for key in keys:
                self._held.pop(key, None)
                self._since_loaded.pop(key, None)
                family = self._families.get(key.metric)
                if family is not None:
                    family.remove(key)
                    if not family:
                        del self._families[key.metric]
            now = self._clock()
            for total in carried:
                self._apply(total, now)
                if self._loading and not total.revealed:
                    self._unloaded.add(total.key)

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
                    self._families[key.metric].advance(held.total)

    def render(self, *, openmetrics: bool, compressed: bool = False) -> Rendered:
        """All series as they may be shown now: one moment, between two commits.

        ``compressed``: the text is needed compressed only, and most of it is kept so.
        """
        with self._lock:
            self._pages += 1
            edition = Edition(self._pages, self._clock())
            if edition.number == 1:
                self._first_page_at = edition.at
            families = [
                family.render(openmetrics=openmetrics, compressed=compressed)
                for name, family in self._families.items()
                if self._described is None or name in self._described
            ]
        families.sort(key=lambda family: family.name)
        return Rendered(families, edition)

    def delivered(self, page: Edition, client: Client) -> None:
        """A page was sent completely to a client. Never waits."""
        self._served.append((client, page))

    def _revealable(self, client: Client | None) -> list[tuple[SeriesKey, _Held]]:
        """The series at 0 that may be shown at their totals now, before a page for ``client``."""
        while self._served:
            self._scrapers.served(*self._served.popleft())
        if self._birth_hold is None:
            return list(self._held.items())
        if not (self._held or self._loading):
            return []
        now = self._clock()
        seen = self._seen(client, now)
        if client and self._loading and (seen or self._nobody_came(now)):
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
        pending, self._since_loaded = self._since_loaded, {}
        self._unloaded.clear()
        self._loading = False
        for total in pending.values():
            self._apply(total, now)

    def _exposes(self, key: SeriesKey) -> bool:
        if self._described is None:
            return True
        family = self._described.get(key.metric)
        return family is not None and family.exposes(key)

    def _is_loaded(self, total: SeriesTotal) -> bool:
        """Whether a series is shown at its loaded total; one that appears now is not."""
        if total.key in self._unloaded:
            return False
        family = self._families.get(total.key.metric)
        if family is not None and family.has(total.key):
            return True
        self._unloaded.add(total.key)
        return False

    def _apply(self, total: SeriesTotal, now: float) -> None:
        key = total.key
        held = self._held.get(key) if self._held else None
        if held is not None:
            if progress_of(total) >= progress_of(held.total):
                held.total = total
                # The ledger may know already that it may be revealed; ``reveal`` does that.
                held.recorded = held.recorded or total.revealed
            return
        family = self._family(total)
        if family.advance(total):
            return
        if not total.revealed:
            self._held[key] = _Held(total, now, self._pages + 1)
            total = at_zero(total)
        family.add(total)

    def _family(self, total: SeriesTotal) -> FamilyText:
        metric = total.key.metric
        family = self._families.get(metric)
        if family is None or family.kind != kind_of(total):
            # The ledger ends all series of a metric whose type changes.
            if family is not None:
                self._held = {key: held for key, held in self._held.items() if key.metric != metric}
            described = (self._described or {}).get(metric)
            family = self._families[metric] = FamilyText(total, described, created=self.created)
        return family
