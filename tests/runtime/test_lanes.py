"""Polls that hang stop nobody else's; jobs keep to their intervals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from exporter.runtime.scheduling import THREADS, Scheduler


@pytest.fixture
def scheduler() -> Iterator[Scheduler]:
    scheduler = Scheduler()
    scheduler.start()
    yield scheduler
    scheduler.stop()


def test_a_region_whose_polls_all_hang_keeps_no_other_region_and_no_other_source_waiting(
    scheduler: Scheduler,
) -> None:
    release = threading.Event()
    polled = [threading.Event(), threading.Event()]

    def hang() -> None:
        release.wait()

    try:
        for _ in range(5 * THREADS):
            scheduler.every(3600, hang, lane="apps eu-west-1")
        for lane, event in zip(("apps us-east-1", "history eu-west-1"), polled, strict=True):
            scheduler.every(3600, event.set, lane=lane)
        assert all(event.wait(10) for event in polled)
    finally:
        release.set()


def test_a_call_that_takes_longer_than_its_interval_is_not_made_twice_at_once(
    scheduler: Scheduler,
) -> None:
    running = threading.Semaphore(1)
    calls: list[bool] = []
    enough = threading.Event()

    def slow() -> None:
        calls.append(running.acquire(blocking=False))
        time.sleep(0.05)
        running.release()
        if len(calls) >= 5:
            enough.set()

    scheduler.every(0.01, slow, lane="slow")
    assert enough.wait(10)
    assert all(calls)


def test_a_call_says_itself_when_it_is_due_next(scheduler: Scheduler) -> None:
    calls = 0
    enough = threading.Event()

    def behind() -> float | None:
        nonlocal calls
        calls += 1
        if calls == 3:
            enough.set()
        return 0.0 if calls < 3 else None

    job = scheduler.every(3600, behind, lane="behind")
    assert enough.wait(10)
    while job.due_in is None:
        time.sleep(0.01)
    assert 3500 < job.due_in <= 3600


def test_a_job_can_be_brought_forward_and_is_called_no_more_once_it_is_cancelled(
    scheduler: Scheduler,
) -> None:
    called = threading.Event()
    job = scheduler.every(3600, called.set, lane="soon", delay=3600)
    job.run_within(0.01)
    assert called.wait(10)
    job.cancel()
    assert job.due_in is None
    assert scheduler.jobs_in("soon") == 0


def test_the_threads_of_a_lane_end_with_its_last_job(scheduler: Scheduler) -> None:
    called = threading.Event()
    job = scheduler.every(3600, called.set, lane="passing lane")
    assert called.wait(10)
    job.cancel()

    def threads() -> int:
        return sum(thread.name.startswith("passing lane") for thread in threading.enumerate())

    deadline = time.monotonic() + 10
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == 0


def test_an_error_in_a_call_does_not_end_its_job(scheduler: Scheduler) -> None:
    calls: list[int] = []
    enough = threading.Event()

    def broken() -> None:
        calls.append(1)
        if len(calls) == 3:
            enough.set()
        raise RuntimeError("broken")

    scheduler.every(0.01, broken, lane="broken")
    assert enough.wait(10)
