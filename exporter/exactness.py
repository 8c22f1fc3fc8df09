"""The rules of exact counting, as pure functions: which events count, and what to remember.

Sources, the rule set and the ledger use them. Times are milliseconds since the epoch. An event has
two: ``time``, by which its API selects it, and ``event_time``, when it happened. Reading goes by
the first; starts and versions of rules go by the second.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

CLOCK_ERROR: Final = 15 * 60 * 1000
"""Milliseconds that positions may be ahead of AWS's time. AWS refuses signatures of a clock that is
more than 5 minutes off (S3: 15), so no position can move further."""

# Reading.


def origin(
    *,
    configured: int,
    start: int,
    created: int | None,
    own_starts: Iterable[int],
    allowed_lateness: int,
    now: int,
) -> int:
    """Return the time from which a new partition is read.

    This is the source's ``start`` (a duration) before it was ``configured``, but not before the
    partition was ``created`` less the allowed lateness, since its first events may be older. The
    past of a rule with an earlier start of its own is read once, as a backfill. This misses events
    that arrive later, so reading begins at that start if the allowed lateness reaches so far back.
    """
    begin = configured - start
    if created is not None:
        begin = max(begin, created - allowed_lateness)
    earliest = min(own_starts, default=begin)
    return min(begin, max(earliest, now - allowed_lateness), now)


def watermark(final_positions: Iterable[int]) -> int:
    """Return the time before which a partition was read for the last time.

    ``final_positions``: for each span of the partition, the position of its oldest age level, the
    allowed lateness. Events that arrive later do not count, since their memory has expired.
    """
    return min(final_positions)


def readable_from(watermark: int, backfill_starts: Iterable[int]) -> int:
    """Return the time from which a partition may still bring events."""
    return min([watermark, *backfill_starts])


def backfill(
    own_starts: Mapping[str, int], asked: Collection[str], read_up_to: int
) -> tuple[frozenset[str], int | None]:
    """Return the rules whose past a partition must still read, and the time to read from.

    These are rules with their own start, except those that have ``asked`` before. The time is None
    if no start is before ``read_up_to``, from which events are read for all rules anyway.
    """
    new = {rule: start for rule, start in own_starts.items() if rule not in asked}
    start = min(new.values(), default=read_up_to)
    return frozenset(new), start if start < read_up_to else None


# Counting.


def first_start(*, source: int | None, own: int | None, read_before: bool, now: int) -> int | None:
    """Return the event time from which a new rule counts on a source; None if all events count.

    This is the rule's ``own`` start (a duration back from now) if it has one. Otherwise it is the
    ``source``'s if the source was never read, and now if it was. For a source without a start
    (files) all events count.
    """
    if source is None:
        return None
    if own is not None:
        return now - own
    return now if read_before else now - source


def may_count(time: int, watermark: int | None, backfill: frozenset[str]) -> frozenset[str] | None:
    """Return the rules that may count an event of a reading; None for every rule in force.

    Events before the watermark count only for the rules of a backfill. ``watermark`` is None if
    events come once.
    """
    return backfill if watermark is not None and time < watermark else None


# Versions of rules.


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A version of a rule on a source, in force for the event times [since, until)."""

    rule: str
    since: int | None
    """None if it judges all events before ``until``."""
    until: int | None
    """None if it is still in force."""
    definition: str
    """See ``rules.definition``."""
    own_start: bool = False
    """Whether ``since`` is the rule's own start, and its past is read. A ``start`` that is added
    later changes nothing, because the events before may have counted."""


class Timeline:
    """Finds the versions of a source's rules that judge an event.

    The bounds of all versions divide time; a stretch is the indexes of its first and last part.
    """

    def __init__(self, versions: Iterable[RuleVersion]) -> None:
        self._versions = tuple(versions)
        bounds = {bound for one in self._versions for bound in (one.since, one.until)}
        self._bounds = sorted(bound for bound in bounds if bound is not None)

    @property
    def last_bound(self) -> int | None:
        """The time from which on the latest versions judge all events; None for any time."""
        return self._bounds[-1] if self._bounds else None

    @property
    def latest(self) -> tuple[int, int]:
        """The stretch after all bounds."""
        return len(self._bounds), len(self._bounds)

    def stretch(self, earliest: int, latest: int) -> tuple[int, int]:
        """Return the stretch from one time to another, both included.

        CloudTrail's times are whole seconds, so an event has a first and a last moment.
        """
        return bisect_right(self._bounds, earliest), bisect_right(self._bounds, latest)

    def judges(self, stretch: tuple[int, int]) -> list[RuleVersion]:
        """Return for each rule the last version that was in force in a stretch."""
        first, last = stretch
        low = self._bounds[first - 1] if first else None
        high = self._bounds[last] if last < len(self._bounds) else None
        judging: dict[str, RuleVersion] = {}
        for one in self._versions:
            begins = high is None or one.since is None or one.since < high
            ends = low is None or one.until is None or one.until > low
            other = judging.get(one.rule)
            if begins and ends and (other is None or _begins(other) < _begins(one)):
                judging[one.rule] = one
        return list(judging.values())


def _begins(version: RuleVersion) -> float:
    return -math.inf if version.since is None else version.since


