"""Which objects of a trail's folder a poll reads, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, Literal

from exporter.aws.listing import ListingPage
from exporter.model import SourceError
from exporter.sources.base import Backlog
from exporter.sources.trail_keys import DAY, TrailFolder
from exporter.sources.trail_pace import MINUTE, FolderState, Found, Pace, Pass
from exporter.sources.trail_positions import Positions, Span

MOST_FAILING: Final = 100
"""Objects of a folder that fail at the same time, after which no others are read. History waits
for half of them, so that fresh objects do not wait for old ones."""
DAMAGED: Final = "damaged"
"""The reason of an error in the content of an object."""
_OWN: Final = frozenset({DAMAGED, "archived", "too_large"})
"""Reasons that no permission cures. Once such objects are a quarter of those that may fail, further
ones are given up at once, so others do not wait."""
_ONE_CALL: Final = 900
"""Known objects that one call lists, with room for new ones. AWS: a page has 1,000."""


class Walk:
    """The objects that a poll reads: fresh ones, those that failed, late ones, then history.

    One listing answers for all of them if it has one page. ``pages`` lists keys that begin with a
    prefix and sort after a text. ``is_over``: whether the rest is left to the next poll.
    """

    def __init__(
        self,
        folder: TrailFolder,
        positions: Positions,
        state: FolderState,
        pages: Callable[[str, str], Iterator[ListingPage]],
        pace: Pace,
        *,
        now: int,
        complete: bool,
        is_over: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._positions = positions
        self._state = state
        self._list = pages
        self._pace = pace
        self._now = now
        self._minute = now // MINUTE
        self._complete = complete
        self._is_over = is_over
        self._fresh_from = max(positions.late, self._minute - pace.fresh)
        self._first: Pass | None = None
        """The first listing, if it has one page."""
        self._older: list[Found] = []
        """Its late objects."""
        self._passed: list[Pass] = []
        self._under_way: Pass | None = None
        self._ended: list[Span] = []
        self._waiting: dict[str, Found] = {}
        """Listed objects by name, until they are read."""
        self._size = 0
        """Their bytes."""
        self._rest = state.rest
        self.odd = ""
        """A name that is in no folder of a day."""
        self.behind = False
        """Whether something is left to the next poll."""
        self.error: SourceError | None = None
        """Why it ended early."""

    def objects(self) -> Iterator[Found]:
        """The objects. Each has to be ``done`` or ``failed``, in this order."""
        try:
            yield from self._fresh()
            yield from self._failing()
            if self._complete:
                self._rest = self._count(None if self._first else self._due())
            yield from self._late()
            yield from self._history()
            if self.behind and self._rest is None:
                self._rest = self._count(self._under_way)
            if not self._has_room(of_history=bool(self._positions.spans)):
                self.error = self._full()
        except SourceError as error:
            self.error = error

    def found(self, name: str) -> Found:
        """An object that is being read."""
        return self._waiting[name]

    def is_failing(self, found: Found) -> bool:
        """Whether an earlier try of an object has failed."""
        return found.name in self._positions.failing

    def done(self, found: Found) -> None:
        """An object was read."""
        if self._positions.failing.pop(found.name, None) is not None:
            # The cause may be gone for all of them.
            self._state.try_at.clear()
        self._pass_over(found)
        self._positions.done(found.name, found.minute)

    def failed(
        self, found: Found, error: SourceError
    ) -> Literal["failed", "failed_again", "given_up"]:
        """An object cannot be read. Returns if that is new, or if it is given up.

        Raises SourceError if too many fail: then it is left to a later poll.
        """
        failing, state = self._positions.failing, self._state
        is_new = found.name not in failing
        lasted = self._now - failing.get(found.name, self._now)
        is_over = error.reason == "not_found" or lasted > self._pace.lookback * MINUTE
        if error.reason in _OWN and len(failing) - (not is_new) >= MOST_FAILING // 4:
            is_over = True
        state.failure = error
        if is_new and not is_over and not self._has_room(of_history=found.span is not None):
            raise self._full()
        self._pass_over(found)
        if is_over:
            failing.pop(found.name, None)
            state.try_at.pop(found.name, None)
            self._positions.done(found.name, found.minute)
            return "given_up"
        failing.setdefault(found.name, self._now)
        state.try_at[found.name] = self._now + self._pace.pause(lasted)
        return "failed" if is_new else "failed_again"

    @property
    def backlog(self) -> Backlog:
        """The objects that are known and were not read."""
        objects, size = self._rest or (0, 0)
        oldest = next((one.modified for one in self._waiting.values()), None)
        return Backlog(objects + len(self._waiting), size + self._size, oldest)

    @property
    def read_up_to(self) -> int:
        """Milliseconds: of earlier minutes, all objects that were listed were read."""
        minutes = [span.start for span in self._positions.spans]
        if self._under_way is not None:
            after = self._folder.minute(self._under_way.after)
            minutes.append(self._under_way.start if after is None else after)
        return min([*(minute * MINUTE for minute in minutes), self._now])

    def settle(self) -> bool:
        """Move the positions past the listings that were worked off. All objects were read.

        Returns whether any position moved.
        """
        positions = self._positions
        for span in self._ended:
            positions.spans.remove(span)
        late = [one.began // MINUTE - self._pace.lookback for one in self._passed if one.is_whole]
        # Not each minute, since each move takes a commit.
        moves = bool(late) and max(late) >= positions.late + self._pace.step
        positions.advance(max(late) if moves else positions.late)
        return moves or bool(self._ended)

    def remember(self) -> None:
        """Keep what the next poll can use, once the positions are committed."""
        state = self._state
        state.under_way, state.behind = self._under_way, self.behind
        state.read_up_to = self.read_up_to
        state.rest = self._rest if self.behind else None
        for one in self._passed:
            for age in self._pace.ages:
                if one.is_whole or one.start <= one.began // MINUTE - age:
                    state.listed[age] = one.began

    def _has_room(self, *, of_history: bool = False) -> bool:
        """Whether one more object may fail."""
        return len(self._positions.failing) < MOST_FAILING // (2 if of_history else 1)

    def _full(self) -> SourceError:
        failure = self._state.failure
        waiting = "history is" if self._has_room() else "others are"
        return SourceError(
            f"{len(self._positions.failing)} objects in {self._folder.prefix} cannot be read;"
            f" {waiting} read once these can be, or are given up after the lookback. The last"
            f" error: {failure}",
            reason="unreadable" if failure is None else failure.reason,
        )

    def _pass_over(self, found: Found) -> None:
        self._put_back([found])
        if found.span is not None:
            found.span.start, found.span.after = found.minute, found.name

    def _fresh(self) -> Iterator[Found]:
        """Lists as far back as one call can, so that few other calls are needed."""
        start = self._fresh_from
        if self._complete:
            start = self._positions.late
        elif not self._state.behind:
            start = min(start, self._positions.reach(_ONE_CALL))
        pages = self._pages(self._folder.before(start), self._minute + DAY)
        new, is_last = next(pages)
        if is_last:
            is_whole = start == self._positions.late
            self._first = Pass(start, self._now, is_whole)
            self._older = [one for one in new if one.minute < self._fresh_from]
            new = [one for one in new if one.minute >= self._fresh_from]
        elif start < self._fresh_from:
            self._put_back(new)
            new = []
            pages = self._pages(self._folder.before(self._fresh_from), self._minute + DAY)
        for some in chain([new], (page for page, _ in pages)):
            for at, one in enumerate(some):
                if not self._has_room():
                    self._put_back(some[at:])
                    return
                yield one

    def _failing(self) -> Iterator[Found]:
        for name, since in list(self._positions.failing.items()):
            minute = self._folder.minute(name) or 0
            is_due = self._complete or self._state.try_at.get(name, 0) <= self._now
            if is_due and name not in self._waiting:
                self._waiting[name] = Found(name, minute, 0, since)
                yield self._waiting[name]

    def _late(self) -> Iterator[Found]:
        yield from self._in_turn(iter([(self._older, True)]), of_rest=False)
        if self.behind:
            # In the first listing: it has no objects to read without a pass.
            self._under_way = self._first or self._state.under_way
            return
        if self._first is not None:
            self._passed.append(self._first)
        current = self._state.under_way or self._due()
        if current is None or any(one.start <= current.start for one in self._passed):
            return
        after = current.after or self._folder.before(current.start)
        for one in self._in_turn(self._pages(after, self._fresh_from)):
            current = replace(current, after=one.name)
            yield one
        if self.behind:
            self._under_way = current
        else:
            self._passed.append(current)

    def _due(self) -> Pass | None:
        """The listing for the oldest age that is due."""
        pace, listed, late = self._pace, self._state.listed, self._positions.late
        due = [
            age
            for age in pace.ages
            # A clock that was ahead may have noted a time that has not come.
            if age not in listed or not 0 <= self._now - listed[age] < pace.period(age)
        ]
        start = max(late, self._minute - max(due, default=0))
        if self._complete or pace.lookback in due:
            start = late
        elif not due:
            return None
        return Pass(start, self._now, start == late)

    def _history(self) -> Iterator[Found]:
        for span in self._positions.spans:
            if self.behind:
                return
            after = span.after or self._folder.before(span.start)
            for one in self._in_turn(self._pages(after, span.end), of_history=True):
                one.span = span
                yield one
            if not self.behind:
                self._ended.append(span)

    def _in_turn(
        self,
        pages: Iterator[tuple[list[Found], bool]],
        *,
        of_rest: bool = True,
        of_history: bool = False,
    ) -> Iterator[Found]:
        """The objects of pages, until the poll is over. ``of_rest``: whether they were counted."""
        for new, _ in pages:
            self._add_to_rest(new, -1 if of_rest else 0)
            for at, one in enumerate(new):
                if self._is_over() or not self._has_room(of_history=of_history):
                    self.behind = True
                    self._add_to_rest(new[at:], 1)
                    self._put_back(new[at:])
                    return
                yield one

    def _put_back(self, new: Sequence[Found]) -> None:
        """Let objects not wait any more: they are read, or left to the next poll."""
        for one in new:
            del self._waiting[one.name]
            self._size -= one.size

    def _add_to_rest(self, new: Sequence[Found], sign: Literal[1, 0, -1]) -> None:
        if self._rest is not None:
            objects, size = self._rest
            added = sign * len(new), sign * sum(one.size for one in new)
            self._rest = max(0, objects + added[0]), max(0, size + added[1])

    def _count(self, late: Pass | None) -> tuple[int, int]:
        """Objects and bytes that are not read yet: late ones, if any are left, and history."""
        starts = [(span.after, span.start, span.end) for span in self._positions.spans]
        if late is not None:
            starts.append((late.after, late.start, self._fresh_from))
        objects = size = 0
        for after, start, end in starts:
            for new, _ in self._pages(after or self._folder.before(start), end):
                objects += len(new)
                size += sum(one.size for one in new)
                self._put_back(new)
        return objects, size

    def _pages(self, after: str, end: int) -> Iterator[tuple[list[Found], bool]]:
        """The objects to read before the minute ``end``, and whether they are the last, by page."""
        prefix = self._folder.prefix
        stop = self._folder.before(end)
        for page in self._list(prefix, prefix + after):
            new: list[Found] = []
            is_last = page.is_last
            for one in page.objects:
                name = one.key[len(prefix) :]
                minute = self._folder.minute(name)
                if minute is None:
                    # The console makes objects that stand for folders.
                    self.odd = self.odd or ("" if name.endswith("/") else name)
                if name >= stop:
                    is_last = True
                    break
                if minute is None or name in self._waiting:
                    continue
                if not self._positions.is_done(name, minute):
                    modified = round(one.modified.timestamp() * 1000)
                    found = self._waiting[name] = Found(name, minute, one.size, modified)
                    self._size += one.size
                    new.append(found)
            yield new, is_last
            if is_last:
                return
