"""Calls in a row become one, and each gets an outcome of its own time."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from exporter.web.coalescing import Coalescing
from tests.support.waiting import wait_for


def test_calls_while_it_runs_become_one_that_begins_after_them() -> None:
    begun: list[int] = []
    go_on = threading.Semaphore(0)
    version = 1

    def load() -> int:
        begun.append(version)
        seen = version
        go_on.acquire(timeout=10)
        return seen

    loads = Coalescing(load)
    first = loads.submit()
    wait_for("the first to begin", lambda: begun)
    version = 2
    later = [loads.submit() for _ in range(50)]
    go_on.release()
    assert first.result(10) == 1
    wait_for("the second to begin", lambda: len(begun) == 2)
    version = 3
    last = loads.submit()
    go_on.release(2)
    assert {future.result(10) for future in later} == {2}
    assert last.result(10) == 3
    assert begun == [1, 2, 3]


def test_an_error_is_the_callers_and_the_next_call_runs_again() -> None:
    outcomes = iter([ValueError("broken"), None])

    def load() -> str:
        if error := next(outcomes):
            raise error
        return "loaded"

    loads = Coalescing(load)
    with pytest.raises(ValueError, match="broken"):
        loads.submit().result(10)
    assert loads.submit().result(10) == "loaded"


def test_who_calls_in_a_loop_leaves_a_pause() -> None:
    times: list[float] = []
    loads = Coalescing(lambda: times.append(time.monotonic()), pause=0.2)
    for _ in range(3):
        loads.submit().result(10)
    assert all(later - earlier >= 0.2 for earlier, later in itertools.pairwise(times))


def test_many_threads_never_run_it_twice_at_a_time_nor_get_what_is_older_than_their_call() -> None:
    state = 0
    changing, running = threading.Lock(), threading.Lock()

    def load() -> int:
        assert running.acquire(blocking=False), "it runs already"
        seen = state
        time.sleep(0.0005)  # callers arrive meanwhile
        running.release()
        return seen

    loads = Coalescing(load)

    def call() -> None:
        nonlocal state
        for _ in range(50):
            with changing:
                state += 1
                before = state
            future: Future[int] = loads.submit()
            assert future.result(10) >= before

    with ThreadPoolExecutor(8) as pool:
        for outcome in [pool.submit(call) for _ in range(8)]:
            outcome.result(30)