def amend(
    versions: Sequence[RuleVersion],
    rule: str,
    definition: str | None,
    *,
    start: int | None,
    own_start: bool = False,
    now: int,
) -> tuple[RuleVersion, ...]:
    """Return a rule's versions on a source after a configuration was loaded.

    An event is judged by the version in force at its event time. So an edit ends a version and
    starts the next one at the same time: no event counts again, and no late event is lost. The
    version of a removed rule ends; it is not deleted.

    Args:
        versions: the rule's versions on this source, oldest first.
        rule: its name.
        definition: its configured definition; None if the rule is not configured.
        start: the ``since`` of the first version.
        own_start: whether ``start`` is the rule's own.
        now: when the configuration was loaded.
    """
    if not versions:
        if definition is None:
            return ()
        return (RuleVersion(rule, start, None, definition, own_start),)
    *earlier, last = versions
    # The clock may have been set back, and versions must not overlap.
    now = max(bound for bound in (now, last.since, last.until) if bound is not None)
    if last.until is None:
        if last.definition == definition:
            return tuple(versions)
        if last.since != now:
            earlier.append(replace(last, until=now))
    else:
        earlier.append(last)
    if definition is None:
        return tuple(earlier)
    return (*earlier, RuleVersion(rule, now, None, definition))


def adopted(
    versions: Sequence[RuleVersion], *, start: int | None, own_start: bool
) -> tuple[RuleVersion, ...]:
    """Return a rule's versions for another source of the feed, where it counts from ``start`` on.

    So the version that judges an event does not depend on the source that brings it.
    """
    later = [one for one in versions if start is None or one.until is None or one.until > start]
    if not later:
        return ()
    return (replace(later[0], since=start, own_start=own_start), *later[1:])


def joined_at(versions: Iterable[RuleVersion], joined: int | None) -> tuple[RuleVersion, ...]:
    """Return the versions of a source that ``joined`` its feed then, if that matters.

    They judge no event from before, since another source or another feed may have counted it.
    """
    if joined is None:
        return tuple(versions)
    return tuple(
        version
        if version.since is not None and version.since >= joined
        else replace(version, since=joined, own_start=False)
        for version in versions
        if version.until is None or version.until > joined
    )


def versions_needed_from(now: int, allowed_lateness: int, positions: Iterable[int]) -> int:
    """Return the time before which no version can judge an event that may still be read.

    A version outlives its end by the allowed lateness, the clock's error and the delay of the
    slowest partition. ``positions``: the time from which each partition may still be read.
    """
    return min([now - allowed_lateness, *positions]) - CLOCK_ERROR


def pruned(versions: Sequence[RuleVersion], needed_from: int) -> tuple[RuleVersion, ...]:
    """Return a rule's versions without those that ended before ``needed_from``.

    The version after an edit takes over their time, since a partition that is found later may still
    bring events of it.
    """
    kept: list[RuleVersion] = []
    dropped: RuleVersion | None = None
    for version in versions:
        if dropped is not None and dropped.until == version.since:
            version = replace(version, since=dropped.since, own_start=dropped.own_start)  # noqa: PLW2901
        if version.until is not None and version.until < needed_from:
            dropped = version
        else:
            dropped = None
            kept.append(version)
    return tuple(kept)


# Retention of memory.
#
# Memory expires by what can still be read again, never by the wall clock.
#
# - A checkpoint is never deleted, however long a partition was silent, denied or gone.
# - If slices are read again, a counted event is remembered until every existing partition, also a
#   denied one, has passed it by the source's memory (its lookback) and the clock's error. Nothing
#   expires until the source was discovered everywhere and each of its partitions was read once
#   under this configuration.
# - A partition that is gone (deleted, or no longer configured) delays no one. If it comes back, it
#   does not count events before the retention line whose ids others share, because it is unknown
#   whether they counted. Events that only it can bring are remembered until it has passed them.
# - If events come once (files), counted ones are remembered for the source's memory of reading
#   time: time that passes while an exporter has the ledger open. No change of the clock makes it
#   jump, and a stop only makes the memory longer.
# - If several sources are in a feed, all of this holds for the partitions of all of them, with the
#   longest memory, and each event is remembered for 14 days of reading time at least. It goes by
#   the later of reading time and the time that its API selects by, so both limits are kept.
# - The line moves only up to where every position has been for a quarter of an hour of reading
#   time. So positions that leap ahead with a wrong clock and are corrected sooner cost nothing.

SHARED_MEMORY: Final = 14 * 24 * 3600 * 1000
"""Milliseconds of reading time for which a feed of several sources remembers an event at least.
AWS: a queue keeps messages for 14 days at most."""
PROVEN_AFTER: Final = 15 * 60 * 1000
"""Milliseconds of reading time for which positions must last before memory expires by them."""


@dataclass(frozen=True, slots=True)
class RetentionLine:
    """Memory of events before ``line`` may be deleted."""

    line: int | None = None
    """None if no memory may be deleted."""
    following: int | None = None
    """The lowest bound since ``since``, to which the line moves next."""
    since: int | None = None
    """Reading time."""

    def moved(self, bound: int, reading_time: int) -> RetentionLine:
        """Return the line after a check of the positions, which allow it to move to ``bound``."""
        if self.following is None or self.since is None:
            return RetentionLine(self.line, bound, reading_time)
        following = min(self.following, bound)
        if reading_time - self.since < PROVEN_AFTER:
            return RetentionLine(self.line, following, self.since)
        line = following if self.line is None else max(self.line, following)
        return RetentionLine(line, bound, reading_time)


def passed(position: int, memory: int) -> int:
    """Return the time before which a partition at ``position`` cannot bring events."""
    return position - memory - CLOCK_ERROR


def line_bound(positions: Iterable[int], *, looked_at: int, memory: int) -> int:
    """Return the time up to which a source's retention line may move.

    Args:
        positions: the time from which each existing partition may still bring events.
        looked_at: start of the last discovery without any failure.
        memory: how much later another partition may bring the same event.
    """
    return passed(min([looked_at, *positions]), memory)
