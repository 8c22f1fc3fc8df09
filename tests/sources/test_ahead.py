"""Pages are read in order, whichever thread fetches them; nothing is left behind."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.aws.quotas import stopping_error
from exporter.model import SourceError
from exporter.sources.ahead import THREADS, Ahead
from exporter.sources.schedule import Window
from tests.support.waiting import wait_for

Page = tuple[int, int]
"""The start of its slice, and its number in there."""


def threads() -> int:
    return sum(thread.name.startswith("ahead") for thread in threading.enumerate())


def reading(
    windows: list[Window],
    fetch: Callable[[Window, int], Iterator[Page]],
    *,
    length: int = 10,
    by_threads: bool = True,
) -> Ahead[Page]:
    ahead = Ahead(windows, partial(first_slice, length=length), fetch)
    if by_threads:
        ahead.use_threads()
    return ahead


def first_slice(window: Window, *, length: int) -> Window:
    """The first slice of a window."""
    return Window(window.start, min(window.start + length, window.end))


def some_windows(lengths: list[int]) -> list[Window]:
    """Newest first, as they are read."""
    return [Window(1000 * n, 1000 * n + length) for n, length in enumerate(lengths)][::-1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 45), max_size=6),
    st.integers(1, 20),
    st.dictionaries(st.integers(0, 5), st.integers(0, 3)),
    st.one_of(st.none(), st.integers(0, 30)),
    st.booleans(),
)
def test_pages_and_errors_come_in_the_order_of_the_slices(
    lengths: list[int],
    length: int,
    pages: dict[int, int],
    failing: int | None,
    by_threads: bool,
) -> None:
    windows = some_windows(lengths)
    slices = [
        (of, Window(start, min(start + length, window.end)))
        for of, window in enumerate(windows)
        for start in range(window.start, window.end, length)
    ]
    broken = None if failing is None or failing >= len(slices) else slices[failing][1]

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        for number in range(pages.get(piece.start % 6, 1)):
            yield piece.start, number
        if piece == broken:
            raise SourceError("this slice fails", reason="error")

    right = [
        (of, piece, [(piece.start, n) for n in range(pages.get(piece.start % 6, 1))])
        for of, piece in (slices if broken is None else slices[: (failing or 0) + 1])
    ]
    ahead = reading(windows, fetch, length=length, by_threads=by_threads)
    read: list[tuple[int, Window, list[Page]]] = []
    raised = False
    try:
        for piece in ahead.slices():
            read.append((piece.of, piece.window, []))
            for page in ahead.pages(piece):
                read[-1][2].append(page)
    except SourceError:
        raised = True
    finally:
        ahead.close()
    assert read == right
    assert raised == (broken is not None)


def test_calls_are_made_side_by_side_and_wait_when_pages_are_not_read() -> None:
    """None of the first calls is answered before all of them are made."""
    together = threading.Barrier(THREADS + 1)
    fetched: list[int] = []

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        if piece.start <= THREADS:
            together.wait(timeout=30)
        fetched.append(piece.start)
        yield piece.start, 0

    ahead = reading([Window(0, 1000)], fetch, length=1)
    slices = ahead.slices()
    assert list(ahead.pages(next(slices))) == [(0, 0)]
    wait_for("all threads to end their calls", lambda: len(fetched) == 1 + 12)
    assert sorted(fetched) == list(range(13))
    assert ahead.begun == 12
    assert [list(ahead.pages(piece)) for piece, _ in zip(slices, range(987), strict=False)] == [
        [(n, 0)] for n in range(1, 988)
    ]
    ahead.close()
    wait_for("no thread to be left", lambda: threads() == 0)


def test_one_page_after_the_other_uses_no_thread() -> None:
    callers = set()

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        callers.add(threading.current_thread())
        yield piece.start, 0

    ahead = reading([Window(0, 100)], fetch, by_threads=False)
    assert [page for piece in ahead.slices() for page in ahead.pages(piece)]
    assert callers == {threading.current_thread()}


def test_a_slice_is_read_again_in_shorter_ones() -> None:
    ahead: Ahead[Page] = Ahead(
        windows := some_windows([40, 40]),
        lambda rest: first_slice(rest, length=10 if again else 40),
        lambda piece, _: iter([(piece.start, piece.length)]),
    )
    again: list[bool] = []
    ahead.use_threads()
    read = []
    for piece in ahead.slices():
        read += list(ahead.pages(piece))
        if piece.of == 0 and not again:
            again.append(True)
            ahead.again(piece)
    ahead.close()
    pieces = [(start, 10) for window in windows for start in range(window.start, window.end, 10)]
    assert read == [(windows[0].start, 40), *pieces]


def test_what_was_begun_is_read_to_the_end_at_the_end_of_a_turn() -> None:
    made: list[int] = []

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        made.append(piece.start)
        yield piece.start, 0

    ahead = reading([Window(0, 1000)], fetch, length=1)
    read: list[int] = []
    for piece in ahead.slices():
        read += [start for start, _ in ahead.pages(piece)]
        if len(read) >= 20 and not ahead.finish():
            break
    ahead.close()
    wait_for("no thread to be left", lambda: threads() == 0)
    assert read == sorted(made)
    assert 20 <= len(read) < 50


@pytest.mark.parametrize("closed", [True, False])
def test_whoever_stops_reading_leaves_no_thread_and_no_page(closed: bool) -> None:
    asked, answer = threading.Event(), threading.Event()

    class Body:
        """What a call has brought."""

    bodies: list[weakref.ref[Body]] = []

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        body = Body()
        bodies.append(weakref.ref(body))
        if piece.start:
            asked.set()
            assert answer.wait(30)
        yield piece.start, 0

    def read_one_page() -> None:
        ahead = reading([Window(0, 100)], fetch)
        assert next(ahead.pages(next(ahead.slices()))) == (0, 0)
        assert asked.wait(30)
        if closed:
            ahead.close()

    gc.disable()  # nothing may depend on it
    try:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(read_one_page).result()
        answer.set()
        wait_for("no thread to be left", lambda: threads() == 0)
        assert [body() for body in bodies] == [None] * len(bodies)
    finally:
        gc.enable()


def test_an_error_of_a_later_slice_waits_until_the_pages_before_it_are_read() -> None:
    failed = threading.Event()

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        if piece.start == 2:
            failed.set()
            raise SourceError("this slice fails", reason="error")
        if piece.start == 1:
            assert failed.wait(30)
        yield piece.start, 0

    ahead = reading([Window(0, 100)], fetch, length=1)
    read: list[Page] = []

    def read_all() -> None:
        for piece in ahead.slices():
            read.extend(ahead.pages(piece))

    with pytest.raises(SourceError, match="this slice fails"):
        read_all()
    ahead.close()
    assert read == [(0, 0), (1, 0)]


def test_a_stop_ends_the_reader_with_the_calls_that_it_waits_for() -> None:
    """Calls and waits for the quota end by themselves once the exporter stops."""
    stop = threading.Event()

    def fetch(piece: Window, _: int) -> Iterator[Page]:
        if piece.start:
            stop.wait(30)
            raise stopping_error()
        yield piece.start, 0

    ahead = reading([Window(0, 100)], fetch)
    slices = ahead.slices()
    assert list(ahead.pages(next(slices))) == [(0, 0)]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: list(ahead.pages(next(slices))))
        stop.set()
        with pytest.raises(SourceError) as caught:
            waiting.result(timeout=5)
    ahead.close()
    assert caught.value.reason == "stopping"
    wait_for("no thread to be left", lambda: threads() == 0)
