"""Who scrapes, and which page all of them have been served."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Self

import structlog

LONGEST_WAIT: Final = 600.0
"""Seconds for which a scraper that does not come back is waited for, at most."""
_INTERVALS: Final = 3
"""Scrape intervals for which a scraper is waited for."""
_ACQUAINTED: Final = 1.5
"""Intervals of one scraper after which all that scrape as often have come."""
_GAPS: Final = 4
"""Gaps between requests from which an interval is learnt. The longest counts: a retry makes a
short one."""
_MOST: Final = 64
"""Scrapers of a kind that are kept apart."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Client:
    """The client that requests a page."""

    address: str
    timeout: float | None = None
    """The scrape timeout that the request announces, in seconds; None if it announces no
    timeout, so the client may be no scraper."""

    @classmethod
    def announcing(cls, address: str, timeout: str | None) -> Self:
        """A client by the value of its header ``X-Prometheus-Scrape-Timeout-Seconds``, if any.

        A header without a sensible number still makes it a scraper.
        """
        if timeout is None:
            return cls(address)
        try:
            seconds = float(timeout)
        except ValueError:
            seconds = 0.0
        return cls(address, seconds if math.isfinite(seconds) and seconds > 0 else 0.0)


NOBODY: Final = Client("")
"""Who asks for a page within the process."""


@dataclass(frozen=True, slots=True)
class Edition:
    """Which page it is."""

    number: int
    """Pages are numbered from 1."""
    at: float
    """When it was rendered, in seconds on the clock of the series store."""


@dataclass(slots=True)
class _Scraper:
    since: float
    """When it came for the first time since it was last away."""
    last: float
    page: int
    """The newest page that it was served."""
    timeout: float
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=_GAPS))

    @property
    def interval(self) -> float:
        """Seconds; Prometheus allows no timeout that is longer than the interval."""
        return max(self.timeout, *self.gaps)

    def is_current(self, now: float) -> bool:
        """Whether it may be expected back."""
        wait = min(_INTERVALS * self.interval, LONGEST_WAIT) if self.gaps else LONGEST_WAIT
        return now - self.last <= wait

    def is_acquainted(self, now: float) -> bool:
        return bool(self.gaps) and now - self.since >= _ACQUAINTED * self.interval


class _Audience:
    """The scrapers of one kind, by address."""

    def __init__(self, *, awaits_newcomers: bool) -> None:
        """``awaits_newcomers``: who came only once is waited for."""
        self._awaits_newcomers = awaits_newcomers
        self._scrapers: dict[str, _Scraper] = {}
        self._since = -math.inf
        """Since when there has always been a current scraper."""
        self._crowded = False

    def is_current(self, now: float) -> bool:
        """Whether there is a current scraper."""
        return any(scraper.is_current(now) for scraper in self._scrapers.values())

    def served(self, client: Client, page: Edition) -> None:
        """See ``Scrapers.served``."""
        if not self.is_current(page.at):
            self._since = page.at
        scraper = self._scrapers.get(client.address)
        if scraper is None and not self._has_room(page.at):
            return
        if scraper is None or not scraper.is_current(page.at):
            new = _Scraper(page.at, page.at, page.number, client.timeout or 0.0)
            # Two scrapes in a row do not show an interval yet: two servers share the address.
            if scraper and len(scraper.gaps) < _GAPS and page.at - scraper.last <= LONGEST_WAIT:
                new.gaps.append(page.at - scraper.last)
            self._scrapers[client.address] = new
            return
        scraper.page = max(scraper.page, page.number)
        if page.at > scraper.last:
            scraper.gaps.append(page.at - scraper.last)
            scraper.last = page.at

    def seen(self, now: float, requester: str | None) -> int:
        """See ``Scrapers.seen``; ``requester``: who asks, if it is of this kind."""
        current = [scraper for scraper in self._scrapers.values() if scraper.is_current(now)]
        if now - self._since < LONGEST_WAIT and not any(s.is_acquainted(now) for s in current):
            return 0
        pages = [s.page for s in current if s.gaps or self._awaits_newcomers]
        if requester is not None:
            scraper = self._scrapers.get(requester)
            pages.append(scraper.page if scraper else 0)
        if pages:
            return min(pages)
        # The next client may be any of them.
        return max((scraper.page for scraper in self._scrapers.values()), default=0)

    def _has_room(self, now: float) -> bool:
        """Make room for a new scraper, but not by dropping a current one that came twice."""
        if len(self._scrapers) < _MOST:
            return True
        address, scraper = min(
            self._scrapers.items(),
            key=lambda item: (item[1].is_current(now), bool(item[1].gaps), item[1].last),
        )
        if scraper.is_current(now) and not self._crowded:
            self._crowded = True
            _log.warning(
                "more addresses scrape than are distinguished: one of them may miss the 0 of a new"
                " series; let fewer scrape, or set --metrics.birth-hold to their scrape interval",
                addresses=_MOST,
            )
        if scraper.is_current(now) and scraper.gaps:
            return False
        del self._scrapers[address]
        return True


class Scrapers:
    """Who scrapes; not thread-safe.

    A scraper is an address whose requests announce a scrape timeout, as those of Prometheus and
    its derivatives do. Without such requests, every client counts as one. Two scrapers behind
    one address cannot be distinguished.

    A scraper is current for three of its intervals after it was last served, and for
    ``LONGEST_WAIT`` at most. Its interval is the longest of its last gaps, and no shorter than its
    timeout. Of one that came once no interval is known: it is current for ``LONGEST_WAIT`` if it
    announces a timeout, and else is not waited for.

    At the start, and while no scraper is current, it is not known which others will come. Nothing
    counts as seen until one scraper has been present for one and a half of its intervals: by then,
    all that scrape as often or more often have come too. ``LONGEST_WAIT`` bounds that as well.

    Memory is bounded: past ``_MOST`` addresses a newcomer takes the place of one that is away or
    has come only once. Otherwise the newcomer is not waited for.
    """

    def __init__(self) -> None:
        self._announcing = _Audience(awaits_newcomers=True)
        self._others = _Audience(awaits_newcomers=False)

    def served(self, client: Client, page: Edition) -> None:
        """Take note of a page that was sent whole to a client; an aborted one does not count."""
        audience = self._others if client.timeout is None else self._announcing
        audience.served(client, page)

    def seen(self, client: Client | None, now: float) -> int:
        """The number of the newest page that every current scraper has been served; 0: none.

        All of them have seen the values on that page and on older ones. If ``client`` requests a
        page now and is a scraper, it must have been served too, current or not. Without a client
        the number is never less than with one.
        """
        if client is not None and client.timeout is not None:
            return self._announcing.seen(now, client.address)
        if self._announcing.is_current(now):
            return self._announcing.seen(now, None)
        if client is not None:
            return self._others.seen(now, client.address)
        return max(self._announcing.seen(now, None), self._others.seen(now, None))
