"""What counts, and what must be remembered for it: the rules of exact counting, as pure functions.

Sources keep the mechanics of reading, the rule set those of matching, the ledger those of storing;
all of them ask here. Times are milliseconds since the epoch. An event has two: ``time``, by which
its API selects it, and ``event_time``, when it happened. Reading goes by the first; starts and
versions of rules go by the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

CLOCK_ERROR: Final = 15 * 60 * 1000
"""Milliseconds that positions may be ahead of the truth. AWS refuses signatures of a clock that is
more than 5 minutes off (S3: 15), so nothing can be read, and no position moved, further."""

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

    def covers(self, event_time: int) -> bool:
        """Whether it judges what happened at this time."""
        return (self.since is None or self.since <= event_time) and (
            self.until is None or event_time < self.until
        )


def amend(
    versions: Sequence[RuleVersion],
    rule: str,
    definition: str | None,
    *,
    start: int | None,
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
        now: the moment of loading.
    """
    if not versions:
        return () if definition is None else (RuleVersion(rule, start, None, definition),)
    *earlier, last = versions
    # The clock may have been set back, and nothing may be judged by two versions.
    now = max(now, *(bound for bound in (last.since, last.until, now) if bound is not None))
    if last.until is None:
        if last.definition == definition:
            return tuple(versions)
        earlier += [replace(last, until=now)] if last.since is None or last.since < now else []
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
    for one in versions:
        follows = dropped is not None and dropped.until == one.since
        version = replace(one, since=dropped.since) if dropped is not None and follows else one
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
