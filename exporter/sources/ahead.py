"""Reads slices in order, and fetches the pages of later ones meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from exporter.sources.schedule import Window

THREADS: Final = 4
"""Calls that are made at once for later pages of a partition."""
_MOST_PAGES: Final = 12
"""Pages that are kept until they are read, those being fetched included: about 2 MB each."""

Page = TypeVar("Page")


@dataclass(eq=False, slots=True)
class Slice(Generic[Page]):
    """A part of a window, read by one call or by several that follow each other's token."""

    window: Window
    of: int
    """The number of the window that it is a part of."""
    seconds: float = field(init=False, default=0.0)
    """How long the page took that was read last, or the error."""
    _pages: Iterator[Page] = field(kw_only=True)
    _unread: deque[tuple[Page, float]] = field(default_factory=deque)
    _fetching: bool = False
    _ended: bool = False
    """Whether all pages were fetched, or one failed."""
    _error: BaseException | None = None
    _error_seconds: float = 0.0

    @property
    def _begun(self) -> bool:
        return self._fetching or self._ended or bool(self._unread)


class Ahead(Generic[Page]):
    """The slices of some windows, in order, each with its pages; close it after use.

    By default a page is fetched when it is asked for, by the thread that asks. After
    ``use_threads``, up to ``THREADS`` threads fetch the following pages, also those of later
    slices, while the first ones are read. No thread waits for a page to be read, so threads end
    with their calls once it is closed. An error is raised where its page would have been read.
    """

    def __init__(
        self,
        windows: Sequence[Window],
        cut: Callable[[Window], Window],
        fetch: Callable[[Window, int], Iterator[Page]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``cut`` returns the first slice of a window.

        ``fetch`` returns the pages of a slice and is given the number of its window, too. They are
        made in any thread.
        """
        self._monotonic = monotonic
        self._windows = windows
        self._cut = cut
        self._fetch = fetch
        self._changed = threading.Condition()
        self._slices: deque[Slice[Page]] = deque()
        """The slice that is read, and the later ones."""
        self._of, self._start = 0, windows[0].start if windows else 0
        """Where the next slice begins."""
        self._threads = 0
        """Those that fetch a page."""
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._last_turn = False

    @property
    def uses_threads(self) -> bool:
        """Whether pages are fetched by threads."""
        return self._pool is not None

    @property
    def begun(self) -> int:
        """Slices whose pages are being fetched, or were, without the one that is read."""
        with self._changed:
            return sum(piece._begun for piece in self._slices) - 1 if self._slices else 0

    def use_threads(self) -> None:
        """Fetch the following pages by threads."""
        with self._changed:
            if self._pool is None and not self._closed:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="ahead")

    def close(self) -> bool:
        """Fetch nothing more; whether threads were used.

        Calls under way are not waited for, and what they bring is dropped.
        """
        with self._changed:
            self._closed = True
            self._drop_after(None)
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)
        return pool is not None

    def slices(self) -> Iterator[Slice[Page]]:
        """The slices in order."""
        piece: Slice[Page] | None = None
        while True:
            with self._changed:
                if piece is not None and self._slices and self._slices[0] is piece:
                    self._slices.popleft()
                piece = self._slices[0] if self._slices else self._next_slice()
            if piece is None:
                return
            yield piece

    def pages(self, piece: Slice[Page]) -> Iterator[Page]:
        """The pages of the slice that is read now. Raises what fetching them raised."""
        while True:
            with self._changed:
                # This thread would only wait: the first time, it has the token of a call.
                own = not piece._begun
                if own:
                    piece._fetching = True
                self._go_on()
                while piece._fetching and not piece._unread and not own:
                    self._changed.wait()
            if own:
                self._fetch_page(piece)
            with self._changed:
                self._go_on()
                if not piece._unread:
                    if piece._error is not None:
                        piece.seconds = piece._error_seconds
                        error, piece._error = piece._error, None
                        try:
                            raise error
                        finally:
                            del error  # its frames have this one: without a cycle it goes at once
                    return
                page, piece.seconds = piece._unread.popleft()
            yield page
            del page

    def again(self, piece: Slice[Page]) -> None:
        """Read the window from the beginning of a slice again, in slices of another length."""
        with self._changed:
            self._drop_after(None)
            self._of, self._start = piece.of, piece.window.start
            self._last_turn = False

    def finish(self) -> bool:
        """Begin no further slice; whether any is left besides the one that is read."""
        with self._changed:
            self._last_turn = True
            while len(self._slices) > 1 and not self._slices[-1]._begun:
                last = self._slices.pop()
                self._of, self._start = last.of, last.window.start
            return len(self._slices) > 1

    @property
    def _kept(self) -> int:
        return sum(len(piece._unread) + piece._fetching for piece in self._slices)

    def _next_slice(self) -> Slice[Page] | None:
        """The slice after all others, None after the last. Needs the lock."""
        while self._of < len(self._windows):
            window = self._windows[self._of]
            if self._start < window.end:
                part = self._cut(Window(self._start, window.end))
                self._start = part.end
                piece = Slice(part, self._of, _pages=self._fetch(part, self._of))
                self._slices.append(piece)
                return piece
            self._of += 1
            if self._of < len(self._windows):
                self._start = self._windows[self._of].start
        return None

    def _go_on(self) -> None:
        """Give threads pages to fetch, those that are read first. Needs the lock."""
        while self._pool is not None and self._threads < THREADS:
            piece = self._to_fetch()
            if piece is None:
                return
            try:
                self._pool.submit(self._fetch_by_thread, piece)
            except RuntimeError:  # the interpreter ends
                return
            piece._fetching = True
            self._threads += 1

    def _to_fetch(self) -> Slice[Page] | None:
        if self._kept >= _MOST_PAGES:
            return None
        for piece in self._slices:
            if not (piece._fetching or piece._ended):
                return piece
            if piece._error is not None:
                return None
        return None if self._last_turn else self._next_slice()

    def _fetch_by_thread(self, piece: Slice[Page]) -> None:
        try:
            self._fetch_page(piece)
        finally:
            with self._changed:
                self._threads -= 1
                if not self._closed:
                    self._go_on()

    def _fetch_page(self, piece: Slice[Page]) -> None:
        """Fetch the next page of a slice, which is marked as being fetched."""
        page: list[tuple[Page, float]] = []
        error: BaseException | None = None
        began = self._monotonic()
        try:
            following = next(piece._pages)
            page.append((following, self._monotonic() - began))
            del following
        except StopIteration:
            pass
        except BaseException as caught:
            error = caught
        with self._changed:
            piece._fetching = False
            piece._unread.extend(page)
            piece._ended = not page
            if error is not None and piece in self._slices:
                piece._error, piece._error_seconds = error, self._monotonic() - began
                self._drop_after(piece)
            del error
            self._changed.notify_all()

    def _drop_after(self, piece: Slice[Page] | None) -> None:
        """Drop the slices after one, or all. Needs the lock."""
        while self._slices and self._slices[-1] is not piece:
            self._slices.pop()._error = None
