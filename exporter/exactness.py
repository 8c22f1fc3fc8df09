"""What counts, and what must be remembered for it: the rules of exact counting, as pure functions.

Sources keep the mechanics of reading, the rule set those of matching, the ledger those of storing;
all of them ask here. Times are milliseconds since the epoch. An event has two: ``time``, by which
its API selects it, and ``event_time``, when it happened. Reading goes by the first; starts and
versions of rules go by the second.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

CLOCK_ERROR: Final = 15 * 60 * 1000
"""Milliseconds that positions may be ahead of the truth. AWS refuses signatures of a clock that is
more than 5 minutes off (S3: 15), so nothing can be read, and no position moved, further."""

# What is read.


def origin(
    *,
    configured: int,
    start: int,
    born: int | None,
    own_starts: Iterable[int],
    allowed_lateness: int,
    now: int,
) -> int:
    """From where a partition is read that was never read before.

    The source's ``start`` (a duration) before it was ``configured``, but not before the partition
    was ``born`` (less the allowed lateness: its first events may be older). A rule with an earlier
    start of its own has its past read once, as a backfill. That is not enough for events which are
    yet to arrive, so reading also begins at its start as far as the allowed lateness reaches back.
    """
    begin = configured - start
    if born is not None:
        begin = max(begin, born - allowed_lateness)
    earliest = min(own_starts, default=begin)
    return min(begin, max(earliest, now - allowed_lateness), now)


def watermark(final_positions: Iterable[int]) -> int:
    """Everything before this was read for the last time.

    ``final_positions``: of each span of a partition, up to where it was read at the oldest age, the
    allowed lateness. What an API shows later than that does not count: nobody can tell any more
    whether it did.
    """
    return min(final_positions)


def readable_from(watermark: int, backfill_starts: Iterable[int]) -> int:
    """From where a partition may still be read: nothing before it can come again."""
    return min([watermark, *backfill_starts])


def backfill(
    own_starts: Mapping[str, int], asked: Collection[str], read_up_to: int
) -> tuple[frozenset[str], int | None]:
    """Rules with a start of their own whose past a partition has yet to read, and from where.

    Each asks once: not if it is among those that have ``asked`` before. None: nothing before
    ``read_up_to``, from where on events are read for all rules anyway.
    """
    new = {rule: start for rule, start in own_starts.items() if rule not in asked}
    start = min(new.values(), default=read_up_to)
    return frozenset(new), start if start < read_up_to else None


# What counts.


def first_start(*, source: int | None, own: int | None, read_before: bool, now: int) -> int | None:
    """Since when a rule counts that is new to a source; None: everything counts.

    The rule's ``own`` start (a duration back from now) if it has one. Else the ``source``'s if
    nothing of it was read yet, and now if the rule comes later. A source without a start (files)
    counts everything.
    """
    if source is None:
        return None
    if own is not None:
        return now - own
    return now if read_before else now - source


def may_count(time: int, watermark: int | None, backfill: frozenset[str]) -> frozenset[str] | None:
    """Which rules may count an event in a reading; None: every rule in force.

    Of what is older than the watermark, only the rules whose past the reading fetches.
    ``watermark`` is None if things come once.
    """
    return backfill if watermark is not None and time < watermark else None


# Versions of rules.


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A rule as it was in force on a source for a span of event time: [since, until)."""

    rule: str
    since: int | None
    """None: it judges everything before ``until``."""
    until: int | None
    """None: it is still in force."""
    definition: str
    """What decides the rule's matches and increments, as canonical JSON."""
    own_start: bool = False
    """Whether ``since`` is a start of the rule's own, so that its past is fetched. A ``start`` that
    is added to a rule later changes nothing: what it would fetch may have counted before."""


