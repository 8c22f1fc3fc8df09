"""Which increments of a batch are new: pure functions of what memory has of its events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from exporter.ledger.tables import LARGEST
from exporter.model import EventKey, Identity, JudgedEvent

TIME_PERIOD: Final = 1 << 24
"""Entries by reading time have the time of an event modulo this, milliseconds (4.7 hours)."""
_NO_RULES: Final[frozenset[str]] = frozenset()
key_of: Final = attrgetter("scope", "event_id", "event_time")
"""Returns an event's ``EventKey``."""
_event_id = attrgetter("event_id")
_time = attrgetter("time")
_judged = attrgetter("judged")
_aliases = attrgetter("aliases")


@dataclass(frozen=True, slots=True)
class Remembered:
    """An entry of memory by reading time."""

    judged: frozenset[str]
    """Rules that have judged the event."""
    time: int
    """The time that its API selects by, modulo TIME_PERIOD, to recognise another event that copies
    the id."""


class Judge:
    """Judges the events of batches of one feed, one batch after the other."""

    def __init__(
        self,
        known: Mapping[EventKey, frozenset[str]],
        by_reading_time: Mapping[EventKey, Remembered] = MappingProxyType({}),
        earlier: Mapping[Identity, frozenset[str]] = MappingProxyType({}),
        *,
        is_shared: bool = False,
    ) -> None:
        """Begin with what memory has.

        Args:
            known: rules that have judged the events, by their keys and aliases.
            by_reading_time: entries of the other events by reading time.
            earlier: rules that counted an event according to memory of schema 1, by its identity.
            is_shared: whether several sources bring the events.
        """
        self._is_shared = is_shared
        self._known = known
        self._by_reading_time = by_reading_time
        self._earlier = earlier
        self.remember: dict[EventKey, frozenset[str]] = {}
        """New and changed entries of memory: the rules that have judged the event."""
        self.times: dict[EventKey, int] = {}
        """The times of these events for retention, milliseconds."""
        self._unions: dict[tuple[int, int], tuple[frozenset[str], ...]] = {}
        """Unions of two sets by their ids, with the sets themselves, so that the ids stay theirs.
        The events of a batch share few sets."""

    def new(self, events: Iterable[JudgedEvent], *, read_at: int | None) -> list[JudgedEvent]:
        """Return the events that count, with the increments of rules that judge them first.

        ``read_at``: reading time, if events come once or the feed is shared; memory goes by it.
        """
        events = list(events)
        if self._are_all_new(events, read_at):
            return events
        new: list[JudgedEvent] = []
        known, remember, by_reading_time = self._known, self.remember, self._by_reading_time
        last: tuple[frozenset[str] | None, frozenset[str]] = (None, _NO_RULES)
        for event in events:
            if event.event_id is None:
                new.append(event)
                continue
            own = (event.scope, event.event_id, event.event_time)
            before = remember.get(own) or known.get(own)
            if before is not None:
                if before is last[0] and event.judged is last[1]:
                    continue
                if self._union(before, event.judged) is before:
                    last = before, event.judged
                    continue
            judged = before or _NO_RULES
            if own in by_reading_time:
                judged = self._union(judged, by_reading_time[own].judged)
            if event.aliases:
                judged = self._with_aliases(judged, event)
            counted = judged
            if self._earlier:
                counted = judged | self._earlier.get(own[:2], _NO_RULES)
            increments = event.increments
            if counted:
                increments = tuple(one for one in increments if one.rule not in counted)
            if increments:
                is_whole = len(increments) == len(event.increments)
                new.append(event if is_whole else replace(event, increments=increments))
            union = self._union(judged, event.judged)
            # If an alias is remembered with all of them, that is enough.
            if before is not None or union is not judged:
                remember[own] = union
                (time,) = self._times_of([event], read_at)
                self.times[own] = max(self.times.get(own, -LARGEST), min(time, LARGEST))
        return new

    def _are_all_new(self, events: Sequence[JudgedEvent], read_at: int | None) -> bool:
        """Return whether nothing is known of any of these different events; then remember them.

        That is so for most batches. It takes a few functions that are written in C.
        """
        keys: list[EventKey] = list(map(key_of, events))
        different = dict(zip(keys, map(_judged, events), strict=True))
        if (
            self._earlier
            or len(different) < len(keys)
            or not all(map(_event_id, events))
            or not all(different.values())
            or not different.keys().isdisjoint(self.remember.keys())
            or not different.keys().isdisjoint(self._known.keys())
            or not different.keys().isdisjoint(self._by_reading_time.keys())
            or ((self._known or self._by_reading_time) and any(map(_aliases, events)))
        ):
            return False
        times = self._times_of(events, read_at)
        if times and not -LARGEST <= min(times) <= max(times) <= LARGEST:
            return False
        self.remember |= different
        self.times |= zip(keys, times, strict=True)
        return True

    def _times_of(self, events: Sequence[JudgedEvent], read_at: int | None) -> list[int]:
        """Return the times by which memory of events expires (see exactness)."""
        if read_at is None:
            return list(map(_time, events))
        if self._is_shared:
            return [max(event.time, read_at) for event in events]
        return [read_at] * len(events)

    def _with_aliases(self, judged: frozenset[str], event: JudgedEvent) -> frozenset[str]:
        """Return the rules, and those that judged the event when its source had another format."""
        for alias in event.aliases:
            judged = self._union(judged, self._known.get(alias, _NO_RULES))
            found = self._by_reading_time.get(alias)
            if found is not None and (
                found.time == event.time % TIME_PERIOD or alias[1] == event.event_id
            ):
                judged = self._union(judged, found.judged)
        return judged

    def _union(self, judged: frozenset[str], more: frozenset[str]) -> frozenset[str]:
        """Return the union; ``judged`` itself if it has all of ``more``."""
        key = (id(judged), id(more))
        memo = self._unions.get(key)
        if memo is None:
            union = judged if more <= judged else judged | more
            memo = self._unions[key] = (union, judged, more)
        return memo[0]