class Timeline:
    """The versions of a source's rules, and which of them judge an event."""

    def __init__(self, versions: Iterable[RuleVersion]) -> None:
        self._versions = tuple(versions)
        bounds = {bound for one in self._versions for bound in (one.since, one.until)}
        self._bounds = sorted(bound for bound in bounds if bound is not None)

    @property
    def latest(self) -> tuple[int, int]:
        """The stretch of the versions that are in force."""
        return len(self._bounds), len(self._bounds)

    def stretch(self, earliest: int, latest: int) -> tuple[int, int]:
        """The stretch of what happened between two times, both included.

        CloudTrail's times are whole seconds, so an event has no one moment.
        """
        return bisect_right(self._bounds, earliest), bisect_right(self._bounds, latest)

    def judges(self, stretch: tuple[int, int]) -> list[RuleVersion]:
        """For each rule the last version that was in force in a stretch."""
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
    """A rule's versions on a source after a configuration was loaded.

    An event is judged by the version in force at its event time. So an edit ends a version and
    begins the next one at the same moment: it neither counts the past again nor loses what arrives
    late. A rule that is taken out has its version ended, not deleted.

    Args:
        versions: the rule's versions so far on this source, oldest first.
        rule: its name.
        definition: what the configuration has now; None: the rule is not configured.
        start: since when the rule counts if it has no versions yet; None: everything counts.
        own_start: whether ``start`` is the rule's own.
        now: the moment of loading.
    """
    if not versions:
        if definition is None:
            return ()
        return (RuleVersion(rule, start, None, definition, own_start),)
    *earlier, last = versions
    # The clock may have been set back, and nothing may be judged by two versions.
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


def versions_needed_from(now: int, allowed_lateness: int, positions: Iterable[int]) -> int:
    """Versions that ended before this judge nothing that can still be read.

    ``positions``: from where each partition of the source may still be read. A version outlives
    its end by the allowed lateness and the clock's error, and by as much as a partition is behind.
    """
    return min([now - allowed_lateness, *positions]) - CLOCK_ERROR


def pruned(versions: Sequence[RuleVersion], needed_from: int) -> tuple[RuleVersion, ...]:
    """A rule's versions without those that ended before ``needed_from``.

    The version that followed an edit takes over the past: a partition that is found later may
    still ask for it, and no other judges it any more.
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
# Memory is deleted only by what can still be read again, never by the wall clock.
#
# - A position (checkpoint) is never deleted: what a partition has read, it has read, however long
#   it was silent, denied or gone.
# - If slices are read again, an event that counted is remembered until every partition that there
#   is, denied ones too, has passed it by the source's memory (its lookback) and the clock's error.
#   Until the source was looked for everywhere, and each of its partitions was read once under this
#   configuration, nothing is deleted.
# - A partition that is gone (deleted, or no longer configured) does not hold the others' memory.
#   It is let go, and its right to read the past goes with it: when it comes back, events before
#   the line whose ids others share do not count; nobody knows whether they did. What only it can
#   bring is remembered until it has passed that itself.
# - If events come once (files), one that counted is remembered for the source's memory of reading
#   time: time that passed while an exporter had the ledger open. No clock that is set can make it
#   jump, and a stop only makes the memory longer.
# - The line goes only where every position has been for a quarter of an hour of reading time, so
#   positions that leap ahead with a wrong clock and are taken back sooner cost nothing.

PROVEN_AFTER: Final = 15 * 60 * 1000
"""Milliseconds of reading time for which positions must have held before memory goes by them."""


@dataclass(frozen=True, slots=True)
class Line:
    """Memory of events before the line may be deleted."""

    line: int | None = None
    """None: nothing may be."""
    following: int | None = None
    """The lowest bound since ``since``: where the line goes next."""
    since: int | None = None
    """Reading time."""

    def moved(self, bound: int, reading_time: int) -> Line:
        """The line after a look at the positions, which allow it to go to ``bound``."""
        if self.following is None or self.since is None:
            return Line(self.line, bound, reading_time)
        following = min(self.following, bound)
        if reading_time - self.since < PROVEN_AFTER:
            return Line(self.line, following, self.since)
        line = following if self.line is None else max(self.line, following)
        return Line(line, bound, reading_time)


def passed(position: int, memory: int) -> int:
    """Events before this can no longer be brought by a partition at ``position``."""
    return position - memory - CLOCK_ERROR


def line_bound(positions: Iterable[int], *, looked_at: int, memory: int) -> int:
    """Where the line of a source may go.

    Args:
        positions: from where each partition that there is may still bring events, milliseconds.
        looked_at: when the last look for partitions began that could look everywhere.
        memory: how much later another partition may bring the same event.
    """
    return passed(min([looked_at, *positions]), memory)
